"""Removal of what files no longer name: only when asked, never what is in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from drcloud.cmdb import hosts, importer, lookup, snapshot
from drcloud.cmdb.importer import Request
from drcloud.cmdb.operational import Deployment, DeploymentStep
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

Pruned = Callable[[Callable[[Any], None]], list[str]]


@pytest.fixture
def pruned(filled: Store, idc: Path) -> Pruned:
    """Import the file again after an edit, and remove what it no longer names."""

    def edit(change: Callable[[Any], None]) -> list[str]:
        content = yaml.safe_load(idc.read_text(encoding="utf-8"))
        change(content)
        idc.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return [one.line() for one in importer.import_files(filled, Request((idc,), prune=True))]

    return edit


def without(name: str) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        content["hosts"] = [host for host in content["hosts"] if host["name"] != name]

    return change


def out_of_placement(content: Any) -> None:
    content["placements"][0]["hosts"] = ["dk-01"]
    without("dk-02")(content)


def test_a_host_goes_with_its_parts(filled: Store, pruned: Pruned) -> None:
    assert sorted(pruned(out_of_placement)) == [
        "- address 10.90.0.12",
        "- allocation ports:dk-02/demo/prod/a",
        "- allocation ports:dk-02/demo/prod/b",
        "- host dk-02",
        "- placement_host demo@prod/dk-02",
        "~ placement_host demo@prod/dk-01  position: 1 → 0",
    ]
    assert "dk-02" not in {host.name for host in snapshot.read(filled).hosts}


def test_another_host_takes_the_address(filled: Store, pruned: Pruned) -> None:
    def replace(content: Any) -> None:
        out_of_placement(content)
        content["hosts"].append({"name": "dk-03", "role": "docker", "address": "10.90.0.12"})

    pruned(replace)
    [host] = [host for host in snapshot.read(filled).hosts if host.address == "10.90.0.12"]
    assert host.name == "dk-03"


def test_only_sections_of_the_file(pruned: Pruned) -> None:
    assert pruned(lambda content: [content.pop(name) for name in ("hosts", "placements", "apps")]) == []
    assert pruned(lambda content: content.update(schedules=[])) == ["- schedule nightly"]


def test_allocations_belong_to_their_owners(pruned: Pruned) -> None:
    assert pruned(lambda content: content.update(allocations=[])) == []


def test_rooms_and_racks(pruned: Pruned) -> None:
    def other_idc(content: Any) -> None:
        content["idcs"].append({"code": "sh1", "rooms": [{"code": "r1", "racks": ["x"]}]})

    pruned(other_idc)
    assert pruned(lambda content: content["idcs"].pop()) == [
        "- idc sh1",
        "- room sh1/r1",
        "- rack sh1/r1/x",
    ]
    assert pruned(lambda content: content["idcs"][0]["rooms"][0].pop("racks")) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("dk-02"), "host dk-02 is not pruned: placement host demo@prod/dk-02 refers to it"),
        (without("bastion-01"), "host bastion-01 is not pruned: host dk-01 refers to it"),
        (
            lambda content: content["idcs"][0]["rooms"][0].update(racks=["a01"]),
            "rack bj1/r1/a02 is not pruned: host dk-02 refers to it",
        ),
        (lambda content: content.update(apps=[]), "app demo is not pruned: placement demo@prod refers to it"),
    ],
)
def test_what_is_referred_to_stays(
    filled: Store, pruned: Pruned, change: Callable[[Any], None], message: str
) -> None:
    before = filled.declared_seq()
    with pytest.raises(InvalidInputError) as caught:
        pruned(change)
    assert message in str(caught.value)
    assert filled.declared_seq() == before


def test_an_active_host_is_retired_first(filled: Store, pruned: Pruned) -> None:
    def move(*states: str) -> None:
        with filled.write(reason="test") as session:
            for state in states:
                hosts.transition(session, lookup.host(session, "dk-02"), state)

    move("provisioning", "active")
    with pytest.raises(InvalidInputError, match="host dk-02 is active and is not pruned: retire it first"):
        pruned(out_of_placement)
    move("maintenance", "retired")
    assert "- host dk-02" in pruned(out_of_placement)


def test_what_the_ledger_remembers_stays(filled: Store, pruned: Pruned) -> None:
    with filled.operate() as session:
        placement = lookup.placement(session, "demo", "prod")
        step = DeploymentStep(host_id=lookup.host(session, "dk-02").id, position=0, batch=0)
        session.add(
            Deployment(
                uid="d-1",
                app_id=placement.app_id,
                environment_id=placement.environment_id,
                tag="rt67",
                digest="sha256:0",
                revision="r",
                spec_version=1,
                plan={},
                actor="test",
                steps=[step],
            )
        )
    with pytest.raises(
        InvalidInputError, match="host dk-02 is not pruned: deployment_step tells of it in 1 row"
    ):
        pruned(out_of_placement)


def test_only_what_was_agreed_to(filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "none.yml"
    path.write_text("drcloud: 1\nschedules: []\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="schedule nightly would go now too; look again"):
        importer.import_files(filled, Request((path,), prune=True, agreed=frozenset()))
