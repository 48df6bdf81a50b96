"""Entries of an import file as single objects: what is left out stays, whole lists are whole."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.cmdb import entries, exporter, objects, reading, snapshot
from drcloud.cmdb.entries import Entry
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.errors import InvalidInputError, LockedError


def declare(store: Store, section: str, version: int | None = None, **fields: Any) -> list[str]:
    """Declare an entry, foretold and done, and return what changed as lines."""
    entry = Entry(section, fields, version)
    foretold = entries.declare(store, [entry], reason="test", dry_run=True)
    assert entries.declare(store, [entry], reason="test") == foretold
    assert entries.declare(store, [Entry(section, fields)], reason="test").changes == ()
    return [one.line() for one in foretold.changes]


def test_a_field_of_a_known_host(filled: Store) -> None:
    assert declare(filled, "hosts", name="dk-02", asset_tag="A-7") == ["~ host dk-02  asset_tag: none → A-7"]
    assert declare(filled, "hosts", name="dk-02", ssh={"port": 2222}) == ["~ host dk-02  ssh_port: 22 → 2222"]


def test_a_new_host_needs_what_a_file_needs(filled: Store) -> None:
    with pytest.raises(
        InvalidInputError, match=r"(?s)host dk-09: address: is missing.*host dk-09: role: is missing"
    ):
        declare(filled, "hosts", name="dk-09")
    new = declare(filled, "hosts", name="dk-09", role="docker", address="10.90.0.99")
    assert [line.split("  ")[0] for line in new] == ["+ host dk-09", "+ address 10.90.0.99"]


def test_lists_are_whole(filled: Store) -> None:
    disks = [{"path": "/dev/sdb", "purpose": "raw"}]
    declare(filled, "hosts", name="dk-02", block_devices=disks)
    changed = declare(filled, "hosts", name="dk-02", block_devices=[{"path": "/dev/sdc", "purpose": "raw"}])
    assert [line.split("  ")[0] for line in changed] == [
        "- block_device dk-02:/dev/sdb",
        "+ block_device dk-02:/dev/sdc",
    ]


def test_units_and_tags_come_with_their_host(filled: Store) -> None:
    objects.change(
        filled,
        [Wanted("hardware_model", {"rack_units": 2}, "r740"), Wanted("tag", key="gpu")],
        reason="test",
    )
    made = declare(filled, "hosts", name="dk-02", model="r740", unit=7, tags=["gpu"])
    assert [line.split("  ")[0] for line in made] == [
        "~ host dk-02",
        "+ host_tag dk-02/gpu",
        "+ rack_slot bj1/r1/a02/7",
        "+ rack_slot bj1/r1/a02/8",
    ]


def test_the_way_back_to_the_beginning(filled: Store) -> None:
    declare(filled, "hosts", name="dk-02", state="provisioning")
    assert declare(filled, "hosts", name="dk-02", state="planned", asset_tag="A-7") == [
        "~ host dk-02  asset_tag: none → A-7, state: provisioning → planned"
    ]
    declare(filled, "hosts", name="dk-02", state="provisioning")
    declare(filled, "hosts", name="dk-02", state="active")
    with pytest.raises(InvalidInputError, match="host dk-02 is active and cannot become planned"):
        declare(filled, "hosts", name="dk-02", state="planned")
    declare(filled, "changes", ticket="CHG-1", state="approved")
    assert declare(filled, "changes", ticket="CHG-1", state="draft") == [
        "~ change CHG-1  state: approved → draft"
    ]


def test_versions_of_an_app_are_numbered(filled: Store) -> None:
    spec = {"image": "dianrong/demo", "port": 8081}
    assert declare(filled, "apps", name="demo", spec=spec) == [
        "~ app demo  spec_version: 1 → 2",
        "+ app_spec_version demo/2  app: demo, number: 2",
    ]
    for number in (1, 2):
        assert declare(filled, "app_configs", app="demo", env="prod", document={"A": str(number)}) == [
            f"+ app_config demo/prod/{number}  app: demo, environment: prod, number: {number}"
        ]


def test_a_placement_gets_its_ports_and_keeps_what_is_not_said(filled: Store) -> None:
    made = declare(filled, "placements", app="demo", env="qa", hosts=["dk-01"])
    ports = [line.split("  ")[0] for line in made if "allocation" in line]
    assert ports == ["+ allocation ports:dk-01/demo/qa/a", "+ allocation ports:dk-01/demo/qa/b"]
    assert declare(filled, "placements", app="demo", env="prod", batch=2) == [
        "~ placement demo@prod  batch: 1 → 2"
    ]


def test_a_batch_may_be_a_share_of_the_hosts(filled: Store) -> None:
    place = {"app": "demo", "env": "prod"}
    maintained = Wanted("placement", {"attrs.maintenance": True}, "demo@prod")
    objects.change(filled, [maintained], reason="test")
    assert declare(filled, "placements", **place, batch="25%")[0].startswith("~ placement demo@prod  attrs: ")
    assert declare(filled, "placements", **place, batch="25%") == []
    assert share(filled) == (1, 25, True)
    declare(filled, "placements", **place, min_in_service=0, batch="50%")
    declare(filled, "placements", **place, attrs={"maintenance": True, "note": "n"})
    assert share(filled) == (1, 50, True), "nothing was said of it"
    text = exporter.export(filled)
    assert "batch: 50%" in text
    assert "batch_percent" not in text
    declare(filled, "placements", **place, batch="2")
    assert share(filled) == (2, None, True)


def share(store: Store) -> tuple[int, int | None, bool]:
    row = next(row for row in snapshot.read(store).placements if (row.app, row.env) == ("demo", "prod"))
    return row.batch, row.batch_percent, row.maintenance


@pytest.mark.parametrize("batch", [0, -1, "0", "0%", "101%", "25 %", "%", "many", True, None, 2.0])
def test_what_is_no_batch(filled: Store, batch: object) -> None:
    with pytest.raises(InvalidInputError, match=r"batch: .* is neither a number of hosts, as 2, nor a share"):
        declare(filled, "placements", app="demo", env="prod", batch=batch)


def test_problems_are_told_by_object_and_field(filled: Store) -> None:
    with pytest.raises(InvalidInputError, match=r"^host dk-02: rack: there is no rack 'x/y/z' in the CMDB"):
        declare(filled, "hosts", name="dk-02", rack="x/y/z")
    with pytest.raises(
        InvalidInputError, match=r"^app demo: spec\.porrt: there is no such field: did you mean port"
    ):
        declare(filled, "apps", name="demo", spec={"image": "dianrong/demo", "port": 1, "porrt": 8})
    with pytest.raises(LockedError, match="host dk-02 is at version 1, not 4"):
        declare(filled, "hosts", 4, name="dk-02", asset_tag="A-1")


def test_reading_by_fields_and_by_time(filled: Store) -> None:
    before = filled.declared_seq()
    declare(filled, "hosts", name="dk-02", attrs={"team": "支付"})
    assert [one.key for one in reading.read(filled, "host", where={"attrs.team": ["支付", "x"]})] == ["dk-02"]
    assert [
        one.key for one in reading.read(filled, "host", where={"rack": "bj1/r1/a02", "role": "docker"})
    ] == ["dk-02"]
    assert reading.read(filled, "host", where={"attrs.team": "支付"}, as_of=str(before)) == []
    [past] = reading.read(filled, "host", ["dk-02"], as_of=str(before))
    assert (past.version, past.fields["address"], past.fields["attrs"]) == (None, "10.90.0.12", {})
    for where in ({"sate": "active"}, {"state": "actve"}, {"rack": "bj1/r1/a1"}):
        with pytest.raises(InvalidInputError, match=r"did you mean|must be one of"):
            reading.read(filled, "host", where=where)
