"""What belongs to an owner key, asked for by name: a number or a host's port, an address, a subnet.

The same key always gets the same answer. What an owner has already is told without a write, and a
dry run tells what would be given now.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sqlalchemy.orm import Session

from drcloud.cmdb import actor as actors
from drcloud.cmdb import addresses, ipam, lookup, networks, policy, subnets
from drcloud.cmdb.objects import required_reason
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

Value = int | str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an owner had before and has then: a number, an address, a prefix; None is nothing."""

    before: Value | None
    after: Value | None


class Request(ABC):
    """What an owner asks for."""

    owner: str

    @abstractmethod
    def known(self, session: Session) -> Value | None:
        """Return what belongs to the owner."""

    @abstractmethod
    def next(self, session: Session) -> Value:
        """Return what would be given now."""

    @abstractmethod
    def take(self, session: Session) -> Value:
        """Allocate."""

    @abstractmethod
    def row(self, value: Value) -> policy.Row:
        """Return what a write of a value would be, as far as policy asks."""

    @abstractmethod
    def give_back(self, session: Session) -> bool:
        """Free; tell whether there was anything."""


@dataclass(frozen=True, slots=True)
class Number(Request):
    """A number of a pool, from ``first`` to ``last``; ports of a host have the pool ``ports:<host>``."""

    owner: str
    pool: str
    first: int = ipam.PORTS.start
    last: int = ipam.PORTS.stop - 1

    def known(self, session: Session) -> Value | None:
        """Return the owner's number."""
        self._require_host(session)
        return ipam.owned(session, self.pool, self.owner)

    def next(self, session: Session) -> Value:
        """Return the lowest number that is free."""
        claim = ipam.Claim(self.pool, self.owner)
        return ipam.choose(session, [claim], self._candidates())[claim][0]

    def take(self, session: Session) -> Value:
        """Allocate the lowest number that is free."""
        return ipam.allocate(session, self.pool, self.owner, self._candidates())

    def row(self, value: Value) -> policy.Row:
        """Return the allocation."""
        fields = {"pool": self.pool, "owner": self.owner, "value": value}
        return policy.Row("allocation", f"{self.pool}/{self.owner}", None, fields)

    def give_back(self, session: Session) -> bool:
        """Free the owner's number."""
        return ipam.free(session, self.pool, self.owner)

    def _candidates(self) -> range:
        if self.first > self.last:
            raise InvalidInputError(f"pool {self.pool}: {self.first} to {self.last} is no range")
        return range(self.first, self.last + 1)

    def _require_host(self, session: Session) -> None:
        if self.pool.startswith(ipam.PORT_POOL):
            lookup.host(session, self.pool.removeprefix(ipam.PORT_POOL))


@dataclass(frozen=True, slots=True)
class Address(Request):
    """An address of a prefix; ``purpose`` and ``host`` are those of a new one."""

    owner: str
    prefix: str
    purpose: str = "reserved"
    host: str | None = None

    def known(self, session: Session) -> Value | None:
        """Return the owner's address."""
        row = addresses.find(session, networks.find(session, self.prefix), self.owner)
        return None if row is None else row.address

    def next(self, session: Session) -> Value:
        """Return the lowest address that is free."""
        return addresses.next_free(session, networks.find(session, self.prefix))

    def take(self, session: Session) -> Value:
        """Allocate the lowest address that is free."""
        host = lookup.host(session, self.host) if self.host else None
        prefix = networks.find(session, self.prefix)
        return addresses.allocate(session, prefix, self.owner, purpose=self.purpose, host=host).address

    def row(self, value: Value) -> policy.Row:
        """Return the address and whose it is."""
        return policy.Row("address", str(value), None, {"host": self.host})

    def give_back(self, session: Session) -> bool:
        """Free the owner's address."""
        return addresses.free(session, networks.find(session, self.prefix), self.owner)


@dataclass(frozen=True, slots=True)
class Subnet(Request):
    """A prefix of a length, carved from an aggregate; ``purpose`` is that of a new one."""

    owner: str
    prefix: str
    length: int = subnets.LENGTH
    purpose: str = subnets.PURPOSE

    def known(self, session: Session) -> Value | None:
        """Return the owner's subnet."""
        aggregate = networks.find(session, self.prefix)
        row = subnets.find(session, aggregate, [self.owner], self.length).get(self.owner)
        return None if row is None else row.cidr

    def next(self, session: Session) -> Value:
        """Return the lowest subnet that is free."""
        return str(next(iter(subnets.next_free(session, networks.find(session, self.prefix), self.length))))

    def take(self, session: Session) -> Value:
        """Carve the lowest subnet that is free."""
        aggregate = networks.find(session, self.prefix)
        given = subnets.allocate(session, aggregate, [self.owner], length=self.length, purpose=self.purpose)
        return given[self.owner].cidr

    def row(self, value: Value) -> policy.Row:
        """Return the prefix."""
        return policy.Row("prefix", str(value), None, {})

    def give_back(self, session: Session) -> bool:
        """Free the owner's subnet."""
        aggregate = networks.find(session, self.prefix)
        return subnets.free(session, aggregate, self.owner, length=self.length)


def allocate(
    store: Store,
    request: Request,
    *,
    reason: str,
    ticket: str | None = None,
    actor: str | None = None,
    dry_run: bool = False,
) -> Answer:
    """Give an owner what it asks for; who has it already gets the same again, and nothing is locked.

    ``InvalidInputError`` when nothing is free, ``NotFoundError`` for an unknown host or prefix.
    """
    said = required_reason(reason)
    with store.read() as session:
        known = request.known(session)
        if known is not None:
            return Answer(known, known)
        if dry_run:
            value = request.next(session)
            _enforce(session, request, value, ticket)
            return Answer(None, value)
    with store.write(reason=said, ticket=ticket, actor=actor) as session:
        known = request.known(session)
        return Answer(known, request.take(session))


def free(
    store: Store,
    request: Request,
    *,
    reason: str,
    ticket: str | None = None,
    actor: str | None = None,
    dry_run: bool = False,
) -> Answer:
    """Take back what belongs to an owner."""
    said = required_reason(reason)
    with store.read() as session:
        known = request.known(session)
        if known is not None and dry_run:
            _enforce(session, request, known, ticket)
        if known is None or dry_run:
            return Answer(known, None)
    with store.write(reason=said, ticket=ticket, actor=actor) as session:
        known = request.known(session)
        request.give_back(session)
        return Answer(known, None)


def _enforce(session: Session, request: Request, value: Value, ticket: str | None) -> None:
    """Refuse in a dry run what the write itself would be refused for want of an open change."""
    policy.enforce(session, policy.guard(session, ticket or actors.ticket()), [request.row(value)])
