"""What the role takes for the services of a host: the ports at which the other roles listen there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROLES = Path(__file__).parents[3] / "collections/dianrong/cloud/roles"
# The variable by which a role is told its port; the service; a host that runs it.
REGISTRY = {"name": "main", "host": "infra-01", "port": 5000}
INFRA = {"inventory_hostname": "infra-01", "dr_registries": [REGISTRY, {"name": "other", "port": 443}]}
LISTENERS = [
    ("central_logging", "central_logging_port", "log", {"group_names": ["tag_log_server"]}),
    ("docker_engine", "docker_engine_api_port", "api", {"group_names": ["role_docker"]}),
    ("load_balancer", "load_balancer_stats_port", "lb_admin", {"group_names": ["role_lb"]}),
    ("load_balancer", "load_balancer_state_port", "lb_admin", {"group_names": ["role_lb"]}),
]


def services(**variables):
    """Return the services of a host with these variables, as Ansible makes them of the role's defaults."""
    loader = DataLoader()
    known = {"inventory_hostname": "dk-01", "group_names": []}
    for part in ("defaults", "vars"):
        known |= loader.load_from_file(str(ROLES / "firewall" / part / "main.yml"), trusted_as_template=True)
    made = Templar(loader=loader, variables=known | variables).template(known["firewall_services"])
    return {name: list(ports) for name, ports in made.items()}


def default_of(role, variable):
    return yaml.safe_load((ROLES / role / "defaults/main.yml").read_text("utf-8"))[variable]


@pytest.mark.parametrize(("role", "variable", "service", "host"), LISTENERS, ids=str)
def test_a_service_is_where_its_role_listens(role, variable, service, host):
    port = default_of(role, variable)
    assert port in services(**host)[service]
    moved = services(**host, **{variable: 6514})[service]
    assert 6514 in moved
    assert port not in moved


def test_a_registry_is_where_the_cmdb_or_the_site_says():
    assert services(**INFRA)["registry"] == [5000]
    assert services(**INFRA, registry_port=5443)["registry"] == [5443]
    moved = {**INFRA, "dr_registries": [{**REGISTRY, "port": 443}]}
    assert services(**moved)["registry"] == [443]


def test_a_host_offers_what_it_runs_and_nothing_else():
    offered = {name: ports for name, ports in services().items() if ports}
    assert offered == {"ssh": [22]}
    elsewhere = services(**{**INFRA, "inventory_hostname": "infra-02", "group_names": ["role_infra"]})
    assert elsewhere["registry"] == []
    assert services(**{**INFRA, "inventory_hostname": "infra-02"}, registry_port=5443)["registry"] == []


def test_apps_are_the_ports_of_both_slots_and_of_the_pools():
    made = services(
        dr_placements=[{"slots": {"a": 20000, "b": 20001}}, {"slots": {"a": 20007}}],
        dr_lb_pools=[{"port": 18080, "binds": [{"port": 443}]}, {"port": 18081}],
    )
    assert made["apps"] == [20000, 20001, 20007]
    assert made["lb"] == [443, 18080, 18081]
