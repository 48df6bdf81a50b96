"""Which disks of a host that goes are wiped: those confirmed one by one, and no others."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _disk_wipe as wiping
from ansible_collections.dianrong.cloud.plugins.module_utils._disk_uses import Mount
from ansible_collections.dianrong.cloud.plugins.module_utils._disks import Disk
from ansible_collections.dianrong.cloud.plugins.module_utils._storage_plan import Declared

DATA = Declared("docker-data", path="/dev/sdb", serial="S1", mount="/var/lib/docker")
VOLUME = Declared("app-volume", path="/dev/sdc", mount="/srv/shop")
SPARE = Declared("spare", serial="S9")
DECLARED = [DATA, VOLUME, SPARE]
ROOT = Mount("8:0", "/", "/", "ext4", "/dev/sda")


def test_a_disk_is_confirmed_by_its_serial_and_one_without_by_its_path():
    assert wiping.choose(DECLARED, ["/dev/sdc", "S1"]) == [VOLUME, DATA]
    assert wiping.choose(DECLARED, []) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["S2"], "no disk of this host is declared as S2; it has S1, /dev/sdc"),
        (["S1", "/dev/sdb"], "block device /dev/sdb: confirm it by S1"),
        (["S9"], "declared spare, and those are never touched"),
        (["S1", "S1"], "block device /dev/sdb is confirmed twice"),
    ],
)
def test_what_is_not_confirmed_is_refused(words, why):
    with pytest.raises(wiping.WipeError, match=why):
        wiping.choose(DECLARED, words)


@pytest.fixture
def mounts(monkeypatch):
    found = [ROOT, Mount("8:16", "/", "/var/lib/docker", "xfs", "/dev/sdb")]
    monkeypatch.setattr(wiping._disk_uses, "own_mounts", lambda: found)
    return found


def disk(numbers="8:16", parts=()):
    return Disk("sdb", numbers, 4 << 20, parts=tuple(parts))


def test_a_disk_that_is_used_as_declared_may_go(mounts):
    wiping.Wipe(DATA, disk()).refuse_others([])
    wiping.Wipe(VOLUME, disk("8:32")).refuse_others(["somebody's"])


@pytest.mark.parametrize(
    ("declared", "seen", "running", "why"),
    [
        (DATA, disk(), ["shop"], "the engine's, which has containers that run: shop"),
        (VOLUME, disk(), [], "is mounted on /var/lib/docker: unmount it first"),
        (VOLUME, disk("8:32", [Disk("sdc1", "8:0", 1)]), [], "is mounted on /: unmount it first"),
        (VOLUME, disk("8:32", [Disk("sdc1", "8:33", 1)]), [], "has partitions"),
    ],
)
def test_a_disk_that_somebody_else_uses_stays(mounts, declared, seen, running, why):
    with pytest.raises(wiping.WipeError, match=why):
        wiping.Wipe(declared, seen).refuse_others(running)


def test_data_that_is_left_is_told(tmp_path, monkeypatch):
    file = tmp_path / "disk"
    file.write_bytes(b"data" * (1 << 20))
    monkeypatch.setattr(wiping.fcntl, "ioctl", lambda *_given: 0)
    wipe = wiping.Wipe(Declared("raw", path=str(file)), disk())
    assert not wipe.is_blank()
    with pytest.raises(wiping.WipeError, match="was overwritten, and still shows data"):
        wipe.erase()
