"""Moments in a user's words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drcloud.cmdb import changelog
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Idc
from drcloud.cmdb.moments import resolve, resolve_both, resolve_known, time_of
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError, NothingMatchedError

TIMES = {
    "CHG-1": datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
    None: datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    "CHG-2": datetime(2026, 3, 2, 0, 0, tzinfo=UTC),
}


@pytest.fixture
def logged(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Give a CMDB with three units of two changes each, at three times."""
    for ticket, at in TIMES.items():
        monkeypatch.setattr(changelog, "now", lambda at=at: at)
        with store.write(reason="x", ticket=ticket) as session:
            session.add_all([Idc(code=f"{ticket}-{number}") for number in range(2)])
    return store


@pytest.fixture
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("at", "seq"),
    [
        ("0", 0),
        ("3", 3),
        (4, 4),
        ("now", 6),
        (" 6 ", 6),
        ("2026-03-01T09:59:59Z", 0),
        ("2026-03-01T10:00:00Z", 2),
        ("2026-03-01T11:00:00+00:00", 2),
        ("2026-03-01T20:00+08:00", 4),
        ("2026-03-01 23:59:59.999999Z", 4),
        ("ticket:CHG-1", 0),
        ("after:CHG-1", 2),
        ("ticket:CHG-2", 4),
        ("after:CHG-2", 6),
    ],
)
def test_moments(logged: Store, at: str | int, seq: int) -> None:
    with logged.read() as session:
        assert resolve(session, at) == seq


@pytest.mark.usefixtures("shanghai")
def test_a_time_without_a_zone_is_local(logged: Store) -> None:
    with logged.read() as session:
        assert resolve(session, "2026-03-01T18:00") == 2
        assert resolve(session, "2026-03-01T17:59") == 0
        assert resolve(session, "2026-03-02") == 4
        assert resolve(session, "2026-03-03") == 6


def test_so_long_ago(logged: Store) -> None:
    assert abs(time_of("90m") - (now() - timedelta(minutes=90))) < timedelta(seconds=5)
    since = int((now() - TIMES[None]).total_seconds())
    with logged.read() as session:
        assert resolve(session, f"{since + 1800}s") == 2
        assert resolve(session, f"{since - 1800}s") == 4
        assert resolve(session, "9999w") == 0


def test_the_clock_of_another_machine_may_be_a_little_ahead(logged: Store) -> None:
    with logged.read() as session:
        assert resolve(session, (now() + timedelta(seconds=30)).isoformat()) == 6
        with pytest.raises(InvalidInputError, match="lies in the future"):
            resolve(session, (now() + timedelta(minutes=5)).isoformat())


@pytest.mark.parametrize("at", ["7", "99999999999999999999", "20260301"])
def test_a_number_that_was_not_reached(logged: Store, at: str) -> None:
    with logged.read() as session, pytest.raises(InvalidInputError, match="the last one is 6"):
        resolve(session, at)


@pytest.mark.parametrize("at", ["", "yesterday", "-1", "1.5", "2h30m", "2026-02-30", "٣", "0001-01-01"])
def test_what_is_no_moment(logged: Store, at: str) -> None:
    with logged.read() as session:
        if at == "0001-01-01":
            assert resolve(session, f"{at}T12:00Z") == 0
            return
        with pytest.raises(InvalidInputError, match=r"is no moment: write a change's number"):
            resolve(session, at)


def test_an_unknown_ticket(logged: Store) -> None:
    with logged.read() as session, pytest.raises(NotFoundError, match="under ticket 'CHG-3'"):
        resolve(session, "ticket:CHG-3")


@pytest.mark.parametrize("at", ["2026-03-01T09:59:59Z", "2020-01-01"])
def test_before_the_first_change_there_is_nothing_to_tell(logged: Store, at: str) -> None:
    said = rf"the CMDB knows nothing of {at}: its first change was written at 2026-03-01T10:00:00Z"
    with logged.read() as session:
        with pytest.raises(NothingMatchedError, match=said):
            resolve_known(session, at)
        with pytest.raises(NothingMatchedError, match="knows nothing of 2020-01-02"):
            resolve_both(session, at, "2020-01-02")
        # Everything came to be since then, and that is an answer.
        assert resolve_both(session, at, "now") == (0, 6)
        assert resolve_both(session, "now", at) == (6, 0)


@pytest.mark.parametrize(("at", "seq"), [("0", 0), ("ticket:CHG-1", 0), ("now", 6), ("2026-03-01T10:00Z", 2)])
def test_the_beginning_is_there_for_who_asks_for_it(logged: Store, at: str, seq: int) -> None:
    with logged.read() as session:
        assert resolve_known(session, at) == seq


def test_an_empty_cmdb_knows_of_now_only(store: Store) -> None:
    with store.read() as session:
        assert resolve_known(session, "now") == 0
        with pytest.raises(NothingMatchedError, match="nothing was ever written to it"):
            resolve_known(session, "2h")


def test_the_commands_say_so(
    filled: Store, drcloud: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    source = tmp_path / "then.cmdb.yml"
    source.write_text("plugin: dianrong.cloud.cmdb\nas_of: '2020-01-01'\n", encoding="utf-8")
    for words in (
        ("cmdb", "show", "host", "--as-of", "2020-01-01"),
        ("cmdb", "diff", "2020-01-01", "2020-01-02"),
        ("inventory", "diff", "2020-01-01", "2020-01-02"),
        ("inventory", "explain", "dk-01", "role_docker", "-i", str(source)),
    ):
        code, out, err = drcloud(*words)
        assert (code, out) == (4, "")
        assert "the CMDB knows nothing of 2020-01-0" in err
    assert drcloud("cmdb", "diff", "2020-01-01")[0] == 0
