# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script that gives a host the network back that it had before its bridges were changed; pure."""

from __future__ import annotations

import shlex

from ansible_collections.dianrong.cloud.plugins.module_utils import _uplink


def script(plan, host, changes, enabled):
    """Return the undo of a plan.

    ``changes`` are those of the files, with what they were; ``enabled`` says which bridges' units are
    started at boot now. At boot the files are enough: what they say is what boots.
    """
    lines = ["set -eu"]
    lines += [_file_back(change) for change in changes]
    for name in sorted({*plan.taken, *plan.release}):
        lines.append(_wish_back(name, enabled.get(name, False)))
    lines += ["sync", '[ "$1" != boot ] || exit 0']
    lines.append("systemctl daemon-reload")
    lines += [f"docker network rm {network.name} || true" for network in plan.create]
    for name in sorted({*plan.taken, *plan.release}):
        lines.append(_bridge_back(name, plan, host))
    return "\n".join(lines) + "\n"


def _file_back(change):
    path = shlex.quote(change.wanted.path)
    if change.found is None:
        return f"rm -f {path}"
    text = shlex.quote(change.found.content.decode("utf-8"))
    return f"printf %s {text} > {path}.back\nmv {path}.back {path}"


def _wish_back(name, enabled):
    link = _uplink.wish_path(name)
    return f"ln -sf {_uplink.unit_path(name)} {link}" if enabled else f"rm -f {link}"


def _bridge_back(name, plan, host):
    if name in host.taken:
        return f"/bin/sh {_uplink.script_path(name)}"
    return _uplink.release(name, plan.taken[name])
