"""The pull as a whole: read NetBox, plan, apply; all of it in one transaction or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import sleep

from drcloud.cmdb import state as states
from drcloud.cmdb.netbox import application, mapping, ownership, picture, plan
from drcloud.cmdb.netbox.cache import Cache, place
from drcloud.cmdb.netbox.client import Access, Client
from drcloud.cmdb.netbox.mapping import Choice
from drcloud.cmdb.netbox.plan import Plan, Rules
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

REASON = "sync from netbox"


@dataclass(frozen=True, slots=True)
class Request:
    """What to pull, and how; ``full`` reads everything, as if it were the first time."""

    access: Access
    choice: Choice = field(default_factory=Choice)
    adopt: frozenset[str] = frozenset()
    prune: bool = False
    full: bool = False
    dry_run: bool = False
    ticket: str | None = None
    reason: str = REASON


@dataclass(frozen=True, slots=True)
class Result:
    """What was changed, or with a dry run would be; and how many objects NetBox has, by endpoint."""

    plan: Plan
    read: Mapping[str, int]


def pull(store: Store, request: Request, pause: Callable[[float], None] = sleep) -> Result:
    """Bring the CMDB to what a NetBox says of the world; an error means that nothing was written."""
    rules = Rules(request.access.url, request.adopt, request.prune)
    cache = Cache(place(request.access.url, request.choice.sites))
    with Client(request.access, pause) as client:
        seen = picture.read(client, cache, request.choice.sites, full=request.full)
    mapped = mapping.make(seen, request.choice)
    if request.dry_run:
        with store.read() as session:
            return Result(_planned(seen, mapped, states.load(session), rules, request.choice), seen.counts())
    with store.write(reason=request.reason, ticket=request.ticket) as session:
        loaded = states.load(session)
        made = _planned(seen, mapped, loaded, rules, request.choice)
        application.apply(session, loaded, made)
    return Result(made, seen.counts())


def _planned(
    seen: picture.Picture, mapped: mapping.Mapped, loaded: states.Loaded, rules: Rules, choice: Choice
) -> Plan:
    for name in sorted(rules.adopt):
        kind, _, key = name.partition(":")
        if kind not in ownership.MANAGED or key not in loaded.documents[kind]:
            raise NotFoundError(
                f"there is no {name!r} in the CMDB to be adopted: write kind:name, as host:web-01"
            )
    gone = ownership.vanished(seen, loaded.documents, rules.url, choice)
    made = plan.make(mapped, loaded.documents, rules, gone)
    if made.problems:
        many = f" ({len(made.problems)} problems)" if len(made.problems) > 1 else ""
        raise InvalidInputError(
            f"NetBox {rules.url} cannot be pulled{many}, nothing was written:\n" + "\n".join(made.problems)
        )
    return made
