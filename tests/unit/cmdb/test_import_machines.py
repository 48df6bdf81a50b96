"""Imports of racks, networks and versions: lists are whole, what moves makes room, versions count up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from drcloud.cmdb import importer, snapshot
from drcloud.cmdb.store import Store

WHOLE = Path(__file__).parent / "data/whole.yml"
Import = Callable[..., list[str]]


@pytest.fixture(scope="module")
def whole(empty_cmdb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CMDB with the whole file in it, to copy."""
    path = tmp_path_factory.mktemp("whole") / "cmdb.sqlite3"
    shutil.copy(empty_cmdb, path)
    importer.import_files(Store.open(f"sqlite:///{path}"), importer.Request((WHOLE,)))
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Store:
    shutil.copy(whole, tmp_path / "cmdb.sqlite3")
    return Store.open(f"sqlite:///{tmp_path}/cmdb.sqlite3")


@pytest.fixture
def imported(store: Store, tmp_path: Path) -> Import:
    """Return how to import sections over the whole file; it gives the changes, and none the second time."""

    def run(**sections: Any) -> list[str]:
        path = tmp_path / "more.yml"
        path.write_text(yaml.safe_dump({"drcloud": 1, **sections}, allow_unicode=True), encoding="utf-8")
        changes = [change.line() for change in importer.import_files(store, importer.Request((path,)))]
        assert importer.import_files(store, importer.Request((path,))) == ()
        return changes

    return run


def dk(number: int, **fields: Any) -> dict[str, Any]:
    return {"name": f"dk-0{number}", "role": "docker", "address": f"10.90.0.1{number}", **fields}


def test_a_host_moves_up_and_another_takes_its_place(imported: Import) -> None:
    changes = imported(hosts=[dk(1, unit=20), dk(2, units=[12, 13])])
    assert [line.split("  ")[0] for line in changes] == [
        *(f"- rack_slot bj1/r1/a01/{unit}" for unit in (12, 13, 14, 16, 17)),
        *(f"+ rack_slot bj1/r1/a01/{unit}" for unit in (20, 21, 12, 13)),
    ]


def test_two_hosts_change_places(imported: Import) -> None:
    changes = imported(hosts=[dk(1, units=[14, 16, 17]), dk(2, units=[12, 13])])
    assert len(changes) == 10


def test_a_host_that_moves_to_another_rack_leaves_its_units(imported: Import) -> None:
    assert [line.split("  ")[0] for line in imported(hosts=[dk(1, rack="bj1/r1/a02")])] == [
        "- rack_slot bj1/r1/a01/12",
        "- rack_slot bj1/r1/a01/13",
        "~ host dk-01",
    ]


def test_a_host_moves_to_a_unit_of_another_rack(imported: Import) -> None:
    changes = imported(hosts=[dk(1, rack="bj1/r1/a02", unit=30)])
    assert [line for line in changes if line.startswith("+")] == [
        "+ rack_slot bj1/r1/a02/30  rack: bj1/r1/a02, unit: 30, host: dk-01",
        "+ rack_slot bj1/r1/a02/31  rack: bj1/r1/a02, unit: 31, host: dk-01",
    ]


def test_what_a_host_does_not_speak_of_stays(imported: Import) -> None:
    assert imported(hosts=[dk(1)]) == []


def test_lists_are_whole(imported: Import) -> None:
    changes = imported(hosts=[dk(1, nic=None, addresses=[], nics=[], tags=[], bmc=None, units=[])])
    gone = sorted(line.split("  ")[0] for line in changes)
    assert gone == [
        "- address 10.90.0.11@oob",
        "- address 10.90.1.11",
        "- address fd00:90::11",
        "- bmc dk-01",
        "- host_tag dk-01/gpu",
        "- host_tag dk-01/pci/dss",
        "- nic dk-01/Ethernet1/1",
        "- nic dk-01/bond0",
        "- rack_slot bj1/r1/a01/12",
        "- rack_slot bj1/r1/a01/13",
        "~ address 10.90.0.11",
    ]


def test_a_further_address_becomes_the_management_address(imported: Import, store: Store) -> None:
    old = {"address": "10.90.0.11", "purpose": "service"}
    imported(hosts=[dk(1) | {"address": "10.90.1.11", "addresses": [old]}])
    [host] = [one for one in snapshot.read(store).hosts if one.name == "dk-01"]
    assert host.address == "10.90.1.11"


def test_a_host_gives_its_address_up(imported: Import) -> None:
    assert imported(hosts=[dk(1) | {"address": None}]) == ["- address 10.90.0.11"]


def test_a_free_address_gets_a_host(imported: Import) -> None:
    """The list of free addresses says where they began; a file that has it does not take them away again."""
    free = {"address": "10.90.1.50", "purpose": "reserved"}
    imported(addresses=[free])
    imported(hosts=[dk(2, addresses=[{"address": "10.90.1.50", "purpose": "service"}])])
    assert imported(addresses=[{**free, "purpose": "service"}]) == []


def test_a_prefix_is_split(imported: Import) -> None:
    """What contained addresses becomes an aggregate when its parts take them over."""
    cidrs = ("10.90.0.0/25", "10.90.0.128/25")
    spare = {"name": "spare-01", "role": "docker", "address": "10.90.0.13"}
    managed = [dk(1), dk(2), spare, {"name": "lb-01", "role": "lb", "address": "10.90.0.21"}]
    managed.append({"name": "infra-01", "role": "infra", "address": "10.90.0.31"})
    changes = imported(
        prefixes=[{"cidr": "10.90.0.0/24", "aggregate": True}, *({"cidr": cidr} for cidr in cidrs)],
        hosts=managed,
        addresses=[{"address": "10.90.0.1", "purpose": "gateway"}],
    )
    assert "~ prefix 10.90.0.0/24  aggregate: false → true" in changes
    assert "~ address 10.90.0.11  prefix: 10.90.0.0/24 → 10.90.0.0/25" in changes


def test_versions_count_up(imported: Import) -> None:
    config = {"app": "demo", "env": "prod", "document": {"pool": 11}}
    assert imported(app_configs=[config]) == [
        "+ app_config demo/prod/3  app: demo, environment: prod, number: 3"
    ]
    assert imported(app_configs=[{**config, "env": "qa", "document": {}}]) == []
    spec = {"image": "dianrong/demo", "port": 9090}
    changes = imported(apps=[{"name": "demo", "registry": "main", "spec": spec}])
    assert [line.split("  ")[0] for line in changes] == ["~ app demo", "+ app_spec_version demo/4"]
    back = {"image": "dianrong/demo", "port": 80}
    assert imported(apps=[{"name": "demo", "registry": "main", "spec_version": 1, "spec": back}]) == [
        "~ app demo  spec_version: 4 → 1"
    ]


def test_a_change_is_not_made_a_draft_again(imported: Import) -> None:
    assert imported(changes=[{"ticket": "CHG-1", "state": "draft"}]) == []
    assert imported(changes=[{"ticket": "CHG-1", "state": "closed"}]) == [
        "~ change CHG-1  state: open → closed"
    ]


def test_times_are_the_same_in_every_zone(imported: Import) -> None:
    same = {
        "ticket": "CHG-1",
        "window_start": "2026-11-22T14:00:00Z",
        "window_end": "2026-11-22T18:00:00+00:00",
    }
    assert imported(changes=[same]) == []
