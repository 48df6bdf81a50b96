"""The look after a switch: what it records, and what the app itself has to say where something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from drcloud.delivery import ledger, observe
from drcloud.delivery.haproxy import Server
from drcloud.delivery.ledger import StepRow
from drcloud.delivery.rollout import Begun
from drcloud.delivery.target import Place, Target

GOOD = {"app": "demo", "env": "prod", "revision": "new", "status": "running", "health": "healthy"}
SICK = {**GOOD, "health": "unhealthy"}
WORDS = {"said": "HTTP 503 no database", "logs": ["no database", "giving up"]}


class Action:
    """A task whose module answers one after the other what was given, and notes what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def _execute_module(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> Any:
        self.asked.append(module_args)
        return self.answers.pop(0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What goes to the ledger of a roll whose one step is done."""
    found: list[Any] = []
    step = StepRow("dk-01", 0, 0, "done", "a", "old", {})
    monkeypatch.setattr(ledger, "steps", lambda *_: [step])
    monkeypatch.setattr(ledger, "fail", lambda *given: found.append(given[4:6]))
    monkeypatch.setattr(observe, "record", lambda *_: None)
    return found


def look(action: Action, **more: Any) -> str:
    place = Place(address="10.0.0.1", slots={"a": 1, "b": 2}, rack="r")
    values = dict.fromkeys(Target.__dataclass_fields__, None)
    values |= {"app": "demo", "env": "prod", "revision": "new", "hosts": {"dk-01": place}, "secrets": {}}
    values |= {"pool": "demo_prod", "lbs": (), "min_in_service": 0, **more}
    begun = Begun(Target(**values), "uid", 1)  # type: ignore[arg-type]
    return _roll.verify(action, None, begun, "dk-01", {})


def test_where_all_is_well_the_host_is_asked_once_and_for_no_words(told: list[Any]) -> None:
    action = Action({"instances": [GOOD]})
    assert look(action) == ""
    assert told == []
    [asked] = action.asked
    assert not {"words", "secrets", "secret_env"} & asked.keys()


def test_what_an_app_that_does_not_work_said_last_is_in_the_step(told: list[Any]) -> None:
    action = Action({"instances": [SICK]}, {"instances": [{**SICK, **WORDS}]})
    reason = "its new instance is not healthy any more: HTTP 503 no database"
    assert look(action) == reason
    assert told == [("failed", {"reason": reason, "kind": "app", "logs": WORDS["logs"]})]
    assert [asked.get("words") for asked in action.asked] == [None, True]
    assert {"secrets", "secret_env"} <= action.asked[1].keys()


@pytest.mark.parametrize(
    "second", [{"unreachable": True}, {"failed": True, "kind": "host", "msg": "no engine"}]
)
def test_a_host_that_cannot_be_asked_again_does_not_excuse_the_app(told: list[Any], second: Any) -> None:
    reason = "its new instance is not healthy any more"
    assert look(Action({"instances": [SICK]}, second)) == reason
    assert told == [("failed", {"reason": reason, "kind": "app", "logs": []})]


def test_one_that_is_well_a_moment_later_was_not_all_the_same(told: list[Any]) -> None:
    action = Action({"instances": [SICK]}, {"instances": [{**GOOD, "said": "", "logs": ["hm"]}]})
    assert look(action) == "its new instance is not healthy any more"
    assert told[0][1]["logs"] == ["hm"]


def test_a_secret_that_changed_hides_nothing_so_nothing_is_told(
    told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(_host: Any) -> Any:
        raise _roll.StepError("secret DB changed since this roll began", "app")

    monkeypatch.setattr(_roll.Host, "secrets", changed)
    action = Action({"instances": [SICK]})
    assert look(action) == "its new instance is not healthy any more"
    assert (len(action.asked), told[0][1]["logs"]) == (1, [])


def test_a_host_that_does_not_answer_is_no_affair_of_the_app(told: list[Any]) -> None:
    assert "does not answer over SSH" in look(Action({"unreachable": True, "msg": "no route"}))
    assert [(state, detail["kind"]) for state, detail in told] == [("unreachable", "host")]


class Balancers:
    """One load balancer, at which two hosts serve."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pools(self) -> dict[str, dict[str, Server]]:
        return {"lb-01": {f"{host}_a": Server(f"{host}_a", True, "ready", 0) for host in ("dk-01", "dk-02")}}

    def tell(self, lines: Sequence[str]) -> None:
        self.told += lines


@pytest.mark.parametrize(("needed", "drained"), [(1, ["a", "b"]), (2, [])])
def test_a_host_that_does_not_answer_is_drained_where_enough_others_serve(
    told: list[Any], monkeypatch: pytest.MonkeyPatch, needed: int, drained: list[str]
) -> None:
    balancers = Balancers()
    monkeypatch.setattr(_roll._balancers, "connect", lambda *_: balancers)
    look(Action({"unreachable": True, "msg": "no route"}), lbs=("lb-01",), min_in_service=needed)
    assert [state for state, _detail in told] == ["unreachable"]
    assert balancers.told == [f"set server demo_prod/dk-01_{slot} state drain" for slot in drained]
