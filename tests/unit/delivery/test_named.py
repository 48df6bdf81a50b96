"""Which images the CMDB names, and where it looks for those that it does not."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from drcloud.cmdb import observations
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.delivery import ledger, named, releases, target
from drcloud.errors import NotFoundError


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def test_a_cmdb_without_releases_names_nothing(store: Store) -> None:
    assert named.images(store, ["main"]) == named.Named(frozenset(), frozenset({"dianrong/demo"}))


def test_releases_deployments_and_instances_name_images(store: Store) -> None:
    releases.record(store, "demo", "rt67", digest("a"))
    releases.record(store, "demo", "rt67", digest("b"))  # the channel moved, the release stays
    ledger.open_deployment(
        store, target.target(target.find(store, "demo", "prod"), "v1", digest("c")), "run-1"
    )
    instance = {
        "name": "demo_prod_a_00000000", "app": "demo", "env": "prod", "slot": "a", "tag": "v0",
        "digest": digest("d"), "revision": "0" * 64, "deployment": "x", "status": "exited",
        "health": "none", "started_at": None,
    }  # fmt: skip
    observations.record_instances(store, "dk-01", [instance], "test")
    assert named.images(store, ["main"]).digests == {digest(letter) for letter in "abcd"}


@pytest.mark.parametrize(
    ("sources", "letters"),
    [
        ([], ""),
        ([digest("a"), None, "sha256:short", 5], "a"),
        ([{"steps": [{"before": {"image": f"r:5000/demo@{digest('b')}"}}, [digest("c")]]}], "bc"),
        ([{digest("d"): {"kept": True}}], "d"),
    ],
)
def test_a_digest_counts_wherever_it_stands(sources: list[object], letters: str) -> None:
    assert named.wanted(sources) == {digest(letter) for letter in letters}


def test_what_a_deployment_may_go_back_to_is_named(store: Store) -> None:
    uid = ledger.open_deployment(
        store, target.target(target.find(store, "demo", "prod"), "v2", digest("a")), "run-1"
    )
    # A host ran what no release, deployment or container tells of any more: the step noted it.
    with store.operate() as session:
        row = session.scalars(select(Deployment).where(Deployment.uid == uid)).one()
        row.plan = {"steps": [{"host": "dk-01", "ran": digest("b")}]}
        row.steps[0].detail = {"previous": {"image": f"registry.test:5000/demo@{digest('c')}"}}
    assert named.images(store, ["main"]).digests == {digest(letter) for letter in "abc"}


def test_a_channel_keeps_all_that_it_ever_was(store: Store) -> None:
    for letter in "abc":
        releases.record(store, "demo", "prod", digest(letter))
    assert named.images(store, ["main"]).digests == {digest(letter) for letter in "abc"}


def test_a_registry_that_is_unknown_is_named(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no registry 'mian'"):
        named.images(store, ["mian"])
