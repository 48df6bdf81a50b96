"""Which hosts cannot run an image, from what its manifest and the hosts say."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.cmdb import observations
from drcloud.cmdb.store import Store
from drcloud.delivery import platforms, target
from drcloud.delivery.platforms import Platform, WrongPlatformError

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")
MACHINES = {"dk-01": "x86_64", "dk-02": "aarch64"}


def entry(**platform: str) -> dict[str, Any]:
    return {"digest": f"sha256:{'a' * 64}", "platform": platform}


def test_an_index_says_what_it_has_images_for() -> None:
    document = {
        "manifests": [
            entry(os="linux", architecture="arm64", variant="v8"),
            entry(os="linux", architecture="amd64"),
            entry(os="unknown", architecture="unknown"),  # an attestation
            {"digest": "an entry that does not say"},
        ]
    }
    assert platforms.of_index(document) == (AMD64, ARM64)
    assert str(ARM64) == "linux/arm64/v8"


@pytest.mark.parametrize("document", [{}, {"manifests": None}, {"manifests": ["x"]}, {"architecture": 64}])
def test_what_says_nothing_is_for_no_known_platform(document: dict[str, Any]) -> None:
    assert platforms.of_index(document) == ()
    assert platforms.of_config(document) == ()


@pytest.mark.parametrize(
    ("offered", "machines", "unable"),
    [
        ((AMD64,), MACHINES, {"dk-02": "arm64"}),
        ((ARM64,), MACHINES, {"dk-01": "amd64"}),
        ((AMD64, ARM64), MACHINES, {}),
        ((Platform("linux", "s390x"),), MACHINES, {"dk-01": "amd64", "dk-02": "arm64"}),
        # A kernel of 64 bits runs what is older of its kind; Windows' images no Linux does.
        ((Platform("linux", "386"), Platform("linux", "arm", "v7")), MACHINES, {}),
        ((Platform("windows", "amd64"),), {"dk-01": "x86_64"}, {"dk-01": "amd64"}),
        # What is not known is no reason to refuse.
        ((), MACHINES, {}),
        ((ARM64,), {"dk-03": "vax"}, {}),
        ((ARM64,), {}, {}),
    ],
)
def test_hosts_that_cannot_run_it(
    offered: tuple[Platform, ...], machines: dict[str, str], unable: dict[str, str]
) -> None:
    assert platforms.unable(offered, machines) == unable


def test_it_is_said_in_one_sentence() -> None:
    with pytest.raises(WrongPlatformError) as refused:
        platforms.refuse("shop rt67", (ARM64,), {"dk-01": "x86_64"})
    assert str(refused.value) == (
        "shop rt67 is an image for linux/arm64/v8, which host dk-01 (linux/amd64) cannot run: "
        "push one for that architecture, or an index of both, under the tag"
    )
    with pytest.raises(WrongPlatformError, match=r"hosts dk-1 \(linux/amd64\), .* and 2 more cannot run"):
        platforms.refuse("shop rt67", (ARM64,), {f"dk-{number}": "x86_64" for number in range(1, 6)})


def test_a_deploy_knows_the_machines_of_its_hosts(store: Store) -> None:
    assert target.find(store, "demo", "prod").machines == {}
    observations.record_facts(store, "dk-02", {"kernel": {"machine": "aarch64"}})
    observations.record_facts(store, "dk-03", {"kernel": None})
    assert target.find(store, "demo", "prod").machines == {"dk-02": "aarch64"}
    assert target.find(store, "demo", "prod", ["dk-01"]).machines == {}
