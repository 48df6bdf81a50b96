"""The sample IDCs: the committed file is the generator's, and it is a whole company."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from drcloud.cmdb import sample

COMMITTED = Path(__file__).parents[3] / "inventories/idc/company.yml"


def test_the_committed_file_is_what_the_generator_makes(tmp_path: Path) -> None:
    made = tmp_path / "company.yml"
    sample.main(["--hosts", "300", "--seed", "1", "-o", str(made)])
    assert made.read_text("utf-8") == COMMITTED.read_text("utf-8"), (
        "make it again: python -m drcloud.cmdb.sample -o inventories/idc/company.yml"
    )
    assert len(made.read_bytes()) < 150_000


@pytest.mark.parametrize("hosts", [1, 2, 13, 300, 5000])
def test_every_size_is_whole(hosts: int) -> None:
    found = sample.build(hosts, seed=7)
    names = {host["name"] for host in found["hosts"]}
    assert len(names) == len(found["hosts"]) == hosts
    for field in ("address", "serial", "asset_tag"):
        assert len({host[field] for host in found["hosts"]}) == hosts
    assert len({host["bmc"]["address"] for host in found["hosts"]}) == hosts
    ports = Counter((lb, one["lb_port"]) for one in found["placements"] for lb in one["lbs"])
    assert set(ports.values()) <= {1}
    for placement in found["placements"]:
        assert names >= {*placement["hosts"], *placement["lbs"]}
        assert placement["min_in_service"] < len(placement["hosts"])


def test_a_rack_mixes_tiers() -> None:
    tiers: dict[str, set[str]] = {}
    for host in sample.build(300)["hosts"]:
        tiers.setdefault(host["rack"], set()).add(host["attrs"]["tier"])
    assert min(map(len, tiers.values())) >= 3, tiers


def test_another_seed_is_another_company() -> None:
    assert sample.build(20, seed=1) == sample.build(20, seed=1)
    assert sample.build(20, seed=1) != sample.build(20, seed=2)
