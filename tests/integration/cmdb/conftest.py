"""Many processes at once, and what has to hold of a CMDB whatever happened to them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

FORK = multiprocessing.get_context("fork")


class Crowd:
    """Forked processes of one test; none outlives it."""

    def __init__(self) -> None:
        self.processes: list[BaseProcess] = []

    def start(self, count: int, work: Callable[..., None], *arguments: Any) -> list[BaseProcess]:
        """Start processes that call ``work(number, *arguments)``."""
        first = len(self.processes)
        started = [FORK.Process(target=work, args=(first + n, *arguments)) for n in range(count)]
        for process in started:
            process.start()
        self.processes += started
        return started

    def succeed(self, count: int, work: Callable[..., None], *arguments: Any) -> None:
        """Run processes to their ends; all have to succeed."""
        started = self.start(count, work, *arguments)
        for process in started:
            process.join(240)
        assert [process.exitcode for process in started] == [0] * count


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    group = Crowd()
    yield group
    for process in group.processes:
        process.kill()
        process.join()
