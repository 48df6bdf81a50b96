# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall on a host: read table, file and unit, decide (pure) what to do, do it, know the way back.

A table is compared as nftables lists it. What is wanted is listed from a network namespace of its own, into
which the very nftables and kernel of the host loaded it, so no difference is one of spelling.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from ansible_collections.dianrong.cloud.plugins.module_utils import _files, _nftables, _units

FILE = "/etc/drcloud/firewall.nft"
UNIT = "drcloud-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
NFT = "/usr/sbin/nft"
LIST = [NFT, "--stateless", "list", "table", "inet", _nftables.TABLE]

# Not Debian's nftables.service, which flushes all tables, those of Docker among them.
UNIT_TEXT = f"""\
# Written by drCloud (dianrong.cloud.firewall_zones): changes made here are lost.
[Unit]
Description=Firewall by zones
Documentation=man:nft(8)
DefaultDependencies=no
ConditionPathExists={FILE}
RequiresMountsFor={FILE}
# A change that nobody confirmed before the host went down is undone first.
After=drcloud-guard.service
Before=network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={NFT} --file {FILE}
ExecReload={NFT} --file {FILE}
ExecStop={NFT} delete table inet {_nftables.TABLE}

[Install]
WantedBy=sysinit.target
"""


class HostError(Exception):
    """The host does not take the firewall; the message says why."""


@dataclass(frozen=True)
class State:
    """What there is on the host: two files, the unit, and the table as it is listed (None without one)."""

    file: _files.Found | None
    unit_file: _files.Found | None
    unit: _units.Unit
    table: str | None


@dataclass(frozen=True)
class Steps:
    """What to do: files to write or remove, what the unit needs, and whether the table has to go."""

    files: tuple[_files.Change, ...]
    unit: _units.Steps
    drop: bool

    @property
    def changed(self):
        """Whether there is anything to do."""
        return bool(self.files or self.unit.changed or self.drop)


def read(module):
    """Return what there is on the host."""
    return State(_files.read(FILE), _files.read(UNIT_FILE), _units.read(module, UNIT), listed(module))


def installed():
    """Return whether the host has nftables."""
    return os.path.exists(NFT)


def listed(module):
    """Return our table as nftables lists it, or None when there is none."""
    if not installed():
        return None
    code, output, errors = module.run_command(LIST)
    if code and "No such file or directory" not in errors:
        raise HostError(f"nftables does not list the table {_nftables.TABLE}: {' '.join(errors.split())}")
    return None if code else output


def rehearse(module, text):
    """Load a file into a network namespace that ends with it; return the table as it is listed there.

    Raises:
        HostError: nftables or the kernel does not take it.
    """
    script = f"{NFT} --file - && exec {shlex.join(LIST)}"
    command = ["unshare", "--net", "/bin/sh", "-c", script]
    code, output, errors = module.run_command(command, data=text, binary_data=False)
    if code:
        raise HostError(f"nftables refuses the rules, nothing was changed: {' '.join(errors.split())}")
    return output


def decide(before, text, table):
    """Return what leads from a state to the wanted one; pure.

    Args:
        before: the state.
        text: what the file has to say, or None for no firewall.
        table: how the table of that file is listed, or None.
    """
    wanted = (
        _files.Wanted(FILE, None if text is None else text.encode(), mode=0o600),
        _files.Wanted(UNIT_FILE, None if text is None else UNIT_TEXT.encode()),
    )
    files = _files.plan(wanted, {FILE: before.file, UNIT_FILE: before.unit_file})
    if text is None:
        return Steps(tuple(files), _units.Steps(False, False, "none"), before.table is not None)
    unit = _units.decide(before.unit, reload=bool(files) or before.table != table)
    fresh = any(change.wanted.path == UNIT_FILE for change in files)
    unit = _units.Steps(unit.daemon_reload or fresh, unit.enable, unit.action)
    return Steps(tuple(files), unit, False)


def refuse_loss(before):
    """Say that a firewall goes only where somebody wants it to go; pure.

    An inventory that does not know the zones, as of a CMDB that was just restored, must not open its hosts.

    Raises:
        HostError: the host has a firewall.
    """
    if before.file or before.unit_file or before.table is not None:
        raise HostError(
            "no zones are declared, and this host has a firewall; declare its zones, or say that it shall go "
            "(firewall_absent=true, or absent: true for the task). Nothing was changed"
        )


def apply(module, before, steps, table):
    """Take the steps, and make sure that the table is the wanted one.

    Raises:
        HostError: it is not.
    """
    if steps.drop or (steps.files and steps.files[0].wanted.content is None):
        _remove(module, before, steps)
        return
    _files.apply(steps.files)
    _units.apply(module, before.unit, steps.unit)
    if listed(module) != table:
        raise HostError("the table that was loaded is not the one that was wanted; something else changes it")


def _remove(module, before, steps):
    """Take the firewall away; the table last: as long as it stands, a run that follows is not done."""
    if before.unit.present:
        module.run_command(["systemctl", "disable", "--quiet", "--now", UNIT], check_rc=True)
    _files.apply(steps.files)
    module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    if listed(module) is not None:
        module.run_command([NFT, "delete", "table", "inet", _nftables.TABLE], check_rc=True)


def way_back(before):
    """Return the script that brings a state back, however far a change came; pure.

    With the word ``boot`` it leaves the running table to the boot.
    """
    lines = ["set -eu"]
    for path, found in ((FILE, before.file), (UNIT_FILE, before.unit_file)):
        lines += _file_back(path, found)
    if not before.unit.enabled:
        lines.append(f"rm -f {os.path.dirname(UNIT_FILE)}/*.wants/{UNIT}")
    table = _nftables.HEAD if before.table is None else _nftables.restore(before.table)
    lines += [
        '[ "$1" != boot ] || exit 0',
        "systemctl daemon-reload",
        *([] if before.unit.active else [f"systemctl stop {UNIT} 2> /dev/null || true"]),
        f"printf %s {shlex.quote(table)} | {NFT} --file -",
    ]
    return "\n".join(lines) + "\n"


def _file_back(path, found):
    if found is None:
        return [f"rm -f {path}"]
    text = shlex.quote(found.content.decode("utf-8", "replace"))
    return [
        f"printf %s {text} > {path}.back",
        f"chmod {found.mode:o} {path}.back",
        f"mv {path}.back {path}",
    ]


def diff(before, steps, table):
    """Return Ansible's diff of the steps: what the kernel filters with, and the unit."""
    parts = [part for part in _files.diff(steps.files) if part["before_header"] != FILE]
    if before.table != table:
        name = f"table inet {_nftables.TABLE}"
        parts.append(
            {
                "before_header": name,
                "after_header": name,
                "before": before.table or "",
                "after": table or "",
            }
        )
    elif any(change.wanted.path == FILE for change in steps.files):
        parts += [part for part in _files.diff(steps.files) if part["before_header"] == FILE]
    if steps.unit.changed:
        parts.append(
            {
                "before": {"active": before.unit.active, "enabled": before.unit.enabled},
                "after": {"active": True, "enabled": True, "action": steps.unit.action},
            }
        )
    return parts
