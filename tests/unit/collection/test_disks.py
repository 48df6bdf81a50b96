"""Which disk a declared identity means, on recorded trees of sysfs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _disks, _storage_look
from ansible_collections.dianrong.cloud.plugins.module_utils._storage_plan import Declared

RECORDED = json.loads((Path(__file__).parent / "recorded/sysfs-disks.json").read_text())


@pytest.fixture
def sysfs(tmp_path):
    for files in RECORDED.values():
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            is_binary = content.startswith("hex:")
            path.write_bytes(bytes.fromhex(content[4:]) if is_binary else content.encode())
    return tmp_path


@pytest.fixture
def disks(sysfs):
    return _disks.read_disks(sysfs)


def spare(**identity):
    return Declared("spare", **identity)


def test_what_sysfs_tells(disks):
    told = {disk.name: (disk.numbers, disk.serial, disk.wwn) for disk in disks}
    assert told == {
        "cciss/c0d0": ("104:0", "PACCR0M9VZ40JQ8", None),
        "loop3": ("7:3", None, None),
        "nvme0n1": ("259:0", "S4EVNF0M912345", "eui.0025385c91b0f1a2"),
        "nvme0n2": ("259:1", "S4EVNF0M912345", "eui.0025385c91b0f1a3"),
        "sda": ("8:0", "S3Z8NB0K312456A", "naa.5002538e40a1b2c3"),
        "vda": ("254:0", "drc-vol-0007", None),
    }
    by_name = {disk.name: disk for disk in disks}
    assert by_name["sda"].size == 480103981056
    assert by_name["sda"].all_numbers == {"8:0", "8:1"}
    assert by_name["sda"].parts[0].holders == ("dm-0",)
    assert by_name["cciss/c0d0"].read_only
    assert not by_name["sda"].read_only


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"serial": "S3Z8NB0K312456A"}, "sda"),
        ({"wwn": "0x5002538E40A1B2C3"}, "sda"),
        ({"wwn": "5002538e40a1b2c3", "serial": "S3Z8NB0K312456A"}, "sda"),
        ({"wwn": "eui.0025385c91b0f1a3"}, "nvme0n2"),
        ({"wwn": "eui.0025385c91b0f1a3", "serial": "S4EVNF0M912345"}, "nvme0n2"),
        ({"serial": "drc-vol-0007"}, "vda"),
    ],
)
def test_a_disk_is_found_by_what_is_declared_of_it(sysfs, disks, identity, name):
    assert _disks.resolve(spare(**identity), disks, sysfs).name == name


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (
            {"serial": "S9999"},
            r"block device S9999: no disk of this host has that identity; it has cciss/c0d0 \(PACCR",
        ),
        (
            {"serial": "S4EVNF0M912345"},
            "nvme0n1 and nvme0n2 both have that identity; declare a wwn or a path",
        ),
        (
            {"serial": "S3Z8NB0K312456A", "wwn": "naa.1"},
            "sda: it has WWN naa.5002538e40a1b2c3, and the CMDB declares naa.1: this is another disk",
        ),
        ({"path": "/nonexistent/disk"}, "block device /nonexistent/disk: it is not there"),
        ({"path": "/dev/null"}, "block device /dev/null: this is no block device"),
    ],
)
def test_an_identity_that_does_not_name_one_disk_is_refused(sysfs, disks, identity, said):
    with pytest.raises(_disks.DiskError, match=said):
        _disks.resolve(spare(**identity), disks, sysfs)


def test_a_path_must_lead_to_the_declared_serial(sysfs, disks, monkeypatch):
    vda = next(disk for disk in disks if disk.name == "vda")
    monkeypatch.setattr(_disks, "by_path", lambda path, sysfs: vda)
    good = spare(path="/dev/vda", serial="drc-vol-0007")
    assert _disks.resolve(good, disks, sysfs) is vda
    with pytest.raises(
        _disks.DiskError, match="/dev/vda: it has serial drc-vol-0007, and the CMDB declares drc-vol-0008"
    ):
        _disks.resolve(spare(path="/dev/vda", serial="drc-vol-0008"), disks, sysfs)
    with pytest.raises(_disks.DiskError, match="it has no WWN"):
        _disks.resolve(spare(path="/dev/vda", wwn="naa.5"), disks, sysfs)


def test_all_that_is_wrong_is_said_at_once(sysfs):
    wrong = [spare(serial="S1"), spare(serial="S2")]
    with pytest.raises(_disks.DiskError, match=r"S1: no disk .*; block device S2: no disk"):
        _storage_look.find(wrong, sysfs)


def test_two_declarations_of_one_disk_are_refused(sysfs):
    twice = [spare(serial="S3Z8NB0K312456A"), spare(wwn="naa.5002538e40a1b2c3")]
    with pytest.raises(_disks.DiskError, match="it is the same disk as block device S3Z8NB0K312456A"):
        _storage_look.find(twice, sysfs)
