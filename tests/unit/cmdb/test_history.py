"""The past and differences: what a user sees of them, and a log that does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from drcloud.cmdb import changelog, history, hosts, lookup
from drcloud.cmdb import state as states
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Idc
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def changed(filled: Store) -> int:
    """Change a host under a ticket; return the number of the last change before."""
    seq = filled.declared_seq()
    with filled.write(reason="因为", actor="alice", ticket="CHG-7") as session:
        host = lookup.host(session, "dk-01")
        hosts.transition(session, host, "provisioning")
        host.attrs = {**host.attrs, "owner": "李四"}
        session.add(Idc(code="sh1"))
    with filled.write(reason="gone again", actor="bob") as session:
        session.delete(session.scalars(select(Idc).where(Idc.code == "sh1")).one())
    return seq


def test_state_and_rows_are_read_alike(filled: Store) -> None:
    with filled.read() as session:
        assert states.read(session) == states.load(session).documents


def test_the_log_has_every_field(drcloud: Command, changed: int) -> None:
    lines = drcloud("cmdb", "log", "host", "dk-01", "--since", str(changed))[1].splitlines()
    assert len(lines) == 3
    assert "~ host dk-01  attrs.owner: 张三 → 李四" in lines[1]
    assert "~ host dk-01  state: planned → provisioning" in lines[2]
    assert all(word in lines[2] for word in ("alice", "因为", "CHG-7"))


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--ticket", "CHG-7"), 3),
        (("--actor", "bob"), 1),
        (("--actor", "carol"), 0),
        (("idc", "sh1"), 2),
        (("idc", "--actor", "alice"), 1),
        (("--since", "ticket:CHG-7", "--until", "after:CHG-7"), 3),
        (("--since", "after:CHG-7"), 1),
        (("--until", "0"), 0),
        (("--since", "1h", "--ticket", "CHG-7", "-n", "2"), 2),
    ],
)
def test_the_log_is_narrowed(drcloud: Command, changed: int, words: tuple[str, ...], count: int) -> None:
    code, out, _ = drcloud("cmdb", "log", "--json", *words)
    assert (code, len(json.loads(out))) == (0, count)


def test_a_log_that_was_cut_says_so(drcloud: Command, changed: int) -> None:
    code, out, err = drcloud("cmdb", "log", "-n", "3")
    assert (code, len(out.splitlines()), err) == (0, 4, "… the newest 3; --limit 0 shows all\n")
    everything = json.loads(drcloud("cmdb", "log", "--limit", "0", "--json")[1])
    assert [row["seq"] for row in everything] == list(range(changed + 4, 0, -1))


def test_a_name_that_never_was(drcloud: Command, changed: int) -> None:
    code, _, err = drcloud("cmdb", "log", "host", "dk-1")
    assert (code, err.count("\n")) == (2, 1)
    assert "there never was a host 'dk-1' in the CMDB: did you mean" in err
    assert drcloud("cmdb", "log", "idc", "sh1", "--actor", "carol")[0] == 0


def test_differences(drcloud: Command, changed: int) -> None:
    expected = "~ host dk-01\n    state: planned → provisioning\n    attrs.owner: 张三 → 李四\n"
    assert drcloud("cmdb", "diff", "ticket:CHG-7") == (0, expected, "")
    assert drcloud("cmdb", "diff", str(changed), "now", "host")[1] == expected
    assert drcloud("cmdb", "diff", str(changed), "host", "dk-01")[1] == expected
    assert drcloud("cmdb", "diff", str(changed), "host", "dk-02")[1] == "no difference\n"
    assert "+ idc sh1" in drcloud("cmdb", "diff", str(changed), "after:CHG-7")[1]
    assert "- idc sh1" in drcloud("cmdb", "diff", "after:CHG-7", "now")[1]
    [change] = json.loads(drcloud("cmdb", "diff", "now", str(changed), "--json")[1])
    assert (change["action"], change["after"]["state"]) == ("update", "planned")


def test_differences_as_an_exit_code(drcloud: Command, changed: int) -> None:
    assert drcloud("cmdb", "diff", str(changed), "--detailed-exitcode")[0] == 12
    assert drcloud("cmdb", "diff", "now", "--detailed-exitcode")[0] == 0
    assert drcloud("cmdb", "diff", "99999")[0] == 2


def test_an_object_as_it_was(drcloud: Command, changed: int) -> None:
    shown = json.loads(drcloud("cmdb", "show", "host", "dk-01", "--as-of", "ticket:CHG-7", "--json")[1])
    assert (shown["state"], shown["attrs"]["owner"]) == ("planned", "张三")
    assert drcloud("cmdb", "show", "idc", "sh1", "--as-of", "after:CHG-7")[0] == 0
    assert drcloud("cmdb", "show", "idc", "sh1")[0] == 2
    assert set(json.loads(drcloud("cmdb", "show", "--as-of", "0", "--json")[1]).values()) == {0}


def test_an_entry_of_an_older_schema_gets_todays_fields(filled: Store) -> None:
    """What was deleted before a field was there comes back with what new rows hold in it."""
    with filled.operate() as session:
        old = {"name": "old-01", "role": "docker", "state": "planned", "abolished": 1}
        number = changelog.advance(session, changelog.DECLARED)
        entry = {"kind": "host", "key": "old-01", "action": "delete", "before": old, "after": None}
        who = {"at": now(), "actor": "x", "reason": "x", "ticket": None}
        session.execute(insert(ChangeLog).values(seq=number, **entry, **who))
    with filled.read() as session:
        was = history.documents(session, filled.declared_seq() - 1)["host"]["old-01"]
        assert (was["ssh_port"], was["rack"], was["attrs"]) == (22, None, {})
        assert "abolished" not in was
        [change] = history.diff(session, filled.declared_seq() - 1, filled.declared_seq())
        assert (change.action, change.before) == ("delete", was)


@pytest.mark.parametrize("statement", ["DELETE FROM host_key", "UPDATE host SET name = 'x' || name"])
def test_a_state_that_the_log_does_not_lead_to(filled: Store, statement: str) -> None:
    with filled.write(reason="x") as session:
        hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-ed25519": "AAAA"})
    with filled.operate() as session:
        session.execute(text(statement))
    with filled.read() as session, pytest.raises(CmdbError, match="was written past the log"):
        history.documents(session, 0)


def statements(store: Store, work: Callable[[Any], Any]) -> list[str]:
    seen: list[str] = []
    with store.read() as session:
        event.listen(session.get_bind(), "before_cursor_execute", lambda *given: seen.append(given[2]))
        work(session)
    return [one for one in seen if not one.startswith(("PRAGMA", "BEGIN"))]


def test_a_difference_reads_the_log_between_and_nothing_else(filled: Store, changed: int) -> None:
    last = filled.declared_seq()
    [one] = statements(filled, lambda session: history.diff(session, changed, last))
    assert "FROM change_log" in one
    plan = "EXPLAIN QUERY PLAN SELECT * FROM change_log WHERE seq > 5 AND seq <= 9 ORDER BY seq"
    with filled.read() as session:
        assert "(seq>? AND seq<?)" in str(session.execute(text(plan)).all())
