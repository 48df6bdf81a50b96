"""What differs between two targets, field by field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drcloud.cmdb.store import Store
from drcloud.delivery import target
from drcloud.delivery.difference import differences

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("digest", "spec", "told"),
    [
        (A, {}, []),
        (B, {}, ["image v1 aaaaaaa -> v2 bbbbbbb"]),
        (A, {"port": 9090, "user": "1:1"}, ["port 8080 -> 9090", "user none -> 1:1"]),
        (A, {"env": {"A": "s3cret", "B": "1"}}, ["env.A changed", "env.B added"]),
        (A, {"env": {}}, ["env.A removed"]),
        (A, {"cap_add": ["CHOWN"]}, ["cap_add none -> CHOWN"]),
    ],
)
def test_each_field_is_told(store: Store, digest: str, spec: dict[str, Any], told: list[str]) -> None:
    old = target.target(target.find(store, "demo", "prod"), "v1", A)
    new = replace(old, tag="v2", digest=digest, spec={**old.spec, **spec})
    assert differences(old, new) == told


def test_a_nested_field_has_its_whole_name(store: Store) -> None:
    old = target.target(target.find(store, "demo", "prod"), "v1", A)
    health = {**old.spec["health"], "retries": 5}
    assert differences(old, replace(old, spec={**old.spec, "health": health})) == ["health.retries 3 -> 5"]
