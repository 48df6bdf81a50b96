"""How a run ended, read from its events: every way that ansible-playbook has to end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from drcloud.cmdb import inventory, options
from drcloud.cmdb.snapshot import Snapshot
from drcloud.errors import NothingMatchedError
from drcloud.exitcodes import ExitCode
from drcloud.runs import events
from drcloud.runs.events import Event
from drcloud.runs.outcome import Stop, Story, state_of


def event(kind: str, host: str | None = None, text: str = "", **data: Any) -> Event:
    return Event(1, datetime.now(UTC), kind, task="Task", host=host, data=data, text=text)


def stats(**counts: dict[str, int]) -> Event:
    names = ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored")
    data = {name: counts.get(name, {}) for name in names}
    return event(events.STATS, **data, processed={host: 1 for one in data.values() for host in one})


def story(*seen: Event) -> Story:
    told = Story()
    for one in seen:
        told.add(one)
    return told


def verdict(*seen: Event, rc: int | None = 0, stop: Stop | None = None) -> tuple[ExitCode, str]:
    return story(*seen).verdict(rc, stop)


def test_all_done() -> None:
    told = verdict(event(events.OK, "a"), stats(ok={"a": 1, "b": 3}, changed={"b": 2}))

    assert told == (ExitCode.OK, "done on 2 hosts, 2 changes")


def test_no_host_is_not_success() -> None:
    assert verdict(event(events.NO_HOSTS_MATCHED), stats())[0] == ExitCode.NOTHING_MATCHED
    assert verdict()[0] == ExitCode.NOTHING_MATCHED


def test_failed_hosts_are_named() -> None:
    told = verdict(event(events.FAILED, "b", msg="no"), event(events.FAILED, "a", msg="no"),
                   stats(failures={"a": 1, "b": 1}), rc=2)  # fmt: skip

    assert told == (ExitCode.FAILED, "failed on a, b")


def test_unreachable_wins_over_failed() -> None:
    code, message = verdict(
        event(events.FAILED, "a", msg="no"),
        event(events.UNREACHABLE, "z", msg="refused"),
        stats(failures={"a": 1}, dark={"z": 1}),
        rc=6,
    )

    assert code == ExitCode.UNREACHABLE
    assert message == "failed on a; unreachable: z"


def test_code_4_with_dark_hosts_is_unreachable_and_without_is_wrong_input() -> None:
    dark = verdict(event(events.UNREACHABLE, "z", msg="refused"), stats(dark={"z": 1}), rc=4)
    wrong = verdict(
        event(events.TEXT, text="[ERROR]: couldn't resolve module/action 'x'."),
        event(events.TEXT, text="Origin: /srv/p.yml:3:6"),
        event(events.TEXT, text=""),
        event(events.TEXT, text="3   - password: secret"),
        rc=4,
    )

    assert dark[0] == ExitCode.UNREACHABLE
    assert wrong == (
        ExitCode.INVALID_INPUT,
        "couldn't resolve module/action 'x'. (at /srv/p.yml:3:6)",
    )


def test_the_code_of_an_action_counts_and_the_most_serious_wins() -> None:
    code, _ = verdict(
        event(events.FAILED, "a", msg="locked", exit_codes=[5]),
        event(events.FAILED, "b", msg="no CMDB", exit_codes=[20]),
        event(events.FAILED, "c", msg="no"),
        stats(failures={"a": 1, "b": 1, "c": 1}),
        rc=2,
    )

    assert code == ExitCode.CMDB


def test_findings_alone_are_findings_and_an_unknown_code_is_a_failure() -> None:
    findings = verdict(event(events.FAILED, "a", exit_codes=[10]), stats(failures={"a": 1}), rc=2)
    unknown = verdict(event(events.FAILED, "a", exit_codes=[99]), stats(failures={"a": 1}), rc=2)

    assert findings[0] == ExitCode.FINDINGS
    assert unknown[0] == ExitCode.FAILED


def test_what_a_rescue_caught_does_not_count() -> None:
    code, _ = verdict(
        event(events.FAILED, "a", msg="caught", exit_codes=[20]), stats(ok={"a": 2}, rescued={"a": 1})
    )
    assert code == ExitCode.OK

    code, _ = verdict(
        event(events.FAILED, "a", msg="caught", exit_codes=[20]),
        event(events.FAILED, "a", msg="final", exit_codes=[5]),
        stats(failures={"a": 1}, rescued={"a": 1}),
        rc=2,
    )
    assert code == ExitCode.LOCKED


def test_ignored_failures_do_not_count() -> None:
    told = verdict(event(events.FAILED, "a", msg="no", ignored=True), stats(ok={"a": 1}, ignored={"a": 1}))

    assert told[0] == ExitCode.OK


@pytest.mark.parametrize(
    ("stop", "code", "state"),
    [
        (Stop.CANCELLED, ExitCode.CANCELLED, "cancelled"),
        (Stop.TIMED_OUT, ExitCode.TIMED_OUT, "timed-out"),
    ],
)
def test_what_we_stopped_is_what_we_say(stop: Stop, code: ExitCode, state: str) -> None:
    told = verdict(event(events.FAILED, "a", msg="no"), rc=99, stop=stop)

    assert told[0] == code
    assert state_of(code) == state


def test_a_death_by_signal_is_lost_and_not_success() -> None:
    assert verdict(stats(ok={"a": 1}), rc=None)[0] == ExitCode.LOST


def test_somebody_else_interrupted_it() -> None:
    assert verdict(rc=99)[0] == ExitCode.CANCELLED


def test_a_question_that_nobody_answers() -> None:
    told = verdict(event(events.PROMPT, variable="color"), rc=99, stop=Stop.PROMPT)

    assert told == (
        ExitCode.INVALID_INPUT,
        "the playbook asks for color, and nobody can answer: give -e color=…",
    )


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (
            "[ERROR]: Specified inventory, host pattern and/or --limit leaves us with no hosts to target.",
            4,
            "--limit",
        ),
        ("[ERROR]: the playbook: dianrong.cloud.nope could not be found", 2, "dianrong.cloud.nope"),
        ("ERROR! the playbook: /x/nope.yml could not be found", 2, "/x/nope.yml"),
        ("[ERROR]: something of its own", 1, "something of its own"),
    ],
)
def test_errors_before_any_host(text: str, code: int, word: str) -> None:
    told = verdict(event(events.TEXT, text=text), rc=1)

    assert told[0] == code
    assert word in told[1]


def test_an_unreadable_inventory_says_why() -> None:
    told = verdict(
        event(
            events.TEXT, text="[WARNING]: Failed to parse inventory with 'auto' plugin: the CMDB is locked"
        ),
        event(events.TEXT, text="[WARNING]: Failed to parse inventory with 'ini' plugin: gibberish"),
        event(events.TEXT, text="[ERROR]: Completely failed to parse inventory source /x.cmdb.yml"),
        rc=1,
    )

    assert told == (ExitCode.INVALID_INPUT, "the inventory cannot be read: the CMDB is locked")


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        (Snapshot(0, (), (), (), (), (), ()), {}),
        (Snapshot(0, (), (), (), (), (), (), unselected=3), {}),
        (Snapshot(0, (), (), (), (), (), (), unselected=3), {"role": ["lb"]}),
    ],
)
def test_an_inventory_without_hosts_matched_nothing(rows: Snapshot, asked: dict[str, Any]) -> None:
    with pytest.raises(NothingMatchedError) as raised:
        inventory.build(rows, options=options.parse(asked))
    said = f"[WARNING]: Failed to parse inventory with 'auto' plugin: {raised.value}"
    told = verdict(
        event(events.TEXT, text=said),
        event(events.TEXT, text="[ERROR]: Completely failed to parse inventory source /x.cmdb.yml"),
        rc=1,
    )

    assert told == (ExitCode.NOTHING_MATCHED, str(raised.value))


def test_failures_are_told_even_when_no_statistics_came() -> None:
    assert [one.host for one in story(event(events.FAILED, "a", msg="no")).failures()] == ["a"]


def test_counts_per_host() -> None:
    told = story(stats(ok={"a": 2}, changed={"a": 1}, dark={"z": 1})).stats()

    assert told == {"a": {"ok": 2, "changed": 1}, "z": {"unreachable": 1}}
