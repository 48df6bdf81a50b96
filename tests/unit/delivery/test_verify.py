"""Whether a switched host still runs what it was switched to."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.delivery import verify
from drcloud.delivery.ledger import StepRow

GOOD = {"app": "demo", "env": "prod", "revision": "new", "status": "running", "health": "healthy"}


@pytest.mark.parametrize(
    ("instances", "trouble"),
    [
        ([GOOD], ""),
        ([{**GOOD, "revision": "old", "status": "exited"}, GOOD], ""),
        ([], "its new instance is gone"),
        ([{**GOOD, "app": "other"}], "its new instance is gone"),
        ([{**GOOD, "status": "exited"}], "its new instance ended"),
        ([{**GOOD, "status": "restarting"}], "its new instance is restarting"),
        ([{**GOOD, "restarts": 2}], "its new instance ended 2 times by itself after it had been healthy"),
        ([{**GOOD, "restarts": 1}], "its new instance ended once by itself after it had been healthy"),
        ([{**GOOD, "health": "unhealthy"}], "its new instance is not healthy any more"),
    ],
)
def test_what_is_wrong(instances: list[dict[str, Any]], trouble: str) -> None:
    assert verify.trouble(instances, "demo", "prod", "new") == trouble


@pytest.mark.parametrize(
    ("state", "detail", "due"),
    [
        ("done", {}, True),
        ("failed", {"fell": True}, True),
        ("failed", {}, False),
        ("unchanged", {}, False),
        ("reverted", {}, False),
    ],
)
def test_who_is_looked_at(state: str, detail: dict[str, Any], due: bool) -> None:
    assert verify.is_due(StepRow("dk-01", 0, 0, state, "a", "old", detail)) is due
