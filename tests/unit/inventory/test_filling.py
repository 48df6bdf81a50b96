"""Filling in bulk gives the very inventory that ansible-core's own calls give."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.inventory.data import InventoryData

from ansible_collections.dianrong.cloud.plugins.plugin_utils._filling import can_write, fill, withdraw
from drcloud.cmdb import inventory as model


def picture(inventory: InventoryData) -> dict[str, Any]:
    """Return all that playbooks can see of an inventory."""
    return {
        "hosts": {name: host.get_vars() for name, host in inventory.hosts.items()},
        "groups": {
            name: {
                "hosts": [host.name for host in group.get_hosts()],
                "children": [child.name for child in group.child_groups],
                "depth": group.depth,
                "vars": group.get_vars(),
            }
            for name, group in inventory.groups.items()
        },
    }


def filled(fleet, direct: bool | None) -> InventoryData:
    inventory, found = InventoryData(), model.build(fleet)
    # Another source was there before, with one of our hosts and one of our groups.
    inventory.add_group("role_docker")
    inventory.add_host("dk-01", "role_docker")
    inventory.add_host("elsewhere", "role_docker")
    inventory.set_variable("dk-01", "mine", "kept")
    fill(inventory, found, model.names(found.groups), direct)
    return inventory


def test_both_ways_give_the_same(fleet):
    direct, public = filled(fleet, True), filled(fleet, False)
    direct.reconcile_inventory()
    public.reconcile_inventory()
    assert picture(direct) == picture(public)
    assert direct.get_groups_dict() == public.get_groups_dict()


def test_this_ansible_core_takes_the_fast_way(fleet, monkeypatch):
    calls: list[str] = []
    assert can_write(InventoryData)
    monkeypatch.setattr(InventoryData, "add_child", lambda *arguments: calls.append(arguments[2]))
    filled(fleet, None)
    assert not [name for name in calls if name in {"dk-01", "dk-02", "lb-01", "bastion-01"}]


def test_another_kind_of_inventory_takes_the_public_way(fleet):
    class Counting(InventoryData):
        """Keeps a book of its own, which a direct write does not reach."""

        def add_host(self, host, group=None, port=None):
            name = super().add_host(host, group, port)
            self.hosts[name].__dict__["calls"] = self.hosts[name].__dict__.get("calls", 0) + 1
            return name

    assert can_write(InventoryData)
    assert not can_write(Counting)
    inventory, found = Counting(), model.build(fleet)
    fill(inventory, found, model.names(found.groups))
    assert all(host.calls == 1 for host in inventory.hosts.values())
    assert inventory.hosts["dk-02"].vars["dr_role"] == "docker"


def test_merged_variables_take_the_public_way(monkeypatch):
    monkeypatch.setattr("ansible.constants.DEFAULT_HASH_BEHAVIOUR", "merge")
    assert not can_write.__wrapped__(InventoryData)


@pytest.mark.parametrize("direct", [True, False])
def test_what_was_filled_in_can_be_withdrawn(fleet, direct):
    inventory, found = InventoryData(), model.build(fleet)
    inventory.add_host("elsewhere", inventory.add_group("others"))
    before = picture(inventory)
    known = set(inventory.hosts), set(inventory.groups)
    fill(inventory, found, model.names(found.groups), direct)
    inventory.add_child("others", "role_docker")
    withdraw(inventory, *known)
    after = picture(inventory)
    after["groups"]["all"]["vars"] = {}
    assert after == before
