"""What a systemd unit needs."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _units

RUNNING = """\
ActiveEnterTimestampMonotonic=123456789
ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// ; pid=12 }
InvocationID=0b36c4db28b64e9ba50a6f7e5d4fcd69
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no
"""


def unit(**changes):
    lines = dict(line.split("=", 1) for line in RUNNING.splitlines()) | changes
    return _units.parse("docker.service", "\n".join(f"{key}={value}" for key, value in lines.items()))


def test_what_systemd_says_is_understood():
    parsed = unit()
    assert parsed.present
    assert parsed.active
    assert parsed.enabled
    assert not parsed.stale
    assert parsed.invocation == "0b36c4db28b64e9ba50a6f7e5d4fcd69"
    assert "-H fd://" in parsed.command
    assert parsed.entered == pytest.approx(123.456789)


def test_a_unit_that_does_not_exist():
    missing = unit(LoadState="not-found", ActiveState="inactive", UnitFileState="")
    assert not missing.present
    assert not missing.enabled


@pytest.mark.parametrize(
    ("changes", "restart", "reload", "action", "enable"),
    [
        ({}, False, False, "none", False),
        ({}, True, False, "restart", False),
        ({}, True, True, "restart", False),
        ({}, False, True, "reload", False),
        ({"ActiveState": "failed"}, False, False, "start", False),
        ({"ActiveState": "inactive"}, True, True, "start", False),
        ({"UnitFileState": "disabled"}, False, False, "none", True),
        ({"UnitFileState": "static"}, False, False, "none", False),
    ],
)
def test_the_least_that_leaves_it_running_on_what_it_should_have_read(
    changes, restart, reload, action, enable
):
    steps = _units.decide(unit(**changes), restart=restart, reload=reload)
    assert (steps.action, steps.enable) == (action, enable)
    assert steps.changed == (enable or action != "none")


def test_a_unit_file_that_changed_is_read_again_first():
    assert _units.decide(unit(NeedDaemonReload="yes")).daemon_reload


def test_a_file_that_is_newer_than_the_start_was_not_read(tmp_path):
    started = time.monotonic() - 60
    running = unit(ActiveEnterTimestampMonotonic=str(int(started * 1e6)))
    path = tmp_path / "config"
    path.write_text("")
    assert _units.outdated(running, str(path))
    os.utime(path, (time.time() - 61, time.time() - 61))
    assert not _units.outdated(running, str(path))
    assert not _units.outdated(running, str(tmp_path / "missing"))


class Host:
    """What a module sees of a host on which every command succeeds."""

    def __init__(self, condition):
        self.condition = condition

    def run_command(self, command):
        return 0, f"ConditionResult={self.condition}\n" if command[1] == "show" else "", ""

    def fail_json(self, msg):
        raise SystemExit(msg)


def test_a_unit_that_systemd_skipped_was_not_started():
    """chrony where nobody may set the clock: `systemctl start` succeeds, and nothing runs."""
    stopped = unit(ActiveState="inactive")
    steps = _units.decide(stopped)
    _units.apply(Host("yes"), stopped, steps)
    with pytest.raises(SystemExit, match="a condition of its unit file is not met on this host"):
        _units.apply(Host("no"), stopped, steps)


def test_a_file_is_unread_until_a_start_or_a_reload_that_went_well(tmp_path):
    file, notes = tmp_path / "haproxy.cfg", str(tmp_path / "reloaded")
    file.touch()
    running = unit(ActiveEnterTimestampMonotonic=str(int((time.monotonic() - 60) * 1e6)))
    os.utime(file, (time.time() - 90,) * 2)
    assert not _units.unread(running, str(file), notes)
    os.utime(file, (time.time() - 30,) * 2)
    assert _units.unread(running, str(file), notes)
    # A reload that began before the file was written has not read it.
    _units.note_reload(running, time.time() - 40, notes)
    assert _units.unread(running, str(file), notes)
    _units.note_reload(running, time.time() - 20, notes)
    assert not _units.unread(running, str(file), notes)
    os.utime(file, (time.time() - 10,) * 2)
    assert _units.unread(running, str(file), notes)
    assert not _units.unread(running, str(tmp_path / "gone"), notes)


class RefusedError(Exception):
    """What the module says when it fails."""


class RefusingHost:
    """A host on which a reload ends with this exit code."""

    def __init__(self, code):
        self.code = code

    def run_command(self, command):
        return (self.code if command[1] == "reload" else 0), "", "refused"

    def fail_json(self, msg):
        raise RefusedError(msg)


def test_only_a_reload_that_went_well_is_noted(monkeypatch):
    noted = []
    monkeypatch.setattr(_units, "note_reload", lambda one, began: noted.append(one.name))
    running = unit()
    steps = _units.decide(running, reload=True)
    with pytest.raises(RefusedError, match="systemctl reload failed: refused"):
        _units.apply(RefusingHost(1), running, steps)
    assert noted == []
    _units.apply(RefusingHost(0), running, steps)
    assert noted == [running.name]


class Foretelling:
    """A module in check mode, on a host whose unit is as given."""

    check_mode = True

    def __init__(self, shown=RUNNING):
        self.shown = shown

    def run_command(self, _command):
        return 0, self.shown, ""


def given(**options):
    return (
        {name: option.get("default") for name, option in _units.OPTIONS.items()}
        | {"name": "a.service"}
        | options
    )


@pytest.mark.parametrize(
    ("options", "written", "action"),
    [
        ({"reads": ["/etc/a"]}, [], "none"),
        ({"reads": ["/etc/a"]}, ["/etc/b"], "none"),
        ({"reads": ["/etc/a"]}, ["/etc/b", "/etc/a"], "restart"),
        ({"reloads": ["/etc/a"]}, ["/etc/a"], "reload"),
        ({"reads": ["/etc/a"], "reloads": ["/etc/b"]}, ["/etc/a", "/etc/b"], "restart"),
        ({"restart": True}, [], "restart"),
    ],
)
def test_a_file_that_is_going_to_be_written_is_foretold_to_be_taken_over(options, written, action):
    found = _units.ensure(Foretelling(), given(**options), written)
    assert (found["action"], found["changed"]) == (action, action != "none")
    assert bool(found["diff"]) == found["changed"]


def test_a_unit_whose_package_is_going_to_be_installed_is_foretold_to_start():
    shown = RUNNING.replace("loaded", "not-found").replace("=active", "=inactive").replace("enabled", "")
    found = _units.ensure(Foretelling(shown), given(reads=["/etc/a"]), ["/etc/a"])
    assert found["action"] == "start"
