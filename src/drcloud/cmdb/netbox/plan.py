"""The plan of a pull: pure, from what NetBox wants and the declared state to changes, or to what is wrong.

A row of the same name that does not come from this NetBox is a conflict, unless it is handed over by name.
Of its own rows the pull writes the fields that NetBox has; state, SSH settings, placements and all else are
the CMDB's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.hosts import objection
from drcloud.cmdb.ipam import port_pool
from drcloud.cmdb.items import PrefixTable, bound
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.netbox import renames
from drcloud.cmdb.netbox.mapping import SERVICE, Mapped, Wanted
from drcloud.cmdb.netbox.ownership import MANAGED, PARTS, RETIRED, Key, mark, source_of
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import State

UNIQUE = (("host", "serial"), ("host", "asset_tag"), ("nic", "mac"))


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose pull it is, and what is allowed: rows to take over (``kind:key``), removal of what vanished."""

    url: str
    adopt: frozenset[str] = frozenset()
    prune: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pull would do, what has vanished from NetBox, and what is wrong; with problems nothing is done.

    Keys are those that rows have afterwards; ``moved`` has them by the old ones. ``first`` is done before the
    changes: it frees what other rows are to have.
    """

    changes: tuple[Change, ...] = ()
    first: tuple[Change, ...] = ()
    moved: Mapping[Key, str] = field(default_factory=dict)
    vanished: tuple[Key, ...] = ()
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def make(mapped: Mapped, state: State, rules: Rules, gone: Sequence[Key]) -> Plan:
    """Compare; ``gone`` are the own rows whose objects NetBox has no longer."""
    if mapped.problems:
        return Plan(problems=mapped.problems, left_out=mapped.left_out, vanished=tuple(gone))
    return _Planning(mapped, state, rules, gone).result()


class _Planning:
    """The making of one plan."""

    def __init__(self, mapped: Mapped, state: State, rules: Rules, gone: Sequence[Key]) -> None:
        renamed = renames.follow(state, mapped.wanted, rules.url)
        self._rules, self._wanted, self._renamed = rules, mapped.wanted, renamed
        self._state = renamed.state
        self._hosts = {one.key for one in mapped.wanted if one.kind == "host"}
        self._gone = [(kind, renamed.moved.get((kind, key), key)) for kind, key in gone]
        self._gone_sources = {source_of(self._state[kind][key], rules.url) for kind, key in self._gone}
        self._final: dict[str, dict[str, Fields]] = {kind: dict(rows) for kind, rows in self._state.items()}
        self._left_out, self._problems = list(mapped.left_out), list(renamed.problems)
        self._changes: list[Change] = []

    def result(self) -> Plan:
        """Return the plan, or all that is wrong."""
        if not self._problems:
            self._write()
            self._clear_parts()
            if self._rules.prune:
                self._prune()
            self._problems += [*self._clashes(), *self._bound_names()]
        left_out, gone = tuple(self._left_out), tuple(self._gone)
        if self._problems:
            return Plan(problems=tuple(self._problems), left_out=left_out, vanished=gone)
        return Plan(tuple(self._changes), tuple(self._first()), self._renamed.moved, gone, left_out)

    def _change(self, change: Change) -> None:
        self._changes.append(change)
        rows = self._final[change.kind]
        if change.action == "delete":
            rows.pop(change.key)
        else:
            rows[change.key] = {**rows.get(change.key, {}), **change.after}

    def _write(self) -> None:
        by_kind: dict[str, list[Wanted]] = defaultdict(list)
        for one in self._wanted:
            by_kind[one.kind].append(one)
        for kind in MANAGED:
            rows = by_kind[kind]
            if kind == "prefix":
                rows = self._nested(rows)
            elif kind == "address":
                rows = list(self._placed(rows))
            for one in rows:
                self._compare(one)

    def _nested(self, wanted: list[Wanted]) -> list[Wanted]:
        """Make an aggregate of every prefix that contains another one, be it one of the CMDB's own."""
        mine = {one.key: one for one in wanted}
        while True:
            whole = {**self._final["prefix"], **{key: dict(one.fields) for key, one in mine.items()}}
            pairs = [pair for pair in PrefixTable(whole).overlaps() if not mine.keys().isdisjoint(pair)]
            outer = {one for one, _ in pairs if one in mine}
            if not outer:
                break
            mine |= {key: replace(mine[key], fields={**mine[key].fields, "aggregate": True}) for key in outer}
        for around, inner in pairs:
            what = f"lies in prefix {around} of the CMDB, which is no aggregate: make it one first"
            self._problems.append(f"{mine[inner].label} {what}")
        return list(mine.values())

    def _placed(self, wanted: list[Wanted]) -> Iterator[Wanted]:
        """Give every address its prefix; one that lies in none and is on no host is left out."""
        table = PrefixTable(self._final["prefix"])
        for one in wanted:
            prefix = table.find(one.fields["address"], one.fields["vrf"])
            words = prefix and bound(one.fields["address"], prefix, self._final["prefix"])
            if words and one.fields["host"] is not None:
                what = f"{words} of prefix {prefix}: correct it in NetBox"
                self._problems.append(f"{one.label} of host {one.fields['host']} is {what}")
            elif prefix is not None:
                yield replace(one, fields={**one.fields, "prefix": prefix})
            elif one.fields["host"] is None:
                self._left_out.append(f"{one.label} lies in no prefix that holds addresses")
            else:
                vrf = f" of VRF {one.fields['vrf']}" if one.fields["vrf"] else ""
                what = f"lies in no prefix{vrf} that holds addresses: make one in NetBox"
                self._problems.append(f"{one.label} of host {one.fields['host']} {what}")

    def _compare(self, one: Wanted) -> None:
        known = self._state[one.kind].get(one.key)
        fields = {**one.fields, "attrs": mark(self._rules.url, one.source)}
        if known is None:
            self._change(Change(one.kind, one.key, "create", {}, fields))
            return
        if (one.part and known["host"] == one.fields["host"]) or self._is_kept(one, known):
            return
        if wrong := self._conflict(one, source_of(known, self._rules.url)):
            self._problems.append(wrong)
        elif one.kind == "rack_slot":
            # The database keeps a host in its rack while units there are its: the row is made anew.
            self._change(Change(one.kind, one.key, "delete", known, {}))
            self._change(Change(one.kind, one.key, "create", {}, fields))
        else:
            self._update(one, known, {**fields, "attrs": {**known["attrs"], **fields["attrs"]}})

    def _conflict(self, one: Wanted, source: str | None) -> str | None:
        """Return why a row may not be written for this object; None when it may."""
        name = f"{one.kind}:{one.key}"
        if source == one.source or name in self._rules.adopt or self._is_reached_there(one):
            return None
        if source is None:
            what = f"is in the CMDB and does not come from this NetBox: rename one, or use --adopt {name}"
        elif one.part or source in self._gone_sources:
            return None  # it was deleted and made again
        else:
            what = f"comes from {source}, which is there still and is not pulled now"
        return f"{one.label}: {one.kind.replace('_', ' ')} {one.key} {what}"

    def _is_kept(self, one: Wanted, known: Fields) -> bool:
        """Tell whether an address stays with its host, because that host itself is not pulled now."""
        if one.kind != "address" or one.fields["host"] is not None or known["host"] is None:
            return False
        retiring = self._rules.prune and ("host", known["host"]) in self._gone
        return known["host"] not in self._hosts and not retiring

    def _is_reached_there(self, one: Wanted) -> bool:
        """Tell whether an address is on the same own host already: an import file cannot say whose it is."""
        if one.kind != "address" or one.fields["host"] is None:
            return False
        host = self._state["host"].get(one.fields["host"])
        same = self._state["address"][one.key]["host"] == one.fields["host"]
        return same and host is not None and source_of(host, self._rules.url) is not None

    def _update(self, one: Wanted, known: Fields, fields: Mapping[str, Any]) -> None:
        before = dict(self._renamed.before.get((one.kind, one.key), {}))
        before |= {name: known[name] for name, value in fields.items() if known[name] != value}
        if before:
            after = {name: fields[name] for name in before}
            self._change(Change(one.kind, one.key, "update", before, after))

    def _clear_parts(self) -> None:
        """Remove units and tags that a pulled host no longer has."""
        kept = {(one.kind, one.key) for one in self._wanted if one.part}
        alive = {one.source for one in self._wanted if one.kind == "host"}
        for kind in PARTS:
            for key, fields in self._state[kind].items():
                if (kind, key) not in kept and source_of(fields, self._rules.url) in alive:
                    self._change(Change(kind, key, "delete", fields, {}))

    def _prune(self) -> None:
        """Retire the hosts that vanished, and remove everything else that did."""
        going = [key for key in self._gone if key[1] in self._final[key[0]] and not self._was_made_again(key)]
        hosts = {key for kind, key in going if kind == "host"}
        for kind in PARTS:
            going += [
                (kind, key)
                for key, fields in list(self._final[kind].items())
                if fields["host"] in hosts and source_of(fields, self._rules.url)
            ]
        for kind, key in going:
            if kind == "host":
                self._retire(key)
            else:
                self._change(Change(kind, key, "delete", self._state[kind][key], {}))
        self._problems += self._needed({key for key in going if key[0] != "host"})

    def _was_made_again(self, key: Key) -> bool:
        """Tell whether another object took a row over."""
        kind, name = key
        return source_of(self._final[kind][name], self._rules.url) not in self._gone_sources

    def _retire(self, key: str) -> None:
        state = self._state["host"][key]["state"]
        if wrong := objection(key, state, RETIRED):
            self._problems.append(f"{wrong}; NetBox has it no longer")
        else:
            self._change(Change("host", key, "update", {"state": state}, {"state": RETIRED}))

    def _needed(self, removed: set[Key]) -> Iterator[str]:
        """Yield what still refers to rows that are to go."""
        for name, kind in kinds().items():
            targets = {part.name: part.target for part in kind.fields.values() if part.target}
            for key, fields in self._final[name].items() if targets else ():
                for part, target in targets.items():
                    if (target, fields.get(part)) in removed:
                        what = f"{str(target).replace('_', ' ')} {fields[part]}"
                        yield f"{what} has vanished from NetBox and cannot go: {name} {key} refers to it"

    def _clashes(self) -> Iterator[str]:
        """Yield the values that two rows would share and that only one may have."""
        labels = {(one.kind, one.key): one.label for one in self._wanted}
        for kind, name in UNIQUE:
            owners: dict[Any, str] = {}
            for key, fields in self._final[kind].items():
                value = fields.get(name)
                other = owners.setdefault(value, key)
                if value is not None and other != key:
                    one, two = (
                        labels.get((kind, each), f"{kind} {each} of the CMDB") for each in (other, key)
                    )
                    yield f"{one} and {two} have the same {name.replace('_', ' ')} {value}"

    def _bound_names(self) -> Iterator[str]:
        """Yield the hosts that cannot be renamed, for the ports they gave away are known by their names."""
        pools = {fields["pool"] for fields in self._state["allocation"].values()}
        for (kind, old), new in self._renamed.moved.items():
            if kind == "host" and port_pool(old) in pools:
                yield (
                    f"host {old} is {new} in NetBox now and cannot be renamed here, for apps have ports on "
                    "it: name it as it was, or take its apps away first"
                )

    def _first(self) -> Iterator[Change]:
        """Yield what must be so before the changes are written, in the order of the kinds."""
        updates = [change for change in self._changes if change.action == "update"]
        removed = [change for change in self._changes if change.action == "delete"]
        for change in removed:
            if change.kind == "prefix" and not change.before["aggregate"]:
                yield _only(change, "aggregate", True)
            if change.kind == "nic" and change.before["mac"]:
                yield _only(change, "mac", None)
        for change in updates:
            before = self._state[change.kind][change.key]
            if change.kind == "prefix" and change.after.get("aggregate"):
                yield _only(change, "aggregate", True)
            if (
                change.kind == "address"
                and before["purpose"] == PRIMARY
                and change.after.keys() & {"purpose", "host"}
            ):
                yield _only(change, "purpose", SERVICE)
            for kind, name in UNIQUE:
                if kind == change.kind and change.before.get(name) is not None:
                    yield _only(change, name, None)


def _only(change: Change, name: str, value: Any) -> Change:
    return Change(change.kind, change.key, "update", {name: change.before.get(name)}, {name: value})
