"""Which images the CMDB names, and where it looks for those that it does not."""

from __future__ import annotations

import pytest

from drcloud.cmdb import observations
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


def test_a_registry_that_is_unknown_is_named(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no registry 'mian'"):
        named.images(store, ["mian"])
