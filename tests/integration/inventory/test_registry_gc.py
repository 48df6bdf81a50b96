"""The playbook registry_gc goes by what the CMDB declares; to collect nowhere is no success."""

from __future__ import annotations

import pytest

from .conftest import Controller

FLEET = {
    "drcloud": 1,
    "prefixes": [{"cidr": "10.0.0.0/24"}],
    "hosts": [
        {"name": "infra-01", "role": "infra", "address": "10.0.0.1"},
        {"name": "infra-02", "role": "infra", "address": "10.0.0.2"},
    ],
}
ELSEWHERE = {"name": "main", "endpoint": "10.0.0.1:5000"}
HERE = {"name": "main", "host": "infra-02", "endpoint": "registry.example.com:5000"}


@pytest.mark.parametrize(
    ("registry", "words"),
    [
        (ELSEWHERE, "the CMDB declares no registry on infra-01"),
        # Found by its host, whatever its endpoint; and then there is nothing that it could compare with.
        (HERE, "registry main: the CMDB names no digest at all"),
    ],
)
def test_nothing_to_collect_is_told_with_code_4(
    controller: Controller, registry: dict[str, str], words: str
) -> None:
    controller.load({**FLEET, "registries": [registry]})
    done = controller.run("ansible-playbook", "-i", controller.source(), "dianrong.cloud.registry_gc")
    assert done.returncode != 0
    assert '"dr_exit_code": 4' in done.stdout
    assert words in done.stdout
