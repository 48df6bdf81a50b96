"""What the module makes of its options, and of a host that it cannot read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _storage_journal,
    _storage_look,
    _storage_plan,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._storage_plan import (
    Declared,
    Record,
    RefusalError,
)
from ansible_collections.dianrong.cloud.plugins.modules import raw_device

GIVEN = Record(None, None, "handed over", 1 << 32, serial="S1")


def options(*devices, data_root="/var/lib/docker"):
    """Return a module with these devices in its options, all that is not said None."""
    whole = [{**dict.fromkeys(raw_device.DEVICE), "wipe": False, **device} for device in devices]
    return SimpleNamespace(params={"devices": whole, "data_root": data_root}, check_mode=True)


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setattr(_storage_journal, "DIRECTORY", str(tmp_path / "journal"))
    return tmp_path / "journal"


@pytest.fixture
def disks(monkeypatch):
    """Every declared device is a disk of its own."""
    monkeypatch.setattr(_storage_look, "find", lambda declared: [SimpleNamespace() for _one in declared])


def test_all_disks_that_cannot_be_read_are_named(journal, disks, monkeypatch):
    def look(declared, disk, record):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_storage_look, "look", look)
    raws = [{"serial": name, "purpose": "raw"} for name in ("S1", "S2")]
    said = r"device S1: cannot be read: .*Input/output error; block device S2: cannot be read"
    with pytest.raises(RefusalError, match=said):
        raw_device.plan_all(options(*raws))


def test_a_device_that_gets_a_better_declaration_keeps_its_record(journal, disks, monkeypatch):
    """It was declared by its path when it was handed over, and has a serial in the CMDB since."""
    _storage_journal.write(("/dev/sdb",), GIVEN)
    seen = []

    def look(declared, disk, record):
        seen.append(record)
        return _storage_plan.Seen("/dev/sdb", 1 << 32, serial="S1", stain=0, record=record)

    monkeypatch.setattr(_storage_look, "look", look)
    better = {"serial": "S1", "path": "/dev/sdb", "purpose": "raw"}
    [(made, _disk)] = raw_device.plan_all(options(better))
    assert seen == [GIVEN]
    assert made.steps == ()
    declared = raw_device.wanted(options(better).params["devices"][0], "/var/lib/docker")
    _storage_journal.write(declared.names, GIVEN)
    assert _storage_journal.read() == {"S1": GIVEN}


def test_a_record_that_is_taken_away_is_gone_under_all_names(journal):
    _storage_journal.write(("/dev/sdb",), GIVEN)
    _storage_journal.write(("/dev/sdc",), GIVEN)
    _storage_journal.write(Declared("raw", serial="S1", path="/dev/sdb").names, None)
    assert _storage_journal.read() == {"/dev/sdc": GIVEN}


def test_a_journal_that_cannot_be_kept_stops_the_run(journal):
    journal.write_text("a file where the directory belongs")
    with (
        pytest.raises(_storage_journal.JournalError, match=r"no journal can be kept .*; nothing was touched"),
        _storage_journal.alone(),
    ):
        pytest.fail("went on without a journal")


@pytest.mark.parametrize(
    ("mount", "normal"),
    [("/srv/demo/", "/srv/demo"), ("//srv//demo", "/srv/demo"), ("/srv/./a/../demo", "/srv/demo")],
)
def test_a_mount_point_is_taken_as_the_kernel_shows_it(mount, normal):
    option = options({"serial": "S1", "purpose": "app-volume", "mount": mount}).params["devices"][0]
    assert raw_device.wanted(option, "/var/lib/docker").mount == normal


def test_a_relative_mount_point_is_refused():
    option = options({"serial": "S1", "purpose": "app-volume", "mount": "srv/demo"}).params["devices"][0]
    with pytest.raises(RefusalError, match="device S1: mount srv/demo is not an absolute path"):
        raw_device.wanted(option, "/var/lib/docker")


@pytest.mark.parametrize(
    ("mounts", "data_root", "said"),
    [
        (
            ["/srv/a/b", "/srv/a"],
            "/var/lib/docker",
            "/srv/a/b lies within /srv/a, where another block device",
        ),
        (["/srv/a/"], "/srv", "/srv/a lies within /srv"),
        (["/srv/docker/x"], "/srv/docker/", "/srv/docker/x lies within /srv/docker"),
        (["/srv/a", "/srv/a/"], "/var/lib/docker", "2 block devices are declared for /srv/a"),
    ],
)
def test_a_mount_point_within_another_is_refused(mounts, data_root, said):
    volumes = [
        {"serial": f"S{n}", "purpose": "app-volume", "mount": mount} for n, mount in enumerate(mounts, 1)
    ]
    with pytest.raises(RefusalError, match=said):
        raw_device.plan_all(options(*volumes, data_root=data_root))


def test_an_app_volume_may_hold_the_name_of_another_as_a_prefix(journal, disks, monkeypatch):
    monkeypatch.setattr(
        _storage_look, "look", lambda one, disk, record: _storage_plan.Seen("/dev/x", 1 << 32)
    )
    volumes = [{"serial": name, "purpose": "app-volume", "mount": f"/srv/{name}"} for name in ("a", "a2")]
    assert [made.declared.mount for made, _disk in raw_device.plan_all(options(*volumes))] == [
        "/srv/a",
        "/srv/a2",
    ]
