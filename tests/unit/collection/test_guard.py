"""A change that undoes itself unless it is confirmed: every order in which things can happen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _guard
from ansible_collections.dianrong.cloud.plugins.module_utils._guard import Guard, GuardError


@pytest.fixture(autouse=True)
def _this_process_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(_guard.os, "setpgid", lambda *_: None)
    kept = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class Host:
    """A host's guard in a directory: systemd's timer is whoever calls ``elapse``."""

    def __init__(self, place):
        self.place = place
        self.timers = {}
        self.refuse = False
        self.guard = Guard("network", str(place / "guard"), self.run)
        self.undone = place / "undone"
        self.undo = f'echo "$1" >> {self.undone}'

    def run(self, arguments):
        if arguments[0] == "systemd-run":
            if self.refuse:
                return 1, "no bus"
            self.timers[arguments[-1]] = arguments[arguments.index("/bin/sh") :]
        elif arguments[0] == "systemctl":
            self.timers.pop(arguments[-1].rpartition("-")[2].partition(".")[0], None)
        else:
            done = subprocess.run(arguments, check=False, capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr
        return 0, ""

    def elapse(self, token):
        return subprocess.run(self.timers[token], check=False).returncode

    def boot(self):
        return subprocess.run(["/bin/sh", str(self.place / "guard" / "fire"), "boot"], check=False).returncode

    def reasons(self):
        return self.undone.read_text().split() if self.undone.exists() else []


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def armed(host, token="one"):
    host.guard.arm(token, host.undo, 60)
    return host


def test_a_confirmed_change_stays(host):
    armed(host).guard.applied("one")
    timer = host.timers["one"]
    assert host.guard.pending() == "one"
    assert host.guard.confirm("one") == "confirmed"
    assert host.timers == {}
    # A timer that fires in the very moment finds nothing to do; asking again gives the same answer.
    assert subprocess.run(timer, check=False).returncode == 0
    assert host.reasons() == []
    assert host.guard.confirm("one") == "confirmed"


def test_an_unconfirmed_change_is_undone(host):
    armed(host).guard.applied("one")
    assert host.elapse("one") == 0
    assert host.reasons() == ["timer"]
    assert host.guard.confirm("one") == "reverted"
    assert host.guard.pending() is None


def test_an_unconfirmed_change_is_undone_at_boot(host):
    armed(host).guard.applied("one")
    assert host.boot() == 0
    assert host.boot() == 0
    assert host.reasons() == ["boot"]


def test_the_host_tells_a_change_it_does_not_know(host):
    assert host.guard.confirm("two") == "unknown"
    armed(host).guard.applied("one")
    host.guard.confirm("one")
    assert host.guard.confirm("two") == "unknown"


def test_only_one_change_can_be_open(host):
    armed(host)
    with pytest.raises(GuardError, match="another change is not settled"):
        host.guard.arm("two", host.undo, 60)
    assert host.guard.pending() == "one"


def test_a_change_that_was_undone_is_not_made_again_by_a_repeated_command(host):
    armed(host).guard.fire("one")
    with pytest.raises(GuardError, match="undone already"):
        host.guard.arm("one", host.undo, 60)


def test_without_a_timer_nothing_is_armed(host):
    host.refuse = True
    with pytest.raises(GuardError, match="no bus"):
        armed(host)
    assert host.guard.pending() is None


def test_a_change_that_was_undone_cannot_be_completed(host):
    armed(host)
    # In truth its maker would be killed by the undo; here both are this process.
    os.unlink(host.place / "guard/network/armed/applying")
    host.elapse("one")
    with pytest.raises(GuardError, match="undone the change before it was complete"):
        host.guard.applied("one")


def hanging(host, tmp_path):
    """Return a change that has begun, and hangs in a program that it started."""
    program = (
        "import subprocess, sys\n"
        f"sys.path[:0] = {[entry for entry in sys.path if entry]!r}\n"
        "from ansible_collections.dianrong.cloud.plugins.module_utils._guard import Guard\n"
        f"guard = Guard('network', {str(tmp_path / 'guard')!r}, lambda _: (0, ''))\n"
        f"guard.arm('one', {host.undo!r}, 60)\n"
        "subprocess.run(['/bin/sh', '-c', 'echo begun; sleep 600; echo goes on'])\n"
    )
    maker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert maker.stdout.readline() == "begun\n"
    return maker


@pytest.mark.parametrize("reason", ["timer", "boot"])
def test_an_undo_kills_a_change_that_hangs_with_all_it_started(host, tmp_path, reason):
    maker = hanging(host, tmp_path)
    fire = str(tmp_path / "guard/fire")
    subprocess.run(["/bin/sh", fire, reason, "network", "one"], check=True)
    assert maker.wait(10) == -signal.SIGKILL
    # Nobody holds the other end any more.
    assert maker.stdout.read() == ""
    assert host.reasons() == [reason]


def test_what_a_dead_maker_started_does_not_go_on_beside_the_undo(host, tmp_path):
    maker = hanging(host, tmp_path)
    maker.kill()
    maker.wait(10)
    assert host.guard.confirm("one") == "reverted"
    assert maker.stdout.read() == ""
    assert host.reasons() == ["now"]


def test_a_change_whose_maker_died_half_way_is_not_confirmed(host, monkeypatch):
    armed(host)
    monkeypatch.setattr(_guard, "_started", lambda _pid: "gone")
    assert host.guard.confirm("one") == "reverted"
    assert host.reasons() == ["now"]


def test_a_confirmation_waits_for_the_change_to_be_complete(host):
    armed(host)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(host.guard.confirm("one")))
    asking.start()
    asking.join(0.5)
    assert asking.is_alive()
    host.guard.applied("one")
    asking.join(10)
    assert answers == ["confirmed"]


def test_an_undo_that_fails_is_reported_and_tried_again(host):
    host.undo = f"echo no room; test -e {host.place}/room"
    armed(host).guard.applied("one")
    assert host.elapse("one") == 1
    with pytest.raises(GuardError, match="no room"):
        host.guard.settle()
    (host.place / "room").touch()
    assert host.guard.settle() == "reverted"


def test_the_next_run_waits_for_one_that_is_being_confirmed(host):
    armed(host).guard.applied("one")
    found = []
    waiting = threading.Thread(target=lambda: found.append(host.guard.settle()))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    host.guard.confirm("one")
    waiting.join(10)
    assert found == ["confirmed"]


def test_the_next_run_undoes_what_a_lost_timer_should_have_undone(host, monkeypatch):
    armed(host).guard.applied("one")
    now = time.monotonic()
    monkeypatch.setattr(_guard.time, "monotonic", lambda: now + 61)
    assert host.guard.settle() == "reverted"
    assert host.reasons() == ["now"]


def test_nothing_open_is_nothing_to_settle(host):
    assert host.guard.settle() is None


def test_confirmation_and_undo_have_one_winner(host):
    for number in range(25):
        token = f"t{number}"
        armed(host, token).guard.applied(token)
        timer = host.timers[token]
        firing = subprocess.Popen(timer)
        outcome = host.guard.confirm(token)
        firing.wait(10)
        assert outcome == ("reverted" if host.undone.exists() else "confirmed")
        host.undone.unlink(missing_ok=True)
