"""Imports: idempotent, field by field, and what moves makes room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import func, select

from drcloud.cmdb import exporter, hosts, importer, lookup, snapshot
from drcloud.cmdb.declared import Allocation, AppSpecVersion, Host, Release
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

Again = Callable[[Callable[[Any], None]], tuple[Change, ...]]


@pytest.fixture
def again(filled: Store, idc: Path) -> Again:
    """Import the file again after an edit of its content."""

    def edit(change: Callable[[Any], None]) -> tuple[Change, ...]:
        content = yaml.safe_load(idc.read_text(encoding="utf-8"))
        change(content)
        idc.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return importer.import_files(filled, importer.Request((idc,)))

    return edit


NO_DISK = dict.fromkeys(("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "app"))


def host(content: Any, name: str) -> Any:
    return next(entry for entry in content["hosts"] if entry["name"] == name)


def lines(changes: tuple[Change, ...]) -> list[str]:
    return [change.line() for change in changes]


def row(store: Store, name: str) -> snapshot.HostRow:
    return next(one for one in snapshot.read(store).hosts if one.name == name)


def test_the_file_arrives(filled: Store) -> None:
    seen = snapshot.read(filled)
    dk = row(filled, "dk-01")
    assert (dk.idc, dk.room, dk.rack) == ("bj1", "r1", "bj1/r1/a01")
    assert (dk.address, dk.ssh_user, dk.ssh_port, dk.ssh_via) == ("10.90.0.11", "ops", 22, "bastion-01")
    assert dk.attrs == {"owner": "张三", "note": "{{ lookup('pipe', 'id') }}"}
    assert dk.block_devices == (
        {**NO_DISK, "serial": "S-1", "purpose": "docker-data"},
        {**NO_DISK, "path": "/dev/sdb", "purpose": "spare"},
    )
    assert seen.environments == ("qa", "prod")
    assert [registry.endpoint for registry in seen.registries] == ["10.90.0.31:5000"]
    assert [(app.name, app.registry, app.spec_version, app.spec["port"]) for app in seen.apps] == [
        ("demo", "main", 1, 8080)
    ]
    [placement] = seen.placements
    assert (placement.hosts, placement.lbs) == (("dk-02", "dk-01"), ("lb-01",))
    assert placement.ports == {"dk-02": {"a": 20000, "b": 20001}, "dk-01": {"a": 20000, "b": 20001}}
    assert seen.seq == filled.declared_seq()


def test_twice_changes_nothing(filled: Store, idc: Path) -> None:
    seq = filled.declared_seq()
    assert importer.import_files(filled, importer.Request((idc,))) == ()
    assert filled.declared_seq() == seq


def test_dry_run_tells_and_writes_nothing(store: Store, idc: Path) -> None:
    told = importer.import_files(store, importer.Request((idc,)), dry_run=True)
    assert store.declared_seq() == 0
    assert importer.import_files(store, importer.Request((idc,))) == told


def test_the_log_says_why(filled: Store, idc: Path) -> None:
    with filled.read() as session:
        assert set(session.scalars(select(ChangeLog.reason))) == {"import of idc.yml"}


def test_a_changed_field(filled: Store, again: Again) -> None:
    changes = again(lambda content: host(content, "dk-02").update(rack="bj1/r1/a01"))
    assert lines(changes) == ["~ host dk-02  rack: bj1/r1/a02 → bj1/r1/a01"]
    assert row(filled, "dk-02").rack == "bj1/r1/a01"


def test_what_the_file_leaves_out_stays_and_null_empties(filled: Store, again: Again) -> None:
    assert again(lambda content: host(content, "dk-01").pop("serial")) == ()
    assert row(filled, "dk-01").serial == "SN-1"
    again(lambda content: host(content, "dk-01").update(serial=None))
    assert row(filled, "dk-01").serial is None


def test_objects_the_file_leaves_out_stay(filled: Store, again: Again) -> None:
    assert again(lambda content: content.pop("schedules")) == ()
    assert again(lambda content: content.update(placements=[], apps=[])) == ()
    assert len(snapshot.read(filled).placements) == 1


def test_a_host_in_service_is_not_planned_again(filled: Store, idc: Path) -> None:
    with filled.write(reason="provision") as session:
        dk = lookup.host(session, "dk-01")
        hosts.transition(session, dk, "provisioning")
        hosts.transition(session, dk, "active")
        hosts.pin_keys(session, dk, {"ssh-ed25519": "AAAA"})
    assert importer.import_files(filled, importer.Request((idc,))) == ()
    assert row(filled, "dk-01").state == "active"
    assert len(snapshot.read(filled).host_keys) == 1


def test_states_move_as_they_may(filled: Store, again: Again) -> None:
    again(lambda content: host(content, "dk-01").update(state="provisioning"))
    assert row(filled, "dk-01").state == "provisioning"
    with pytest.raises(InvalidInputError, match="host dk-01 is provisioning and cannot become maintenance"):
        again(lambda content: host(content, "dk-01").update(state="maintenance"))


def test_a_new_address(filled: Store, again: Again) -> None:
    changes = again(lambda content: host(content, "dk-01").update(address="10.90.0.99"))
    assert lines(changes) == [
        "- address 10.90.0.11",
        "+ address 10.90.0.99  address: 10.90.0.99, host: dk-01, prefix: 10.90.0.0/24, purpose: management",
    ]
    assert row(filled, "dk-01").address == "10.90.0.99"


def test_two_hosts_swap_addresses(filled: Store, again: Again) -> None:
    def swap(content: Any) -> None:
        host(content, "dk-01")["address"], host(content, "dk-02")["address"] = "10.90.0.12", "10.90.0.11"

    again(swap)
    assert (row(filled, "dk-01").address, row(filled, "dk-02").address) == ("10.90.0.12", "10.90.0.11")


def test_an_address_is_not_taken_from_a_host_outside_of_the_file(filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "more.yml"
    path.write_text("drcloud: 1\nhosts: [{name: dk-09, role: docker, address: 10.90.0.11}]\n")
    with pytest.raises(
        InvalidInputError, match=r"more\.yml:2: hosts\[0\]\.address: 10\.90\.0\.11 belongs to host dk-01"
    ):
        importer.import_files(filled, importer.Request((path,)))


def test_a_prefix_must_not_overlap_one_of_the_cmdb(filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "more.yml"
    path.write_text("drcloud: 1\nprefixes: [{cidr: 10.90.0.0/16}]\n")
    with pytest.raises(InvalidInputError, match=r"prefix 10\.90\.0\.0/16 overlaps 10\.90\.0\.0/24"):
        importer.import_files(filled, importer.Request((path,)))


def test_disks_are_a_whole_list(filled: Store, again: Again) -> None:
    changes = again(
        lambda content: host(content, "dk-01").update(block_devices=[{"path": "/dev/sdb", "purpose": "raw"}])
    )
    assert lines(changes) == [
        "- block_device dk-01:S-1",
        "~ block_device dk-01:/dev/sdb  purpose: spare → raw",
    ]


def test_a_new_specification_is_a_new_version(filled: Store, again: Again) -> None:
    again(lambda content: content["apps"][0]["spec"].update(port=9090))
    [app] = snapshot.read(filled).apps
    assert (app.spec_version, app.spec["port"]) == (2, 9090)
    with filled.read() as session:
        assert session.scalars(select(func.count(AppSpecVersion.id))).one() == 2


def test_hosts_join_and_leave_a_placement_and_ports_stay(filled: Store, again: Again) -> None:
    again(lambda content: content["placements"][0].update(hosts=["dk-01"]))
    assert snapshot.read(filled).placements[0].hosts == ("dk-01",)
    with filled.read() as session:
        assert session.scalars(select(func.count(Allocation.id))).one() == 4
    again(lambda content: content["placements"][0].update(hosts=["dk-01", "dk-02"]))
    assert snapshot.read(filled).placements[0].ports["dk-02"] == {"a": 20000, "b": 20001}


def test_ports_of_a_second_app_do_not_meet_those_of_the_first(filled: Store, again: Again) -> None:
    def second(content: Any) -> None:
        content["apps"].append({"name": "shop", "spec": {"image": "shop", "port": 80}})
        content["placements"].append({"app": "shop", "env": "prod", "hosts": ["dk-01"]})

    again(second)
    assert snapshot.read(filled).placements[1].ports == {"dk-01": {"a": 20002, "b": 20003}}


def test_two_placements_never_share_a_port_of_a_load_balancer(again: Again) -> None:
    with pytest.raises(
        InvalidInputError, match="port 8080 of load balancer lb-01 belongs to placement_lb demo@prod/lb-01"
    ):
        again(lambda content: content["placements"].append({**content["placements"][0], "env": "qa"}))


def test_a_second_registry_makes_apps_name_theirs(again: Again) -> None:
    def second(content: Any) -> None:
        content["registries"].append({"name": "other", "endpoint": "registry:5000"})
        content["apps"].append({"name": "shop", "spec": {"image": "shop", "port": 80}})

    with pytest.raises(
        InvalidInputError, match=r"apps\[1\]: app shop needs a registry: say which|apps\[1\]\.registry"
    ):
        again(second)


def test_export_then_import_is_the_identity(filled: Store, tmp_path: Path) -> None:
    with filled.write(reason="life") as session:
        dk = lookup.host(session, "dk-01")
        hosts.pin_keys(session, dk, {"ssh-ed25519": "AAAA"})
        hosts.transition(session, dk, "provisioning")
        app = lookup.app(session, "demo")
        session.add(Release(app=app, tag="v1", digest="sha256:" + "0" * 64, git_ref="main", build="7"))
    text = exporter.export(filled)
    assert "北京一号机房" in text
    path = tmp_path / "export.yml"
    path.write_text(text, encoding="utf-8")
    assert importer.import_files(filled, importer.Request((path,))) == ()
    copy = Store.create(f"sqlite:///{tmp_path}/copy.sqlite3")
    importer.import_files(copy, importer.Request((path,)))
    assert exporter.export(copy) == text
    one, other = snapshot.read(filled), snapshot.read(copy)
    assert {**_plain(one), "seq": 0} == {**_plain(other), "seq": 0}


def _plain(seen: snapshot.Snapshot) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in snapshot.Snapshot.__slots__}


def test_an_empty_cmdb_exports_an_importable_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.yml"
    path.write_text(exporter.export(store))
    assert importer.import_files(store, importer.Request((path,))) == ()


def test_every_sample_of_the_repository_imports(store: Store, tmp_path: Path) -> None:
    inventories = Path(__file__).parents[3] / "inventories"
    samples = [*inventories.glob("*/idc.yml"), *inventories.glob("*/company.yml")]
    assert len(samples) == 3
    for sample in samples:
        own = Store.create(f"sqlite:///{tmp_path}/{sample.parent.name}-{sample.stem}.sqlite3")
        assert importer.import_files(own, importer.Request((sample,)))
        with own.read() as session:
            assert session.scalars(select(func.count(Host.id))).one() > 0


def test_two_sections_of_one_alias(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "anchors.yml"
    path.write_text(
        "drcloud: 1\nprefixes: [{cidr: 10.0.0.0/24}]\nhosts:\n"
        "  - &host {name: a, role: docker, address: 10.0.0.1}\n"
        "  - {<<: *host, name: b, address: 10.0.0.2}\n"
    )
    importer.import_files(store, importer.Request((path,)))
    assert [one.name for one in snapshot.read(store).hosts] == ["a", "b"]


def test_dates_are_text(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "dates.yml"
    path.write_text(
        "drcloud: 1\nprefixes: [{cidr: 10.0.0.0/24}]\nhosts:\n"
        "  - {name: a, role: docker, address: 10.0.0.1, serial: 2024-01-02, attrs: {bought: 2024-01-02}}\n"
    )
    importer.import_files(store, importer.Request((path,)))
    assert (row(store, "a").serial, row(store, "a").attrs) == ("2024-01-02", {"bought": "2024-01-02"})


def test_a_host_without_an_address_is_not_left_out_of_an_export(filled: Store, tmp_path: Path) -> None:
    with filled.write(reason="x") as session:
        session.add(Host(name="bare", role="docker"))
    path = tmp_path / "export.yml"
    path.write_text(exporter.export(filled), encoding="utf-8")
    assert "name: bare\n  role: docker\n  state: planned\n  address: null\n" in path.read_text(
        encoding="utf-8"
    )
    assert importer.import_files(filled, importer.Request((path,))) == ()
