"""Which hosts an inventory is about, asked of the database: what is not selected is never read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, and_, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from drcloud.cmdb.declared import (
    HOST_STATES,
    App,
    Environment,
    Host,
    Idc,
    Placement,
    PlacementHost,
    PlacementLb,
    Rack,
    Room,
)
from drcloud.cmdb.lookup import meant
from drcloud.errors import NotFoundError

# A retired host is not under management any more: only the CMDB remembers it.
GONE = "retired"


@dataclass(frozen=True, slots=True)
class Selection:
    """What a host must match; an empty field does not restrict. Retired hosts come only when asked for.

    ``env`` and ``app`` select by placement: the hosts that run it and the load balancers in front.
    """

    state: tuple[str, ...] = ()
    idc: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    role: tuple[str, ...] = ()

    def given(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each field that restricts, with its values."""
        for name in FILTERS:
            if values := getattr(self, name):
                yield name, values

    def __str__(self) -> str:
        return " and ".join(f"{name} {' or '.join(values)}" for name, values in self.given())


FILTERS = ("state", "idc", "env", "app", "role")
NOUNS = {"idc": "IDC", "env": "environment"}
COLUMNS: dict[str, InstrumentedAttribute[str]] = {
    "idc": Idc.code,
    "env": Environment.name,
    "app": App.name,
    "role": Host.role,
}


def check(session: Session, selection: Selection) -> None:
    """Raise NotFoundError for a value that nothing in the CMDB has."""
    for name, values in selection.given():
        if name == "state":
            check_names(name, values, HOST_STATES)
            continue
        column = COLUMNS[name]
        found = session.scalars(select(column).where(column.in_(values)).distinct()).all()
        if not set(values) <= set(found):
            check_names(name, values, session.scalars(select(column).distinct()).all())


def check_names(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    """Raise NotFoundError for the first value of a filter that is not known."""
    names = sorted(set(known))
    for value in values:
        if value not in names:
            hint = meant(value, names) or (
                f"known are {', '.join(names)}" if names else "the CMDB has none yet"
            )
            raise NotFoundError(f"option {name}: there is no {NOUNS.get(name, name)} {value!r}: {hint}")


def matches(selection: Selection, host: Any = Host) -> ColumnElement[bool]:
    """Return the condition on a host's row, or on an alias of the table."""
    wanted = [host.state.in_(selection.state) if selection.state else host.state != GONE]
    if selection.role:
        wanted.append(host.role.in_(selection.role))
    if selection.idc:
        racks = select(Rack.id).join(Rack.room).join(Room.idc).where(Idc.code.in_(selection.idc))
        wanted.append(host.rack_id.in_(racks))
    if selection.env or selection.app:
        placements = _placements(selection)
        ends = (select(end.host_id).where(end.placement_id.in_(placements)) for end in ENDS)
        wanted.append(or_(*(host.id.in_(end) for end in ends)))
    return and_(*wanted)


ENDS: tuple[Any, ...] = (PlacementHost, PlacementLb)


def _placements(selection: Selection) -> Select[int]:
    found = select(Placement.id).join(Placement.app).join(Placement.environment)
    if selection.env:
        found = found.where(Environment.name.in_(selection.env))
    if selection.app:
        found = found.where(App.name.in_(selection.app))
    return found


class Reach:
    """The rows that belong to a selection, as subqueries for the tables around the hosts."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        host = aliased(Host)
        self.hosts = select(host.id).where(matches(selection, host))
        # Placements whose load balancers are selected: these name all their members.
        self.pools = select(PlacementLb.placement_id).where(PlacementLb.host_id.in_(self.hosts))
        self.members = select(PlacementHost.host_id).where(PlacementHost.placement_id.in_(self.pools))
        self.bastions = select(_ways(selection).c.id)

    def wanted(self) -> ColumnElement[bool]:
        """Return which hosts to read: the selected ones and those that they cannot do without."""
        around = or_(Host.id.in_(self.bastions), Host.id.in_(self.members))
        return or_(matches(self.selection), and_(Host.state != GONE, around))

    def selected(self) -> ColumnElement[bool]:
        """Return the condition that tells the selected hosts from the others."""
        return matches(self.selection)

    def placed(self) -> ColumnElement[bool]:
        """Return which rows of ``PlacementHost`` to read."""
        return or_(PlacementHost.host_id.in_(self.hosts), PlacementHost.placement_id.in_(self.pools))

    def placements(self) -> ColumnElement[bool]:
        """Return which placements touch a selected host."""
        touched = select(PlacementHost.placement_id).where(PlacementHost.host_id.in_(self.hosts))
        return or_(Placement.id.in_(touched), Placement.id.in_(self.pools))

    def port_pools(self) -> Select[str]:
        """Return the names of the port pools of hosts whose slots are shown."""
        host = aliased(Host)
        shown = or_(host.id.in_(self.hosts), host.id.in_(self.members))
        return select(literal("ports:") + host.name).where(shown)


def _ways(selection: Selection) -> CTE:
    """Return the bastions on the way to the selected hosts, bastions of bastions included."""
    host, bastion = aliased(Host), aliased(Host)
    first = select(host.ssh_via_id.label("id")).where(matches(selection, host), host.ssh_via_id.is_not(None))
    ways = first.cte("way", recursive=True)
    further = select(bastion.ssh_via_id).join(ways, bastion.id == ways.c.id)
    return ways.union(further.where(bastion.ssh_via_id.is_not(None)))
