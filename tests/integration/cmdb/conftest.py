"""Many processes at once, and what has to hold of a CMDB whatever happened to them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb import state as states
from drcloud.cmdb.operational import ChangeLog, Sequence
from drcloud.cmdb.store import Store

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


@pytest.fixture
def require_consistent() -> Callable[[Store], int]:
    """Return a check that nothing is broken or missing; it returns the number of the last change."""
    return _require_consistent


def _require_consistent(store: Store) -> int:
    with store.read() as session:
        if store.url.startswith("sqlite"):
            pragma = session.connection().exec_driver_sql
            assert pragma("PRAGMA integrity_check").scalars().all() == ["ok"]
            assert pragma("PRAGMA foreign_key_check").all() == []
        log = session.scalars(select(ChangeLog).order_by(ChangeLog.seq)).all()
        last = session.scalars(select(Sequence.value).where(Sequence.name == "declared")).one()
        assert [row.seq for row in log] == list(range(1, last + 1))
        assert _replayed(log) == {kind: rows for kind, rows in states.load(session).documents.items() if rows}
    return last


def _replayed(log: Iterable[ChangeLog]) -> dict[str, dict[str, Any]]:
    """Return the declared state that the log tells of, from nothing."""
    state: dict[str, dict[str, Any]] = {}
    for row in log:
        rows = state.setdefault(row.kind, {})
        assert rows.get(row.key) == row.before, f"{row.seq}: {row.kind} {row.key} was something else before"
        if row.after is None:
            del rows[row.key]
        else:
            rows[row.key] = row.after
    return {kind: rows for kind, rows in state.items() if rows}
