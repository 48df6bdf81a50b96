"""Ending a run that somebody cancelled or that took too long, so that nothing of it is left."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from drcloud.runs import process
from drcloud.runs.outcome import Stop
from drcloud.runs.process import Process

# Time for ansible-playbook to end its workers and for those to end their connections.
GRACE = 15.0
LAST_GRACE = 2.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Control:
    """Watches one ansible-playbook: asks it to end with SIGINT, waits, and only then kills."""

    def __init__(
        self, child: Callable[[], Process | None], timeout: float | None = None, grace: float = GRACE
    ) -> None:
        """Watch the process that ``child`` finds; ``timeout`` and ``grace`` are seconds."""
        self.reason: Stop | None = None
        self._child = child
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._grace = grace
        self._asked_at: float | None = None
        self._seen: dict[int, Process] = {}
        self._hurry = False

    def stop(self, reason: Stop) -> None:
        """Want the run to end; wanting it twice means without waiting."""
        if self.reason is None:
            self.reason = reason
        elif reason is Stop.CANCELLED:
            self._hurry = True

    def poll(self) -> bool:
        """Do the next step; return whether ansible-playbook must be killed now."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self.stop(Stop.TIMED_OUT)
        if self.reason is None:
            return False
        child = self._child()
        if child is None:
            return False  # not begun yet, or already gone
        self._seen |= {one.pid: one for one in process.descendants(child.pid)}
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            child.send(signal.SIGINT)
            return False
        return self._hurry or time.monotonic() - self._asked_at > self._grace

    def clean(self) -> int:
        """End the workers that a killed ansible-playbook left behind; return how many there were."""
        left = [one for one in self._seen.values() if one.alive()]
        process.end(left, LAST_GRACE)
        return len(left)

    def abandon(self) -> None:
        """End ansible-playbook and its workers at once."""
        child = self._child()
        if child is not None:
            process.end([child, *process.descendants(child.pid)], LAST_GRACE)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Turn SIGINT, SIGTERM and SIGHUP into a wish to stop, while we are in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def wish(_number: int, _frame: FrameType | None) -> None:
            self.stop(Stop.CANCELLED)

        before = {number: signal.signal(number, wish) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
