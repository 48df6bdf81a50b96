"""The sample company is one that the playbooks take: each role goes to the hosts that it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from drcloud.cmdb import assembly, importer
from drcloud.cmdb.inventory import Inventory
from drcloud.cmdb.options import parse
from drcloud.cmdb.store import Store

REPOSITORY = Path(__file__).parents[3]
PROVISION = REPOSITORY / "collections/dianrong/cloud/playbooks/provision.yml"
# The hosts of each IDC that no app runs on.
SPECIAL = [f"sh1-{name}" for name in ("bastion-01", "infra-01", "infra-02", "infra-03", "lb-01", "lb-02")]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """The sample as an inventory."""
    store = Store.create(f"sqlite:///{tmp_path_factory.mktemp('company')}/cmdb.sqlite3")
    importer.import_files(store, importer.Request((REPOSITORY / "inventories/idc/company.yml",)))
    return assembly.read(store, assembly.Wanted(parse({}))).inventory


def hosts_of(company: Inventory, task: str) -> list[str]:
    """Return the special hosts for which a task of the playbook is, as Ansible judges its condition."""
    loader = DataLoader()
    plays = loader.load_from_file(str(PROVISION), trusted_as_template=True)
    ((play, condition),) = [
        (play, one["when"]) for play in plays for one in play["tasks"] if one["name"] == task
    ]
    groups = company.groups.members
    found = []
    for host in [*SPECIAL, *(name.replace("sh1", "bj1") for name in SPECIAL)]:
        own = {"inventory_hostname": host, "group_names": [name for name in groups if host in groups[name]]}
        known: dict[str, Any] = {**company.everywhere, **company.hosts[host], **own, "groups": groups}
        known |= play.get("vars", {})
        if Templar(loader=loader, variables=known).evaluate_conditional(condition):
            found.append(host)
    return found


def test_a_registry_is_where_one_is_declared_and_not_on_every_infrastructure_host(company: Inventory) -> None:
    assert hosts_of(company, "Registries") == ["sh1-infra-01"]


def test_each_idc_has_a_log_server_of_its_own(company: Inventory) -> None:
    assert hosts_of(company, "Log servers") == ["sh1-infra-02", "bj1-infra-02"]
    assert len(hosts_of(company, "Central log")) == 2 * len(SPECIAL)
