"""What provision has installed ahead is what the roles that then install nothing would have installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

COLLECTION = Path(__file__).parents[3] / "collections/dianrong/cloud"
(PLAY,) = (
    play
    for play in yaml.safe_load((COLLECTION / "playbooks/provision.yml").read_text())
    if play["name"] == "Provision the hosts"
)


def wanted(role: str) -> list[str]:
    """Return the packages of a role's own install task."""
    (task,) = yaml.safe_load((COLLECTION / "roles" / role / "tasks/install.yml").read_text())
    return task["dianrong.cloud.debian_packages"]["names"]


@pytest.mark.parametrize("role", ["central_logging", "firewall"])
def test_the_packages_of_a_role_are_installed_ahead(role):
    assert str(wanted(role)) in PLAY["vars"]["provision_packages"]


def test_a_role_whose_packages_are_not_installed_ahead_installs_them_itself():
    """Told that they are there are those that are, and nobody else."""
    told = set()
    for task in PLAY["tasks"]:
        role = (
            task.get("ansible.builtin.include_role") or task.get("ansible.builtin.import_role") or {}
        ).get("name")
        if any(name.endswith("_installed") for name in task.get("vars", {})):
            told.add(role.rpartition(".")[2])
    assert told == {"host_baseline", "central_logging", "firewall"}
