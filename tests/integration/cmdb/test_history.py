"""The state as it was, and differences, against what was recorded at the time; on both engines."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import history
from drcloud.cmdb import state as states
from drcloud.cmdb.declared import BlockDevice, Host, HostKey, Idc, Rack, Room
from drcloud.cmdb.store import Store

NAMES = (f"n{number}" for number in itertools.count())


@dataclass
class Writer:
    """Does to the rows of a session what generated numbers say; whatever comes out is allowed."""

    session: Session
    gone: set[Any] = field(default_factory=set)

    def pick(self, model: Any, number: int) -> Any:
        rows = [row for row in self.session.scalars(select(model).order_by(model.id)) if row not in self.gone]
        return rows[number % len(rows)] if rows else None

    def add_rack(self, one: int, two: int) -> None:
        room = self.pick(Room, one) if two % 2 else None
        room = room or Room(code=next(NAMES), idc=Idc(code=next(NAMES), attrs={"机房": two}))
        self.session.add(Rack(code=next(NAMES), room=room))

    def add_host(self, one: int, two: int) -> None:
        name = next(NAMES)
        host = Host(name=name, role="docker", rack=self.pick(Rack, one), ssh_via=self.pick(Host, two))
        host.block_devices = [
            BlockDevice(path=f"/dev/{number}", purpose="spare") for number in range(one % 3)
        ]
        host.keys = [HostKey(type="ssh-ed25519", key="AAAA")] if two % 2 else []
        self.session.add(host)

    def rename(self, one: int, two: int) -> None:
        row = self.pick((Host, Rack, Room, Idc)[one % 4], two)
        if row is not None:
            setattr(row, "name" if isinstance(row, Host) else "code", next(NAMES))

    def identify(self, one: int, two: int) -> None:
        if disk := self.pick(BlockDevice, one):
            disk.serial = next(NAMES) if two % 2 else None

    def move(self, one: int, two: int) -> None:
        if host := self.pick(Host, one):
            host.rack = self.pick(Rack, two) if two % 3 else None

    def reach(self, one: int, two: int) -> None:
        host, via = self.pick(Host, one), self.pick(Host, two)
        if host is not None:
            # Hosts that are reached through each other have no order in which to be written.
            host.ssh_via = via if via.id < host.id else None

    def describe(self, one: int, two: int) -> None:
        if host := self.pick(Host, one):
            host.attrs = {"说明": [two, {"half": two / 2}], "none": None}

    def scrap(self, one: int, _two: int) -> None:
        host = self.pick(Host, one)
        if host is None:
            return
        for other in [*self.session.scalars(select(Host)), *self.session.new]:
            if isinstance(other, Host) and other.ssh_via is host:
                other.ssh_via = None
        self.gone |= {host, *host.block_devices}
        self.session.delete(host)

    def flush(self, _one: int, _two: int) -> None:
        self.session.flush()


OPERATIONS = [name for name in vars(Writer) if not name.startswith("_") and name not in ("pick", "gone")]
NUMBERS = st.integers(0, 11)
UNITS = st.lists(
    st.lists(st.tuples(st.sampled_from(OPERATIONS), NUMBERS, NUMBERS), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


def seen(store: Store) -> history.Documents:
    with store.read() as session:
        return states.read(session)


def check(store: Store, read: Callable[[Session], Any]) -> Any:
    with store.read() as session:
        return read(session)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(units=UNITS)
def test_the_past_is_what_was_seen_then(cmdb_url: str, units: list[list[tuple[str, int, int]]]) -> None:
    store = Store.open(cmdb_url)
    recorded = {store.declared_seq(): seen(store)}
    for unit in units:
        with store.write(reason="generated") as session, session.no_autoflush:
            writer = Writer(session)
            for operation, one, two in unit:
                getattr(writer, operation)(one, two)
        recorded[store.declared_seq()] = seen(store)
    with store.read() as session:
        for seq, state in recorded.items():
            assert history.documents(session, seq) == state
        for a, b in [*itertools.pairwise(recorded), (max(recorded), min(recorded))]:
            assert history.diff(session, a, b) == history.compare(recorded[a], recorded[b])
