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


def test_what_the_app_has_to_say_is_of_the_instance_that_counts() -> None:
    ended = {**GOOD, "status": "exited", "said": "exit code 3", "logs": ["old"]}
    sick = {**GOOD, "health": "unhealthy", "said": "HTTP 503 no database", "logs": ["boom"]}
    assert verify.last_words([ended, sick], "demo", "prod", "new") == ("HTTP 503 no database", ["boom"])
    assert verify.last_words([ended], "demo", "prod", "new") == ("exit code 3", ["old"])
    assert verify.last_words([{**sick, "app": "other"}, GOOD], "demo", "prod", "new") == ("", [])
    assert verify.last_words([], "demo", "prod", "new") == ("", [])


@pytest.mark.parametrize(
    ("detail", "whose", "trouble", "failure"),
    [
        ({}, "app", "", None),
        ({}, "app", "it is gone", ("failed", "app", "it is gone")),
        ({}, "host", "the engine does not answer", ("failed", "host", "the engine does not answer")),
        ({}, "unreachable", "no route", ("unreachable", "host", "no route")),
        ({"fell": True, "reason": "fell at lb-01"}, "app", "", ("failed", "balancer", "fell at lb-01")),
        ({"fell": True, "reason": "fell at lb-01"}, "app", "it is gone", ("failed", "app", "it is gone")),
        ({"fell": True, "reason": "fell"}, "unreachable", "no route", ("unreachable", "host", "no route")),
    ],
)
def test_whose_failure_it_is(
    detail: dict[str, Any], whose: str, trouble: str, failure: tuple[str, str, str] | None
) -> None:
    found = verify.judge(StepRow("dk-01", 0, 0, "done", "a", "old", detail), whose, trouble)
    assert (found and (found.state, found.kind, found.reason)) == failure


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
