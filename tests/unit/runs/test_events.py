"""What is kept of ansible-runner's events, and above all what is not."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.runs import events


def raw(kind: str, **told: Any) -> dict[str, Any]:
    return {"event": kind, "counter": 7, "created": "2026-01-02T03:04:05.6", "event_data": told, "stdout": ""}


def test_a_result_keeps_no_values() -> None:
    told = raw(
        events.OK, host="dk-01", task="Look", res={"changed": True, "stdout": "secret", "msg": "secret"}
    )

    event = events.read(told)

    assert event is not None
    assert (event.host, event.task, event.counter) == ("dk-01", "Look", 7)
    assert dict(event.data) == {"changed": True, "duration": None}
    assert event.at.tzinfo is not None


@pytest.mark.parametrize("kind", ["runner_item_on_ok", "runner_retry", "EOF", "playbook_on_notify"])
def test_what_is_of_no_interest_is_dropped(kind: str) -> None:
    assert events.read(raw(kind)) is None


def test_colours_are_taken_out_of_what_was_printed() -> None:
    event = events.read(raw("error") | {"stdout": "\x1b[0;31m[ERROR]: no\x1b[0m"})

    assert event is not None
    assert (event.type, event.text) == (events.TEXT, "[ERROR]: no")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"msg": "Task failed: no such file"}, "no such file"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "a\nboo\n"}, "non-zero return code (3): boo"),
        ({"censored": "hidden", "changed": True}, events.CENSORED),
        (
            {"msg": "One or more items failed", "results": [{"item": "x", "failed": True, "msg": "bad"}]},
            "item x: bad",
        ),
        ({"msg": "m", "results": [{"failed": True, "censored": "hidden"}]}, events.CENSORED),
        ({}, "failed without a message"),
        ({"msg": "two\nlines"}, "two lines"),
    ],
)
def test_the_message_of_a_failure(result: dict[str, Any], expected: str) -> None:
    assert events.message(result) == expected


def test_a_long_message_is_shortened() -> None:
    assert len(events.message({"msg": "x" * 5000})) == events.MESSAGE_LIMIT


def test_exit_codes_of_the_result_and_of_its_items() -> None:
    result = {"dr_exit_code": 5, "results": [{"failed": True, "dr_exit_code": 6}, {"dr_exit_code": 70}]}

    event = events.read(raw(events.FAILED, host="dk-01", task="t", res=result))

    assert event is not None
    assert event.data["exit_codes"] == [5, 6]
