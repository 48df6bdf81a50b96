"""What the module bridge_network reads on a host, as far as no kernel is needed for it."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.modules import bridge_network


class Module:
    """A module whose host has some programs; to run another one ends it, as Ansible's does."""

    def __init__(self, **programs):
        self.programs = programs

    def get_bin_path(self, name):
        return f"/usr/sbin/{name}" if name in self.programs else None

    def run_command(self, command):
        name = command[0].removeprefix("/usr/sbin/")
        if name not in self.programs:
            raise SystemExit(f"{name}: Error executing command.")
        return 0, self.programs[name], ""


@pytest.mark.parametrize(
    ("programs", "rules"), [({}, ""), ({"iptables": "-N DOCKER-USER\n"}, "-N DOCKER-USER\n")]
)
def test_a_bare_host_has_no_iptables_and_so_no_rules(programs, rules):
    """A check of a host that is going to get its engine must not end here."""
    assert bridge_network.docker_user(Module(**programs)) == rules
