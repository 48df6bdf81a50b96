"""One or many declared objects, by kind and natural key: read, plan (pure), apply in one transaction.

The CMDB's modules and ``drcloud cmdb set`` are views of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from drcloud.cmdb import checks, foreseen, importer, nearby, objections, remembered, values
from drcloud.cmdb.base import Document
from drcloud.cmdb.items import Item, PrefixTable
from drcloud.cmdb.natural import join_key, kinds
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import Loaded, State
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted, prepare, settle
from drcloud.errors import InvalidInputError, LockedError

# What was published under a number keeps its meaning; a change gets the next number.
IMMUTABLE = {"app_spec_version": "a specification gets a new version instead: use cmdb_app or an import"}
NOT_DELETED = "{what} cannot go: {table} tells of it in {count}, and what was done is kept"
Planner = Callable[[Session], tuple[Loaded, tuple[Change, ...]]]


@dataclass(frozen=True, slots=True)
class Found:
    """An object of the CMDB; ``version`` counts its writes, and an object of the past has none."""

    kind: str
    key: str
    version: int | None
    fields: Document


@dataclass(frozen=True, slots=True)
class Outcome:
    """What changed, or in a dry run would, and the objects as they are then."""

    changes: tuple[Change, ...]
    objects: tuple[Found, ...]


def change(
    store: Store,
    wanted: Iterable[Wanted],
    *,
    reason: str,
    ticket: str | None = None,
    actor: str | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Bring objects to what is wanted, all of them or none.

    ``InvalidInputError`` lists what is wrong, by object and field; ``LockedError`` names an object of
    which somebody else wrote a newer version.
    """
    prepared = prepare(wanted)
    settled: list[Wanted] = []

    def planned(session: Session) -> tuple[Loaded, tuple[Change, ...]]:
        settled[:] = settle(session, prepared)
        loaded = read(session, settled)
        changes = plan(loaded, settled)
        remembered.refuse(session, loaded, changes, NOT_DELETED)
        return loaded, changes

    return carry_out(
        store,
        planned,
        lambda: [(one.kind, str(one.key)) for one in settled if one.state == "present"],
        unit={"reason": reason, "ticket": ticket, "actor": actor},
        dry_run=dry_run,
    )


def carry_out(
    store: Store,
    planner: Planner,
    keys: Callable[[], Iterable[tuple[str, str]]],
    *,
    unit: Mapping[str, str | None],
    dry_run: bool,
) -> Outcome:
    """Plan, and apply the plan made again in the write transaction, where nobody else writes.

    What changes nothing takes no lock; a dry run makes the same plan and stops there.
    """
    reason = required_reason(unit["reason"])
    with store.read() as session:
        loaded, changes = planner(session)
        if dry_run:
            foreseen.enforce(session, loaded, changes, unit["ticket"])
        if dry_run or not changes:
            return _outcome(loaded, changes, keys(), ahead=1)
    with store.write(reason=reason, ticket=unit["ticket"], actor=unit["actor"]) as session:
        loaded, changes = planner(session)
        importer.apply(session, loaded, changes)
        return _outcome(loaded, changes, keys(), ahead=0)


def required_reason(reason: str | None) -> str:
    """Return a reason; an empty one is refused also where nothing comes to be written."""
    if not reason or not reason.strip():
        raise InvalidInputError("a declared write needs a reason: say why in one line")
    return reason


def _outcome(
    loaded: Loaded, changes: tuple[Change, ...], keys: Iterable[tuple[str, str]], ahead: int
) -> Outcome:
    """Return what is, or will be: ``ahead`` is what a change still adds to a row's version."""
    final = foreseen.after(loaded.documents, changes)
    updated = {(one.kind, one.key) for one in changes if one.action == "update"}
    found = []
    for kind, key in keys:
        row = loaded.rows.get((kind, key))
        version = row.version + ((kind, key) in updated) * ahead if row is not None else 1  # type: ignore[attr-defined]
        found.append(Found(kind, key, version, {**foreseen.defaults(kind), **final[kind][key]}))
    return Outcome(changes, tuple(found))


def read(session: Session, wanted: Sequence[Wanted]) -> Loaded:
    """Load what the plan for the wanted objects needs to know."""
    present = [
        Item(
            one.kind, str(one.key), {name: value for name, value in one.fields.items() if "." not in name}, ()
        )
        for one in wanted
        if one.state == "present"
    ]
    going = [(one.kind, str(one.key)) for one in wanted if one.state == "absent"]
    return nearby.load(session, present, going)


def plan(loaded: Loaded, wanted: Iterable[Wanted]) -> tuple[Change, ...]:
    """Compare settled objects with what there is; pure but for reading versions."""
    wanted = list(wanted)
    _refuse_twice(wanted)
    for one in wanted:
        refuse_stale(one, loaded)
    state = loaded.documents
    changes = [*_removals(wanted, state)]
    problems: list[str] = []
    present = [one for one in wanted if one.state == "present"]
    items = _items(present, state)
    for one, item in zip(present, items, strict=True):
        problems += _objections(one, item.fields, state)
        changes += _write(one, item.fields, state)
    _fail(problems)
    final = {kind: dict(rows) for kind, rows in foreseen.after(state, changes).items()}
    for item in items:
        final[item.kind][item.key] = item.fields
    found = sorted(checks.all_of(items, state, final), key=lambda problem: problem.position[:1])
    _fail(_said(items[int(problem.position[0])], problem.position[1:], problem.message) for problem in found)
    _fail([*objections.clashes(items, final), *objections.dangling(changes, final)])
    return tuple(changes)


def _fail(problems: Iterable[str]) -> None:
    if lines := list(dict.fromkeys(problems)):
        raise InvalidInputError("\n".join(lines))


def _said(item: Item, position: Sequence[str | int], message: str) -> str:
    """Return a problem in words of objects, where there is no file."""
    where = "".join(f"{step}: " for step in position)
    return f"{nearby.named(item)}: {where}{objections.without_file(message)}"


def _refuse_twice(wanted: Sequence[Wanted]) -> None:
    seen = set()
    for one in wanted:
        if (one.kind, one.key) in seen:
            raise InvalidInputError(f"{one.name} is given twice")
        seen.add((one.kind, one.key))


def refuse_stale(one: Wanted, loaded: Loaded) -> None:
    """Raise LockedError when an object is wanted at a version that it has no more."""
    if one.version is None:
        return
    row = loaded.rows.get((one.kind, str(one.key)))
    if row is None:
        raise LockedError(f"{one.name} is not at version {one.version}: it does not exist")
    if row.version != one.version:  # type: ignore[attr-defined]
        raise LockedError(
            f"{one.name} is at version {row.version}, not {one.version}: "  # type: ignore[attr-defined]
            "somebody changed it meanwhile; read it again, then write"
        )


def _items(present: Sequence[Wanted], state: State) -> list[Item]:
    """Return the objects with all their fields; their place is their number."""
    items = [Item(one.kind, str(one.key), _full(one, state), (at,)) for at, one in enumerate(present)]
    prefixes = PrefixTable(
        {**state["prefix"], **{item.key: item.fields for item in items if item.kind == "prefix"}}
    )
    for one, item in zip(present, items, strict=True):
        if item.kind == "address" and not one.fields.get("prefix"):
            item.fields["prefix"] = prefixes.find(item.fields["address"], item.fields["vrf"])
    return items


def _full(one: Wanted, state: State) -> Document:
    """Return all fields of an object as it shall be."""
    full: Document = {**(state[one.kind].get(str(one.key)) or foreseen.defaults(one.kind))}
    for name, value in one.fields.items():
        base, _, part = name.partition(".")
        full[base] = _with_part(full[base], part.split("."), value) if part else value
    return full


def _with_part(whole: Any, path: Sequence[str], value: Any) -> Document:
    """Return a document with another value at a path; None takes the part away."""
    document = dict(whole) if isinstance(whole, Mapping) else {}
    first, *rest = path
    inner = _with_part(document.get(first), rest, value) if rest else value
    if inner is None or (rest and inner == {}):
        document.pop(first, None)
    else:
        document[first] = inner
    return document


def _objections(one: Wanted, full: Document, state: State) -> Iterator[str]:
    """Yield what an object lacks, or may not change."""
    kind = kinds()[one.kind]
    known = state[one.kind].get(str(one.key))
    if known is None:
        derived = {"prefix"} if one.kind == "address" else set()
        for name in values.required(kind):
            if full[name] is None and name not in derived:
                yield f"{one.name}: {name}: is missing"
    elif one.kind in IMMUTABLE and full != known:
        yield f"{one.name} never changes: {IMMUTABLE[one.kind]}"
    if join_key(kind, full.get) != one.key:
        parts = " and ".join(part.replace("|", " or ") for part in kind.natural.parts)
        yield f"{one.name} is known by its {parts}: make a new one instead of another name for this one"


def _write(one: Wanted, full: Document, state: State) -> Iterator[Change]:
    kind, key = one.kind, str(one.key)
    known = state[kind].get(key)
    if known is None:
        given = {name.partition(".")[0] for name in one.fields}
        shown = {name: value for name, value in full.items() if name in given or value not in (None, {})}
        yield Change(kind, key, "create", {}, shown)
        return
    changed = {name: value for name, value in full.items() if known[name] != value}
    if changed:
        yield Change(kind, key, "update", {name: known[name] for name in changed}, changed)


def _removals(wanted: Iterable[Wanted], state: State) -> Iterator[Change]:
    """Yield what goes, each object after what belongs to it."""
    done: set[tuple[str, str]] = set()

    def remove(kind: str, key: str) -> Iterator[Change]:
        if key not in state[kind] or (kind, key) in done:
            return
        done.add((kind, key))
        for other, name in nearby.parts_of(kind):
            for part, fields in state[other].items():
                if fields[name] == key:
                    yield from remove(other, part)
        yield Change(kind, key, "delete", state[kind][key], {})

    for one in wanted:
        if one.state == "absent":
            yield from remove(one.kind, str(one.key))
