"""The CMDB's modules in real playbooks: check mode, diff, idempotence, errors, and many forks at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb import reading
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store

from .conftest import Controller

FORKS = 50
DIGEST = "sha256:" + "a" * 64
# Module and options of each step; a later one needs what the former made.
STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "network": (
        "cmdb_network",
        {
            "vlans": [{"idc": "bj1", "vid": 120, "name": "storage"}],
            "prefixes": [
                {"cidr": "10.92.0.0/16", "idc": "bj1", "aggregate": True},
                {"cidr": "10.92.1.0/24", "idc": "bj1", "vlan": 120, "purpose": "storage"},
            ],
            "addresses": [{"address": "10.92.1.9", "purpose": "gateway"}],
        },
    ),
    "host": (
        "cmdb_host",
        {
            "name": "dk-03",
            "role": "docker",
            "rack": "bj1/r1/a02",
            "address": "10.90.0.13",
            "ssh": {"user": "ops"},
            "block_devices": [{"path": "/dev/sdb", "purpose": "docker-data"}],
        },
    ),
    "moved": (
        "cmdb_host",
        {"names": ["dk-01", "dk-02", "lb-01"], "only_from": ["planned"], "state": "provisioning"},
    ),
    "objects": (
        "cmdb_object",
        {
            "objects": [
                {"kind": "host", "name": "dk-03", "fields": {"rack": "bj1/r1/a03", "attrs.team": "支付"}},
                {"kind": "rack", "name": "bj1/r1/a03", "fields": {"units": 47}},
            ]
        },
    ),
    "app": (
        "cmdb_app",
        {
            "name": "shop",
            "spec": {"image": "dianrong/shop", "port": 8080},
            "configs": [{"env": "prod", "document": {"CURRENCY": "CNY"}}],
            "placements": [{"env": "prod", "hosts": ["dk-01", "dk-03"], "lb_port": 8080, "lbs": ["lb-01"]}],
        },
    ),
    "release": ("cmdb_release", {"app": "shop", "tag": "rt67", "digest": DIGEST, "channels": ["prod"]}),
    "change": (
        "cmdb_change",
        {
            "name": "CHG-1042",
            "window_start": "2026-03-01T22:00+08:00",
            "window_end": "2026-03-02T02:00+08:00",
            "scope": {"environment": ["prod"]},
        },
    ),
    "approved": ("cmdb_change", {"name": "CHG-1042", "state": "approved"}),
    "address": (
        "cmdb_allocation",
        {
            "type": "address",
            "prefix": "10.92.1.0/24",
            "owner": "dk-03/bmc",
            "purpose": "bmc",
            "host": "dk-03",
        },
    ),
    "subnet": ("cmdb_allocation", {"type": "subnet", "prefix": "10.92.0.0/16", "owner": "dk-03/containers"}),
    "port": ("cmdb_allocation", {"type": "port", "host": "dk-03", "owner": "shop/qa/a"}),
    "freed": (
        "cmdb_allocation",
        {"type": "port", "host": "dk-03", "owner": "shop/qa/a", "state": "absent"},
    ),
    "gone": ("cmdb_network", {"addresses": [{"address": "10.92.1.9"}], "state": "absent"}),
}
MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "kind": ("cmdb_object", {"kind": "hots", "name": "x"}, "the CMDB has no kind 'hots': did you mean host?"),
    "field": (
        "cmdb_object",
        {"kind": "host", "name": "dk-01", "fields": {"rak": "bj1/r1/a01"}},
        "host dk-01: rak: there is no such field: did you mean rack?",
    ),
    "reference": (
        "cmdb_host",
        {"name": "dk-01", "rack": "bj1/r1/a9"},
        "host dk-01: rack: there is no rack 'bj1/r1/a9' in the CMDB: did you mean",
    ),
    "stale": (
        "cmdb_object",
        {"kind": "host", "name": "dk-02", "fields": {"asset_tag": "A-2"}, "version": 7},
        "host dk-02 is at version 1, not 7",
    ),
    "move": (
        "cmdb_host",
        {"name": "lb-01", "state": "active"},
        "host lb-01 is planned and cannot become active",
    ),
    "name": (
        "cmdb_host",
        {"name": "dk-1", "state": "provisioning"},
        "there is no host 'dk-1' in the CMDB: did you mean",
    ),
    "used": (
        "cmdb_network",
        {"prefixes": [{"cidr": "10.90.0.0/24"}], "state": "absent"},
        "is still used by address",
    ),
    "window": (
        "cmdb_change",
        {"name": "CHG-1", "window_start": "2026-03-02T00:00Z", "window_end": "2026-03-01T00:00Z"},
        "change CHG-1: window_end: the window ends at",
    ),
    "nothing": ("cmdb_info", {"kind": "host", "filters": {"sate": "active"}}, "host has no field 'sate'"),
}

# What the database has no part in.
ON_ONE_ENGINE = pytest.mark.parametrize("cmdb_url", ["sqlite"], indirect=True)


def task(module: str, options: dict[str, Any], register: str, **keywords: Any) -> dict[str, Any]:
    return {f"dianrong.cloud.{module}": options, "register": register, **keywords}


def test_check_mode_foretells_what_is_done_and_then_nothing_is_left(controller: Controller) -> None:
    tasks = []
    for name, (module, options) in STEPS.items():
        tasks.append(task(module, options, f"{name}_foretold", check_mode=True))
        tasks.append(task(module, options, f"{name}_done"))
        tasks.append(task(module, options, f"{name}_again"))
    found = controller.results(tasks)
    for name in STEPS:
        foretold, done, again = (found[f"{name}_{when}"] for when in ("foretold", "done", "again"))
        assert done["changed"], name
        assert foretold == done, name
        assert not again["changed"], name
    store = Store.open(controller.url)
    with store.read() as session:
        log = session.scalars(select(ChangeLog).where(ChangeLog.ticket == "CHG-7")).all()
    assert {row.reason for row in log} == {"test"}
    assert reading.read(store, "host", ["dk-03"])[0].fields["attrs"] == {"team": "支付"}


@ON_ONE_ENGINE
def test_mistakes_are_told_by_object_and_field_and_write_nothing(controller: Controller) -> None:
    before = Store.open(controller.url).declared_seq()
    found = controller.results(
        [
            task(module, options, f"{name}_{mode}", ignore_errors=True, check_mode=mode == "checked")
            for name, (module, options, _) in MISTAKES.items()
            for mode in ("checked", "done")
        ]
    )
    for name, (_, _, message) in MISTAKES.items():
        for mode in ("checked", "done"):
            assert found[f"{name}_{mode}"]["failed"], name
            assert message in found[f"{name}_{mode}"]["msg"], name
    assert found["stale_done"]["dr_exit_code"] == 5
    assert found["field_done"]["dr_exit_code"] == 2
    assert Store.open(controller.url).declared_seq() == before


@ON_ONE_ENGINE
def test_reading_gives_data_and_never_templates(controller: Controller) -> None:
    note = "{{ lookup('pipe', 'id') }}"
    lookup = "{{ lookup('dianrong.cloud.cmdb', 'host', 'dk-01').attrs.note }}"
    query = "{{ query('dianrong.cloud.cmdb', 'host', filters={'role': 'docker'}) | map(attribute='name') }}"
    found = controller.results(
        [
            task("cmdb_info", {"kind": "host", "name": "dk-01"}, "info"),
            task("cmdb_info", {"kind": "host", "filters": {"rack": "bj1/r1/a01"}}, "filtered"),
            task("cmdb_info", {"kind": "host", "as_of": "1"}, "past"),
            {"ansible.builtin.debug": {"msg": lookup}, "register": "note"},
            {"ansible.builtin.debug": {"msg": query}, "register": "names"},
            {
                "ansible.builtin.debug": {"msg": "{{ info.objects[0].fields.attrs.note }}"},
                "register": "again",
            },
        ]
    )
    [host] = found["info"]["objects"]
    assert (host["key"], host["version"], host["fields"]["address"]) == ("dk-01", 1, "10.90.0.11")
    assert [one["key"] for one in found["filtered"]["objects"]] == ["dk-01", "lb-01"]
    assert found["past"]["objects"] == []
    note = "{{ lookup('pipe', 'id') }}"
    assert (host["fields"]["attrs"]["note"], found["note"]["msg"], found["again"]["msg"]) == (
        note,
        note,
        note,
    )
    assert found["names"]["msg"] == ["dk-01", "dk-02"]


def test_many_forks_at_once(controller: Controller) -> None:
    names = [f"h-{number:02d}" for number in range(FORKS)]
    tasks = [
        task(
            "cmdb_allocation",
            {"type": "subnet", "prefix": "10.92.0.0/16", "owner": "{{ inventory_hostname }}/containers"},
            "subnet",
        ),
        task(
            "cmdb_host",
            {
                "name": "{{ inventory_hostname }}",
                "role": "docker",
                "address": "10.90.0.{{ 100 + groups.all.index(inventory_hostname) }}",
                "attrs": {"containers": "{{ subnet.value }}"},
            },
            "host",
        ),
    ]
    aggregate = {"prefixes": [{"cidr": "10.92.0.0/16", "aggregate": True}]}
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {"group/dianrong.cloud.cmdb": {"reason": "fork"}},
        "tasks": [task("cmdb_network", aggregate, "network", run_once=True), *tasks],
    }
    done = controller.play([play], "-i", ",".join(names), "--forks", str(FORKS))
    assert done.returncode == 0, done.stdout + done.stderr
    store = Store.open(controller.url)
    hosts = {one.key: one.fields for one in reading.read(store, "host", names)}
    assert len({fields["attrs"]["containers"] for fields in hosts.values()}) == FORKS
    with store.read() as session:
        log = session.execute(select(ChangeLog.seq, ChangeLog.kind, ChangeLog.reason)).all()
    assert sorted(seq for seq, _, _ in log) == list(range(1, store.declared_seq() + 1))
    written = Counter(kind for _, kind, reason in log if reason == "fork")
    assert written == {"prefix": FORKS + 1, "allocation": FORKS, "host": FORKS, "address": FORKS}
