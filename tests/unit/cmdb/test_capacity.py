"""What a host has, what is promised of it, what is left."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.cmdb import capacity
from drcloud.cmdb.capacity import Claim, Disk, Share

GIB = 1024**3
FACTS: dict[str, Any] = {"cpu": {"count": 8, "model": "EPYC"}, "memory": {"total": 16 * GIB}}
UNKNOWN = dict.fromkeys(("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "app"))


def seen(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "size": GIB, "serial": None, "wwn": None, "model": "SSD", **more}


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [("1", 1), ("4096", 4096), ("2k", 2048), ("128m", 128 * 1024**2), ("3g", 3 * GIB)],
)
def test_limits_are_read_as_docker_reads_them(limit: str, wanted: int) -> None:
    assert capacity.bytes_of(limit) == wanted


def test_a_claim_is_that_of_the_environment() -> None:
    spec = {
        "image": "a/b",
        "port": 80,
        "resources": {"memory": "1g", "cpus": 2},
        "overrides": {"qa": {"resources": {"memory": "64m"}}},
    }
    assert capacity.claim("demo", "prod", spec) == Claim("demo", "prod", 2.0, GIB)
    assert capacity.claim("demo", "qa", spec) == Claim("demo", "qa", None, 64 * 1024**2)


def test_what_is_left_is_what_nobody_was_promised() -> None:
    claims = [
        Claim("a", "prod", 1.5, 4 * GIB),
        Claim("b", "prod", None, 2 * GIB),
        Claim("c", "qa", 2.0, None),
    ]
    found = capacity.of(FACTS, claims, [])
    assert found.cpus == Share(total=8, promised=3.5, left=4.5, roll=2.0, unlimited=("b@prod",))
    assert found.memory == Share(16 * GIB, 6 * GIB, 10 * GIB, 4 * GIB, ("c@qa",))


def test_more_may_be_promised_than_there_is() -> None:
    assert capacity.of(FACTS, [Claim("a", "prod", 9.0, 17 * GIB)], []).memory.left == -GIB


@pytest.mark.parametrize("facts", [None, {}, {"cpu": None, "memory": {"total": None}}])
def test_a_host_that_said_nothing_has_nothing_left_to_tell(facts: dict[str, Any] | None) -> None:
    found = capacity.of(facts, [Claim("a", "prod", 1.0, GIB)], [])
    assert (found.cpus.total, found.cpus.promised, found.cpus.left) == (None, 1.0, None)
    assert (found.memory.total, found.memory.left) == (None, None)


def test_disks_are_known_by_serial_wwn_or_path_in_that_order() -> None:
    declared = [
        {**UNKNOWN, "serial": "S1", "path": "/dev/sdb", "purpose": "docker-data"},
        {**UNKNOWN, "wwn": "0x5", "purpose": "raw"},
        {**UNKNOWN, "path": "/dev/sdd", "purpose": "spare"},
        {**UNKNOWN, "path": "/dev/disk/by-id/x", "purpose": "spare"},
        {**UNKNOWN, "path": "/dev/disk/by-id/y", "purpose": "spare"},
    ]
    facts = {
        "block_devices": [
            seen("sda"),
            # Its name moved since; the serial says which disk it is, and which is not.
            seen("sdb", serial="S2"),
            seen("sdc", serial="S1", size=2 * GIB),
            seen("sdd", wwn="0x5", size=3 * GIB),
            seen("loop3", paths=["/dev/loop3", "/dev/disk/by-id/y"], size=4 * GIB),
            seen("loop4", paths=["/dev/loop4"]),
        ]
    }
    found = capacity.of(facts, [], declared).disks
    assert [(one.name, one.size) for one in found] == [
        ("sdc", 2 * GIB),
        ("sdd", 3 * GIB),
        (None, None),
        (None, None),
        ("loop3", 4 * GIB),
        ("sda", GIB),
        ("sdb", GIB),
    ]
    assert [one.declared for one in found] == [*declared, None, None]
    assert found[-1] == Disk(None, "sdb", GIB, "SSD")
