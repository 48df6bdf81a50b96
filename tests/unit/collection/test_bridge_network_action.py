"""The controller half of bridge_network: addresses are reserved when the host can have the bridge."""

from __future__ import annotations

import types

import pytest
from sqlalchemy import select

from ansible_collections.dianrong.cloud.plugins.action import bridge_network
from ansible_collections.dianrong.cloud.plugins.action.bridge_network import ActionModule
from drcloud.cmdb import importer
from drcloud.cmdb.declared import Prefix
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

IDC = """\
drcloud: 1
idcs: [{code: bj1, name: 北京, rooms: [{code: r1, racks: [a01]}]}]
prefixes:
  - {cidr: 10.90.0.0/24, idc: bj1, aggregate: true}
  - {cidr: 10.90.0.0/25, idc: bj1, purpose: management}
  - {cidr: 10.90.0.128/25, idc: bj1, aggregate: true, purpose: containers}
"""
BR0 = {"name": "br0", "mode": "uplink", "nic": "eth0", "containers": "10.90.0.128/25", "length": 28}
PLAIN = {"name": "apps", "mode": "nat", "slice": "172.30.4.0/24"}


@pytest.fixture
def store(tmp_path, monkeypatch):
    (tmp_path / "idc.yml").write_text(IDC, "utf-8")
    store = Store.create(f"sqlite:///{tmp_path}/cmdb.db")
    importer.import_files(store, importer.Request((tmp_path / "idc.yml",)))
    monkeypatch.setattr(bridge_network, "open_store", lambda: store)
    return store


def reserved(store):
    with store.read() as session:
        return [row for row in session.scalars(select(Prefix.cidr)) if row.endswith("/28")]


class Action(ActionModule):
    """An action whose host answers from a list, or with a change, and that notes what it was asked."""

    def __init__(self, *bridges, check=False, answers=()):
        self._task = types.SimpleNamespace(args={"bridges": list(bridges), "seconds": 10}, check_mode=check)
        self._connection = types.SimpleNamespace(exec_command=lambda *_, **__: (0, b"", b""))
        self.answers = list(answers)
        self.asked = []

    def _execute_module(self, module_name, module_args, task_vars):
        slices = [bridge.get("slice") for bridge in module_args["bridges"]]
        self.asked.append((slices, self._task.check_mode))
        return self.answers.pop(0) if self.answers else {"changed": True, "diff": [{"after": "br0"}]}

    def run_on(self, host):
        return self.act({"inventory_hostname": host})


def test_the_first_run_looks_and_reserves_and_changes(store):
    action = Action(BR0, PLAIN)
    result = action.run_on("dk-02")
    assert action.asked == [
        (["10.90.0.128/28", "172.30.4.0/24"], True),
        (["10.90.0.128/28", "172.30.4.0/24"], False),
    ]
    assert reserved(store) == ["10.90.0.128/28"]
    assert result["diff"][0]["after"] == {"value": "10.90.0.128/28"}


def test_what_the_host_refuses_reserves_nothing(store):
    refusal = {"failed": True, "msg": "there is no interface eno1"}
    action = Action(BR0, answers=[refusal])
    assert action.run_on("dk-02") == refusal
    assert len(action.asked) == 1
    assert reserved(store) == []
    assert not action.check_mode


def test_a_check_reserves_nothing_and_tells_what_would_be(store):
    action = Action(BR0, check=True)
    result = action.run_on("dk-02")
    assert (result["changed"], result["diff"][0]["after"]) == (True, {"value": "10.90.0.128/28"})
    assert action.asked == [(["10.90.0.128/28"], True)]
    assert reserved(store) == []


def test_who_has_addresses_keeps_them_and_is_asked_once(store):
    Action(BR0).run_on("dk-02")
    Action(BR0).run_on("dk-03")
    action = Action(BR0, answers=[{"changed": False, "diff": []}])
    assert action.run_on("dk-02") == {"changed": False, "diff": []}
    assert action.asked == [(["10.90.0.128/28"], False)]
    assert sorted(reserved(store)) == ["10.90.0.128/28", "10.90.0.144/28"]


def test_an_unknown_aggregate_is_named(store):
    with pytest.raises(InvalidInputError, match=r"10\.91\.0\.0/24"):
        Action({**BR0, "containers": "10.91.0.0/24"}).run_on("dk-02")


@pytest.mark.parametrize("bridges", [[], [PLAIN], ["br0"], [{"containers": "10.90.0.128/25"}]])
def test_without_a_bridge_that_asks_for_addresses_no_cmdb_is_needed(monkeypatch, bridges):
    monkeypatch.setattr(bridge_network, "open_store", lambda: pytest.fail("the CMDB was opened"))
    action = Action(*[one for one in bridges if isinstance(one, dict)])
    action._task.args["bridges"] = bridges
    action._execute_module = lambda **_: {"changed": False}
    assert action.run_on("dk-02") == {"changed": False}
