"""What the CMDB costs on SQLite and PostgreSQL, each as a ratio to the bare driver in the same run.

    python tests/bench/cmdb_bench.py [--engine sqlite] [--used 50000] [--times 200]

The bare driver opens a connection, does the same reads and inserts by hand, and commits: what is
above 1.0 is the price of names, the log's before and after, and the checks. Ours and the bare one
take turns, and the best of three rounds counts, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import itertools
import json
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from drcloud.cmdb import addresses, ipam, leases, lookup, networks, subnets
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Address, Host, Idc, Prefix
from drcloud.cmdb.declared.columns import fixed_width
from drcloud.cmdb.store import Store

ROUNDS = 3
HOSTS = 1000
ROWS = 2000
WHOLE = "10.1.0.0/16"
AGGREGATE = "10.64.0.0/10"
PORT_RANGE = range(20000, 30000)
COUNTER = itertools.count()


class Line(NamedTuple):
    """A measured thing: how many in one call, ours, and the bare driver's way where there is one."""

    name: str
    count: int
    calls: int
    ours: Callable[[], object]
    bare: Callable[[], object] | None = None


class Bare:
    """The driver alone: a connection for each transaction, as the store does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._server = url.startswith("postgresql")

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Give a cursor in one transaction."""
        if self._server:
            with psycopg.connect(self._url) as connection:
                yield connection.cursor()
            return
        path = self._url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE")
            yield connection.cursor()
            connection.execute("COMMIT")

    def read(self) -> None:
        """Read one host."""
        with self.transaction() as cursor:
            assert cursor.execute(self._sql("SELECT * FROM host WHERE name = ?"), ("h-0500",)).fetchone()

    def allocate(self, owner: str) -> None:
        """Allocate one number and log it."""
        with self.transaction() as cursor:
            seq = self._lock(cursor)
            cursor.execute(self._sql("SELECT value FROM allocation WHERE pool = ?"), ("bare",))
            used = {row[0] for row in cursor}
            value = next(number for number in PORT_RANGE if number not in used)
            self._write(cursor, seq, "allocation", [{"pool": "bare", "owner": owner, "value": value}])

    def write(self, codes: list[str]) -> None:
        """Write rows and log them."""
        with self.transaction() as cursor:
            rows = [{"code": code, "name": ""} for code in codes]
            self._write(cursor, self._lock(cursor), "idc", rows)

    def _sql(self, text: str) -> Any:
        return text.replace("?", "%s").encode() if self._server else text

    def _lock(self, cursor: Any) -> int:
        query = "SELECT value FROM sequence WHERE name = 'declared'"
        cursor.execute(f"{query} FOR UPDATE" if self._server else query)
        return int(cursor.fetchone()[0])

    def _write(self, cursor: Any, seq: int, kind: str, rows: list[dict[str, Any]]) -> None:
        common = {"version": 1, "created_at": str(now()), "updated_at": str(now()), "attrs": "{}"}
        whole = [{**row, **common, "uid": str(uuid.uuid4())} for row in rows]
        self._insert(cursor, kind, whole)
        common = {"at": str(now()), "actor": "b", "reason": "b", "kind": kind, "action": "create"}
        log = [
            common | {"seq": number, "key": str(number), "after": json.dumps(row | {"attrs": {}})}
            for number, row in enumerate(rows, seq + 1)
        ]
        self._insert(cursor, "change_log", log)
        counted = self._sql("UPDATE sequence SET value = ? WHERE name = 'declared'")
        cursor.execute(counted, (seq + len(rows),))

    def _insert(self, cursor: Any, name: str, rows: list[dict[str, Any]]) -> None:
        columns, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
        values = [tuple(row.values()) for row in rows]
        cursor.executemany(self._sql(f"INSERT INTO {name} ({columns}) VALUES ({marks})"), values)


def fill(store: Store, used: int) -> None:
    """Make hosts to read, and a prefix of which much is used."""
    with store.write(reason="bench") as session:
        session.add_all(Host(name=f"h-{number:04}", role="docker") for number in range(HOSTS))
        session.add_all([Prefix(cidr=WHOLE), Prefix(cidr=AGGREGATE, aggregate=True)])
    start = ipaddress.IPv4Address("10.1.0.1")
    with store.operate() as session:
        prefix = networks.find(session, WHOLE)
        common = {
            "prefix_id": prefix.id,
            "prefix_first": prefix.first,
            "prefix_last": prefix.last,
            "purpose": "x",
            "version": 1,
            "created_at": now(),
            "updated_at": now(),
            "attrs": {},
        }
        rows = [
            common | {"address": str(start + n), "value": fixed_width(start + n), "uid": str(n)}
            for n in range(used)
        ]
        # Past the unit of work: how these came is not measured.
        session.connection().execute(insert(Address.__table__), rows)  # type: ignore[arg-type]


def lines(store: Store, bare: Bare, times: int) -> list[Line]:
    """Return what is measured."""
    names = [f"h-{number:04}" for number in range(HOSTS)]

    def read() -> None:
        with store.read() as session:
            lookup.host(session, "h-0500")

    def allocate() -> None:
        with store.write(reason="bench", actor="bench") as session:
            ipam.allocate(session, "ours", str(next(COUNTER)), PORT_RANGE)

    def ports() -> None:
        with store.write(reason="bench", actor="bench") as session:
            owners = [ipam.port_owner(f"app{next(COUNTER)}", "prod", slot) for slot in ipam.SLOTS]
            claims = [ipam.Claim(ipam.port_pool(name), owner) for name in names for owner in owners]
            ipam.allocate_all(session, claims, ipam.PORTS)

    def nets() -> None:
        with store.write(reason="bench", actor="bench") as session:
            owners = [f"{name}/{next(COUNTER)}" for name in names[:100]]
            subnets.allocate(session, networks.find(session, AGGREGATE), owners, length=28)

    def write() -> None:
        with store.write(reason="bench", actor="bench") as session:
            session.add_all(Idc(code=f"o{next(COUNTER)}") for _ in range(ROWS))

    def lease() -> None:
        holder = str(next(COUNTER))
        leases.acquire(store, [(holder, True)], holder=holder, purpose="", ttl=timedelta(minutes=1))
        leases.release(store, holder)

    return [
        Line("read a host", 1, times, read, bare.read),
        Line("allocate a number", 1, times, allocate, lambda: bare.allocate(str(next(COUNTER)))),
        Line(f"allocate {2 * HOSTS} ports in one unit", 2 * HOSTS, 1, ports),
        Line("carve 100 subnets in one unit", 100, 1, nets),
        Line(
            f"log {ROWS} writes in one unit",
            ROWS,
            1,
            write,
            lambda: bare.write([f"b{next(COUNTER)}" for _ in range(ROWS)]),
        ),
        Line("take and give back a lease", 1, times, lease),
        _first_free(store),
    ]


def _first_free(store: Store) -> Line:
    """Compare counting in the database with loading what is used."""

    def count() -> str:
        with store.read() as session:
            return addresses.next_free(session, networks.find(session, WHOLE))

    def load() -> str:
        with store.read() as session:
            prefix = networks.find(session, WHOLE)
            query = Address.__table__.select().with_only_columns(Address.value)
            used = set(session.connection().execute(query.where(Address.prefix_id == prefix.id)).scalars())
            hosts = ipaddress.ip_network(WHOLE).hosts()
            return str(next(host for host in hosts if fixed_width(host) not in used))

    assert count() == load()
    return Line("find a free address (bare: load all)", 1, 5, count, load)


def measure(line: Line) -> tuple[float, float | None]:
    """Return the seconds that one of it takes, ours and bare: the best of the rounds."""
    best: dict[bool, float] = {}
    for _ in range(ROUNDS):
        for is_bare, call in ((False, line.ours), (True, line.bare)):
            if call is None:
                continue
            start = time.perf_counter()
            for _ in range(line.calls):
                call()
            taken = (time.perf_counter() - start) / (line.calls * line.count)
            best[is_bare] = min(best.get(is_bare, taken), taken)
    return best[False], best.get(True)


def table(engine: str, url: str, times: int, used: int) -> Table:
    """Measure everything on a new CMDB."""
    store = Store.create(url)
    fill(store, used)
    shown = Table(title=f"CMDB on {engine}, {used} addresses in {WHOLE}", title_justify="left", box=None)
    for name, justify in (
        ("", "left"),
        ("per second", "right"),
        ("bare driver", "right"),
        ("ratio", "right"),
    ):
        shown.add_column(name, justify=justify)  # type: ignore[arg-type]
    for line in lines(store, Bare(url), times):
        ours, bare = measure(line)
        words = ["", ""] if bare is None else [f"{1 / bare:,.0f}", f"{ours / bare:.2f}"]
        shown.add_row(line.name, f"{1 / ours:,.0f}", *words)
    return shown


@contextmanager
def scratch_postgresql() -> Iterator[str]:
    """Give the URL of a new CMDB's database on the server that the integration tests use."""
    path = Path(__file__).parents[1] / "integration" / "conftest.py"
    spec = importlib.util.spec_from_file_location("integration_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    with fixtures.server() as url:
        yield fixtures.new_database(url)


def main() -> None:
    """Print a table for each engine."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--engine", choices=["sqlite", "postgresql"], help="only this one")
    options.add_argument("--used", type=int, default=50_000, help="addresses in the /16")
    options.add_argument("--times", type=int, default=200, help="how often in a round")
    chosen = options.parse_args()
    console = Console()
    if chosen.engine != "postgresql":
        with tempfile.TemporaryDirectory() as directory:
            url = f"sqlite:///{directory}/cmdb.sqlite3"
            console.print(table("SQLite", url, chosen.times, chosen.used))
    if chosen.engine != "sqlite":
        with scratch_postgresql() as url:
            console.print(table("PostgreSQL", url, chosen.times, chosen.used))


if __name__ == "__main__":
    main()
