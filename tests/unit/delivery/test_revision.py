"""What makes a revision, and what does not."""

from __future__ import annotations

import pytest

from drcloud.cmdb.appspec import AppSpec
from drcloud.delivery.revision import revision

DIGEST = f"sha256:{'a' * 64}"
SPEC = {"image": "dianrong/demo", "port": 8080, "env": {"A": "1"}}


def made(
    digest: str = DIGEST, *, config: int = 0, secrets: dict[str, str] | None = None, **changes: object
) -> str:
    return revision(
        digest, AppSpec.model_validate({**SPEC, **changes}), config_version=config, secrets=secrets
    )


def test_is_the_same_whenever_it_is_computed() -> None:
    assert len(made()) == 64
    assert made() == made()


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": f"sha256:{'b' * 64}"},
        {"env": {"A": "2"}},
        {"env": {}},
        {"port": 8081},
        {"resources": {"memory": "64m"}},
        {"read_only": False},
        {"user": "10001"},
        {"cap_add": ("NET_BIND_SERVICE",)},
        {"health": {"path": "/ready"}},
        {"stop_grace": 20},
        {"config": 1},
        {"secrets": {"DB": "f1"}},
    ],
)
def test_differs_when_what_runs_differs(changes: dict[str, object]) -> None:
    assert made(**changes) != made()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"build": {"context": "elsewhere"}},
        {"tier": "frontend"},
        {"image": "dianrong/renamed"},
        {"health": {"path": "/healthz"}},
        {"stop_grace": 10.0},
    ],
)
def test_stays_when_only_making_or_filing_differs(changes: dict[str, object]) -> None:
    assert made(**changes) == made()  # type: ignore[arg-type]


def test_an_override_counts_only_where_it_holds() -> None:
    plain = AppSpec.model_validate(SPEC)
    overridden = AppSpec.model_validate({**SPEC, "overrides": {"prod": {"env": {"B": "2"}}}})
    assert revision(DIGEST, overridden.for_environment("qa")) == revision(DIGEST, plain)
    assert revision(DIGEST, overridden.for_environment("prod")) != revision(DIGEST, plain)
