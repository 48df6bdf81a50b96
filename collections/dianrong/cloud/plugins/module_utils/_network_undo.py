# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script that gives a host the network back that it had before its bridges were changed; pure.

That the host can be reached again depends on nothing but the kernel: what may fail or hang (systemd, the
engine, a lock of iptables) comes behind that and has a time limit, and no step that fails ends the script.
"""

from __future__ import annotations

import shlex

from ansible_collections.dianrong.cloud.plugins.module_utils import _uplink

# Seconds for a bridge's own script, for systemd, and for the engine.
SCRIPT, SYSTEMD, ENGINE = 60, 30, 20


def script(plan, host, changes, enabled):
    """Return the undo of a plan.

    ``changes`` are those of the files, with what they were; ``enabled`` says which bridges' units are
    started at boot now. At boot the files are enough: what they say is what boots. Only a unit that systemd
    did not know when it began the boot, because it was taken away, has to be started.
    """
    names = sorted({*plan.taken, *plan.release})
    back = [_file_back(change) for change in changes]
    back += [_wish_back(name, enabled.get(name, False)) for name in names]
    lines = ["set -u", "failed=0", *(f"{line} || failed=1" for line in back), "sync"]
    lines += ['if [ "$1" = boot ]; then']
    lines += [_boots(name) for name in plan.release if enabled.get(name)]
    lines += ["exit $failed", "fi"]
    lines += [f"{_bridge_back(name, plan, host)} || failed=1" for name in names]
    lines += [f"timeout {SYSTEMD} systemctl daemon-reload || true"]
    lines += [f"timeout {ENGINE} docker network rm {network.name} || true" for network in plan.create]
    lines += [_network_back(network) for network in host.networks if network.name in plan.remove]
    return "\n".join([*lines, "exit $failed"]) + "\n"


def _file_back(change):
    path = shlex.quote(change.wanted.path)
    if change.found is None:
        return f"rm -f {path}"
    text = shlex.quote(change.found.content.decode("utf-8"))
    return f"printf %s {text} > {path}.back && mv {path}.back {path}"


def _wish_back(name, enabled):
    link = _uplink.wish_path(name)
    return f"ln -sf {_uplink.unit_path(name)} {link}" if enabled else f"rm -f {link}"


def _boots(name):
    systemctl = f"timeout {SYSTEMD} systemctl"
    return f"{systemctl} daemon-reload && {systemctl} --no-block start {_uplink.unit_name(name)} || failed=1"


def _bridge_back(name, plan, host):
    if name in host.taken:
        return f"timeout {SCRIPT} /bin/sh {_uplink.script_path(name)}"
    return f"/bin/sh -uc {shlex.quote(_uplink.release(name, plan.taken[name]))}"


def _network_back(network):
    """Return the command that makes a network of ours again; nobody used it, so it is the same."""
    words = ["docker", "network", "create", "--driver", network.driver]
    words += ["--ipv6"] if network.ipv6 else []
    for one in network.subnets:
        for key, option in (("Subnet", "subnet"), ("IPRange", "ip-range"), ("Gateway", "gateway")):
            words += [f"--{option}", one[key]] if one.get(key) else []
    for option, values in (("opt", network.options), ("label", network.labels)):
        words += [word for key, value in sorted(values.items()) for word in (f"--{option}", f"{key}={value}")]
    made = " ".join(shlex.quote(word) for word in [*words, network.name])
    return f"timeout {ENGINE} {made} || true"
