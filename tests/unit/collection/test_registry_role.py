"""Where the role has a registry run, and what it takes from the CMDB for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

COLLECTION = Path(__file__).parents[3] / "collections/dianrong/cloud"
ROLE = COLLECTION / "roles/registry"
MAIN = {
    "name": "main", "host": "infra-01", "endpoint": "10.90.0.31:5000", "port": 5000,
    "username": "drcloud", "password": "env:PASSWORD", "ca": None,
}  # fmt: skip
CA = {"registry_ca_certificate": "file:/ca.pem", "registry_ca_key": "file:/ca.key"}


def templar(*registries, **variables):
    """Return what makes values of templates as on infra-01, with the role's defaults."""
    loader = DataLoader()
    defaults = loader.load_from_file(str(ROLE / "defaults/main.yml"), trusted_as_template=True)
    host = {"inventory_hostname": "infra-01", "ansible_host": "10.90.0.31", "dr_registries": list(registries)}
    return Templar(loader=loader, variables={**defaults, **host, **variables})


def value(name, *registries, **variables):
    """Return a variable of the role as infra-01 has it."""
    found = templar(*registries, **variables)
    return found.template(found.available_variables[name])


def objections(*registries, **variables):
    """Return what the role's first task says against a host; nothing when it goes on."""
    loader = DataLoader()
    (task,) = loader.load_from_file(str(ROLE / "tasks/precheck.yml"), trusted_as_template=True)
    found = templar(*registries, **task["vars"], **variables)
    holds = found.evaluate_conditional(task["ansible.builtin.assert"]["that"])
    return "" if holds else found.template(task["ansible.builtin.assert"]["fail_msg"])


def test_a_registry_listens_where_the_cmdb_says():
    assert value("registry_port", MAIN) == 5000
    assert value("registry_port", {**MAIN, "host": "infra-02", "port": 444}, {**MAIN, "port": 443}) == 443
    assert value("registry_port") == 5000


def test_registries_that_a_site_writes_by_hand_need_no_host_and_no_port():
    assert value("registry_declared", {"name": "far", "endpoint": "far:5000"}) == []
    assert value("registry_port", {"name": "near", "endpoint": "near:5000", "host": "infra-01"}) == 5000


@pytest.mark.parametrize("endpoint", ["10.90.0.31:443", "registry.example.com:5000", "registry.example.com"])
def test_the_accounts_are_those_of_the_registries_on_this_host_whatever_they_are_called(endpoint):
    mine = {**MAIN, "endpoint": endpoint}
    other = {**MAIN, "name": "far", "host": None, "username": "stranger"}
    assert value("registry_accounts", mine, other) == [{"name": "drcloud", "password": "env:PASSWORD"}]


@pytest.mark.parametrize(
    ("endpoint", "more"),
    [
        ("10.90.0.31:5000", []),
        ("registry.example.com:5000", ["registry.example.com"]),
        ("registry.example.com", ["registry.example.com"]),
        ("[fd00::1]:5000", ["fd00::1"]),
    ],
)
def test_the_certificate_is_also_for_the_name_that_others_use(endpoint, more):
    names = value("registry_certificate_names", {**MAIN, "endpoint": endpoint})
    assert names == ["10.90.0.31", "infra-01", *more]


def test_what_is_missing_is_said_at_once():
    assert objections(MAIN, **CA) == ""
    assert objections(MAIN, registry_certificate="file:/own.pem") == ""
    told = objections({**MAIN, "username": None})
    assert "the registry on infra-01 is served over TLS only: set registry_certificate" in told
    assert "serves known accounts only: give it username and password in the CMDB" in told


def test_two_ports_for_one_registry_are_refused():
    told = objections(MAIN, {**MAIN, "name": "second", "port": 5443}, **CA)
    assert "has one port, and the CMDB declares 5000 and 5443 for it" in told


@pytest.mark.parametrize(("port", "capability"), [(443, "CAP_NET_BIND_SERVICE"), (5000, "")])
def test_only_a_port_of_the_system_takes_a_capability(port, capability):
    drop_in = (ROLE / "templates/drcloud.conf.j2").read_text("utf-8")
    made = templar({**MAIN, "port": port}).template(trust_as_template(drop_in))
    assert f"\nCapabilityBoundingSet={capability}\n" in made
    assert ("AmbientCapabilities" in made) == bool(capability)
