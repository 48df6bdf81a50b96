"""The firewall on a host: what a state needs, and the way back from any point of a change."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _firewall_host, _units
from ansible_collections.dianrong.cloud.plugins.module_utils._files import Found
from ansible_collections.dianrong.cloud.plugins.module_utils._firewall_host import State

TEXT = "wanted\n"
TABLE = "table inet drcloud {\n}\n"
FILE = Found(TEXT.encode(), 0o600, "root", "root")
UNIT_FILE = Found(_firewall_host.UNIT_TEXT.encode(), 0o644, "root", "root")
NONE = _units.Unit(_firewall_host.UNIT, present=False, active=False, enabled=False, stale=False)
RUNS = _units.Unit(_firewall_host.UNIT, present=True, active=True, enabled=True, stale=False)
BARE = State(None, None, NONE, None)
DONE = State(FILE, UNIT_FILE, RUNS, TABLE)
OTHER = Found(b"other\n", 0o600, "root", "root")
STOPPED = _units.Unit(_firewall_host.UNIT, present=True, active=False, enabled=True, stale=False)


@pytest.mark.parametrize(
    ("before", "files", "action", "enable"),
    [
        (BARE, 2, "start", True),
        (DONE, 0, "none", False),
        # A rule was added or removed by hand, or all of the table.
        (State(FILE, UNIT_FILE, RUNS, "table inet drcloud {\n\tchain mine {\n\t}\n}\n"), 0, "reload", False),
        (State(FILE, UNIT_FILE, RUNS, None), 0, "reload", False),
        (State(OTHER, UNIT_FILE, RUNS, TABLE), 1, "reload", False),
        (State(FILE, UNIT_FILE, STOPPED, None), 0, "start", False),
        # A run was killed between its files and the unit.
        (State(FILE, UNIT_FILE, NONE, None), 0, "start", True),
    ],
)
def test_what_a_state_needs(before, files, action, enable):
    steps = _firewall_host.decide(before, TEXT, TABLE)
    assert (len(steps.files), steps.unit.action, steps.unit.enable) == (files, action, enable)
    assert steps.changed == (before is not DONE)
    assert bool(_firewall_host.diff(before, steps, TABLE)) == steps.changed


@pytest.mark.parametrize(
    ("before", "changed"), [(BARE, False), (DONE, True), (State(None, None, NONE, TABLE), True)]
)
def test_a_firewall_that_nobody_wants_goes(before, changed):
    steps = _firewall_host.decide(before, None, None)
    assert steps.changed == changed
    assert bool(_firewall_host.diff(before, steps, None)) == changed


@pytest.mark.parametrize(
    "before",
    [DONE, State(FILE, None, NONE, None), State(None, UNIT_FILE, RUNS, None), State(None, None, NONE, TABLE)],
    ids=["all", "file", "unit", "table"],
)
def test_that_no_zones_are_known_takes_no_firewall_away(before):
    """As after the import of a CMDB that does not have them yet; a part of a firewall is one, too."""
    with pytest.raises(_firewall_host.HostError, match="no zones are declared, and this host has a firewall"):
        _firewall_host.refuse_loss(before)


def test_a_host_without_a_firewall_needs_no_zones():
    _firewall_host.refuse_loss(BARE)
    assert not _firewall_host.decide(BARE, None, None).changed


def test_a_unit_that_systemd_has_not_read_is_read():
    assert _firewall_host.decide(BARE, TEXT, TABLE).unit.daemon_reload
    assert not _firewall_host.decide(DONE, TEXT, TABLE).unit.daemon_reload


@pytest.mark.parametrize("reason", ["boot", "timer"])
@pytest.mark.parametrize("came_to", ["nothing", "files", "all"])
@pytest.mark.parametrize(
    "before", [BARE, DONE, State(OTHER, UNIT_FILE, STOPPED, None)], ids=["bare", "done", "other"]
)
def test_the_way_back_leads_back_from_everywhere(before, came_to, reason, tmp_path, monkeypatch):
    """The script runs for real; nft and systemctl only write down what they are told."""
    told = tmp_path / "told"
    for name in ("nft", "systemctl"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {told}\n[ "$1" != --file ] || cat >> {told}\n')
        program.chmod(0o755)
    paths = {"FILE": tmp_path / "firewall.nft", "UNIT_FILE": tmp_path / "firewall.service"}
    for name, path in {**paths, "NFT": tmp_path / "nft"}.items():
        monkeypatch.setattr(_firewall_host, name, str(path))
    was = {"FILE": before.file, "UNIT_FILE": before.unit_file}
    for name, path in paths.items():
        if came_to != "nothing":
            path.write_text("new\n")
        elif was[name]:
            path.write_bytes(was[name].content)
    script = _firewall_host.way_back(before)
    done = subprocess.run(
        ["/bin/sh", "-c", script, "undo", reason], env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, check=False
    )
    assert done.returncode == 0
    for name, path in paths.items():
        assert (path.read_bytes() if path.exists() else None) == (was[name].content if was[name] else None)
    said = told.read_text() if told.exists() else ""
    assert ("delete table inet drcloud" in said) == (reason == "timer")
    assert said.endswith(TABLE) == (reason == "timer" and before.table is not None)
