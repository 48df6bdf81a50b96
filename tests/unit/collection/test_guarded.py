"""The controller half of a guarded change: what it asks the host, over which connection, what it says."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _guarded

MODULE = "dianrong.cloud.bridge_network"
USUAL = "-o ControlMaster=auto -o ControlPersist=60s"


class Connection:
    transport = "ssh"

    def __init__(self):
        self.options = {"ssh_args": USUAL, "timeout": 30}
        self.resets = 0
        self.down = False
        self.greetings = []

    def exec_command(self, command, sudoable):
        self.greetings.append((command, sudoable))
        if self.down:
            raise LOST
        return 0, b"", b""

    def reset(self):
        self.resets += 1

    def get_option(self, name):
        return self.options[name]

    def set_option(self, name, value):
        self.options[name] = value


class Action:
    """An action whose host answers from a list: results, or errors of the connection."""

    def __init__(self, *answers):
        self._connection = Connection()
        self.answers = list(answers)
        self.asked = []
        self.check_mode = False

    def _execute_module(self, module_name, module_args, task_vars):
        self.asked.append((module_name, module_args, self._connection.options["ssh_args"]))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LOST = AnsibleConnectionFailure("Connection timed out")


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch):
    clock = iter(range(0, 100_000, 5))
    monkeypatch.setattr(_guarded.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(_guarded.time, "sleep", lambda _seconds: None)


def run(action):
    variables = {"inventory_hostname": "dk-02"}
    return _guarded.guarded(action, MODULE, {"bridges": []}, variables, name="network", seconds=60)


def test_a_change_is_confirmed_over_a_connection_of_its_own():
    action = Action({"changed": True, "guarded": True}, {"outcome": "confirmed"})
    assert run(action) == {"changed": True, "guarded": True}
    (_module, given, first), (guard, confirmation, second) = action.asked
    assert guard == "dianrong.cloud.guard"
    assert confirmation == {"name": "network", "token": given["guard"]["token"], "state": "confirmed"}
    assert given["guard"]["seconds"] == 60
    assert first == USUAL
    assert second == "-o ControlMaster=no -o ControlPath=none"
    assert action._connection.resets == 1
    assert action._connection.options == {"ssh_args": USUAL, "timeout": 30}


@pytest.mark.parametrize(
    "result", [{"changed": False}, {"failed": True, "msg": "there is no interface eno1"}]
)
def test_what_armed_nothing_needs_no_confirmation(result):
    action = Action(result)
    assert run(action) == result
    assert len(action.asked) == 1


def test_a_change_that_cut_its_own_connection_may_be_good():
    action = Action(LOST, LOST, {"failed": True, "msg": "sudo: no room"}, {"outcome": "confirmed"})
    assert run(action)["changed"] is True


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        ({"outcome": "reverted"}, "the host has undone it; it is as it was before", 1),
        ({"outcome": "unknown"}, "the connection broke before anything was changed", 3),
    ],
)
def test_a_change_that_was_not_kept_is_a_failure(answer, words, code):
    result = run(Action({"changed": True, "guarded": True}, LOST, answer))
    assert result["failed"]
    assert words in result["msg"]
    assert result["msg"].startswith("change of network on dk-02: ")
    assert result["dr_exit_code"] == code


def test_a_host_that_stays_away_is_said_to():
    result = run(Action({"changed": True, "guarded": True}, *[LOST] * 1000))
    assert (
        "does not answer 90 seconds after it should have undone the change: Connection timed out"
        in result["msg"]
    )
    assert result["dr_exit_code"] == 3


def test_a_host_that_is_down_is_unreachable_at_once():
    action = Action()
    action._connection.down = True
    with pytest.raises(AnsibleConnectionFailure, match=r"^Connection timed out$"):
        run(action)
    assert action.asked == []


def test_a_connection_that_fails_in_a_check_tells_of_no_change():
    action = Action(LOST, {"outcome": "confirmed"})
    action.check_mode = True
    with pytest.raises(AnsibleConnectionFailure, match=r"^Connection timed out$"):
        run(action)
    assert len(action.asked) == 1
    assert action._connection.greetings == []


def test_a_host_that_vanished_in_the_change_and_stays_away_is_unreachable():
    with pytest.raises(AnsibleConnectionFailure, match="has not answered for 150 seconds since; what it had"):
        run(Action(*[LOST] * 1000))
