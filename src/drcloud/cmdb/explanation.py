"""Why a host is in a group of the inventory, or why it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2

from drcloud.cmdb import expressions, paths
from drcloud.cmdb.construction import Keyed, NeedsAnsibleError, Rule, Rules, same_group, seen_by
from drcloud.cmdb.expressions import SCALARS, ExpressionError
from drcloud.cmdb.grouping import above, groups_by_host, parents
from drcloud.cmdb.inventory import Inventory
from drcloud.cmdb.options import Options
from drcloud.cmdb.snapshot import HostRow, PlacementRow

OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")


@dataclass(frozen=True, slots=True)
class Reason:
    """What a rule has to say about a host and a group."""

    rule: str
    detail: str
    through: str | None = None


@dataclass(slots=True)
class Explanation:
    """Whether a host is in a group, by the rules for it, against it, and those that only Ansible knows."""

    host: str
    group: str
    because: list[Reason] = field(default_factory=list)
    against: list[Reason] = field(default_factory=list)
    unknown: list[Reason] = field(default_factory=list)

    @property
    def member(self) -> bool | None:
        """Whether the host is in the group; None where only ansible-core can tell."""
        return True if self.because else None if self.unknown else False


def explain(found: Inventory, options: Options, rules: Rules, host: str, group: str) -> Explanation:
    """Explain a host of the inventory, by its name there, and a group."""
    told = Explanation(host, group)
    _from_cmdb(told, found, options)
    _from_expressions(told, found, rules)
    return told


def known_groups(found: Inventory) -> set[str]:
    """Return the groups that the CMDB makes."""
    return {*found.groups.members, *found.groups.children}


def keyed_groups(found: Inventory, rules: Rules) -> tuple[set[str], bool]:
    """Return the groups that keyed_groups make of all hosts, and whether only Ansible knows some of them."""
    names = {keyed.parent for keyed in rules.keyed if keyed.parent is not None}
    by_host = groups_by_host(found.groups) if rules.keyed else {}
    for host in found.hosts if rules.keyed else ():
        seen = seen_by(found, host, by_host[host])
        composed, unsettled = rules.settled(seen)
        for keyed in rules.keyed:
            try:
                names.update(_value(keyed.rule, unsettled, keyed.groups, seen | composed))
            except NeedsAnsibleError:
                return names, True
            except ExpressionError:
                continue
    return names, False


def _from_cmdb(told: Explanation, found: Inventory, options: Options) -> None:
    direct = parents(found.groups)
    for group, rule, value, hosts in found.groups.joined:
        if group != told.group and told.group not in above(group, direct):
            continue
        through = None if group == told.group else group
        detail = _said(rule, value, options)
        if told.host in hosts:
            told.because.append(Reason(rule, detail, through))
        else:
            told.against.append(Reason(rule, f"{detail}; {_is(rule, found, told.host, options)}", through))


def _said(rule: str, value: str, options: Options) -> str:
    """Return which hosts a rule of ours puts into a group."""
    if rule.startswith("group_by"):
        levels = options.group_by[int(rule[9:-1])]
        return f"hosts whose {' / '.join('.'.join(path) for path in levels)} is {value}"
    return {
        "placement": f"hosts of the placement {value}",
        "tag": f"hosts with the tag {value}",
        "drift": f"hosts that drifted: {value}",
    }.get(rule, f"hosts whose {rule} is {value}")


def _is(rule: str, found: Inventory, host: str, options: Options) -> str:
    """Return what the host is instead."""
    variables = found.hosts[host]
    if rule.startswith("group_by"):
        levels = options.group_by[int(rule[9:-1])]
        values = ["/".join(map(str, paths.read(variables, path))) or "not set" for path in levels]
        return f"here it is {' / '.join(values)}"
    if rule == "placement":
        placed = [f"{entry['app']}@{entry['env']}" for entry in variables.get("dr_placements", [])]
        return f"it has {' and '.join(placed) if placed else 'none'}"
    if rule == "tag":
        return f"it has {' and '.join(variables.get('dr_tags', ())) or 'none'}"
    if rule == "drift":
        return "it did not"
    value = variables.get(f"dr_{rule}")
    return "it has none" if value is None else f"it is {value}"


def _from_expressions(told: Explanation, found: Inventory, rules: Rules) -> None:
    seen = seen_by(found, told.host, groups_by_host(found.groups)[told.host])
    composed, unsettled = rules.settled(seen)
    seen |= composed
    for rule in rules.groups:
        if same_group(rule.name.partition(".")[2], told.group):
            _judge(told, rule, seen, unsettled)
    for keyed in rules.keyed:
        _judge_keyed(told, keyed, seen, unsettled)


def _judge_keyed(told: Explanation, keyed: Keyed, seen: Mapping[str, Any], unsettled: set[str]) -> None:
    rule = keyed.rule
    try:
        names = _value(rule, unsettled, keyed.groups, seen)
    except NeedsAnsibleError:
        told.unknown.append(Reason(rule.name, rule.text))
        return
    except ExpressionError:
        told.against.append(Reason(rule.name, f"{rule.text} has no value for this host"))
        return
    made = ", ".join(names) or "no group"
    detail = f"{rule.text} gives {made}"
    if any(same_group(name, told.group) for name in names):
        told.because.append(Reason(rule.name, detail))
    elif names and keyed.parent is not None and same_group(keyed.parent, told.group):
        told.because.append(Reason(rule.name, detail, made))
    else:
        told.against.append(Reason(rule.name, detail))


def _value(rule: Rule, unsettled: set[str], evaluate: Callable[[Any], Any], seen: Mapping[str, Any]) -> Any:
    """Evaluate a rule unless it reads a variable that only ansible-core can compose."""
    if rule.compiled is not None and rule.compiled.names & unsettled:
        raise NeedsAnsibleError(rule.name)
    return evaluate(seen)


def _judge(told: Explanation, rule: Rule, seen: Mapping[str, Any], unsettled: set[str]) -> None:
    try:
        holds = _value(rule, unsettled, rule.holds, seen)
    except (NeedsAnsibleError, ExpressionError):
        told.unknown.append(Reason(rule.name, rule.text))
        return
    if holds:
        told.because.append(Reason(rule.name, f"{rule.text} is true"))
    else:
        told.against.append(Reason(rule.name, falsehood(rule, seen)))


def falsehood(rule: Rule, seen: Mapping[str, Any]) -> str:
    """Return which part of a condition is false, and the values that it sees."""
    parts = [part for part in conjuncts(rule.text) if _is_false(part, seen)] or [rule.text]
    return " and ".join(f"{part} is false{_values(part, seen)}" for part in parts)


def _is_false(part: str, seen: Mapping[str, Any]) -> bool:
    try:
        return not _compiled(part).holds(seen)
    except (NeedsAnsibleError, ExpressionError):
        return False


def _values(part: str, seen: Mapping[str, Any]) -> str:
    rule = _compiled(part).compiled
    names = sorted(rule.names if rule else ())
    shown = [f"{name} is {seen[name]!r}" for name in names if name in seen and type(seen[name]) in SCALARS]
    return f" ({', '.join(shown)})" if shown else ""


def _compiled(part: str) -> Rule:
    return Rule("part", part, expressions.compile(part))


def conjuncts(text: str) -> list[str]:
    """Return the parts of a condition that must all be true; the whole where these cannot be told apart."""
    parts, depth = [""], 0
    for _line, kind, word in jinja2.Environment(autoescape=True).lex("{{" + text + "}}"):
        if kind in {"variable_begin", "variable_end"}:
            continue
        depth += (word in OPENING) - (word in CLOSING)
        if kind == "name" and depth == 0 and word in {"or", "if", "else"}:
            return [text]
        if kind == "name" and depth == 0 and word == "and":
            parts.append("")
        else:
            parts[-1] += word
    return [part.strip() for part in parts]


def why_not_selected(
    host: HostRow, placements: Iterable[PlacementRow], options: Options, rules: Rules, seen: Mapping[str, Any]
) -> Iterator[Reason]:
    """Yield why a host of the CMDB is not in the inventory of a source."""
    wanted = options.selection
    for name, values in (("state", wanted.state), ("idc", wanted.idc), ("role", wanted.role)):
        value = getattr(host, name)
        if values and value not in values:
            yield Reason(
                name, f"its {name} is {value or 'not set'}, the source asks for {' or '.join(values)}"
            )
    if not wanted.state and host.state == "retired":
        yield Reason("state", "it is retired, and such hosts come only when the source asks for the state")
    if wanted.env or wanted.app:
        mine = [row for row in placements if host.name in (*row.hosts, *row.lbs)]
        fits = [
            row
            for row in mine
            if (not wanted.env or row.env in wanted.env) and (not wanted.app or row.app in wanted.app)
        ]
        if not fits:
            has = " and ".join(f"{row.app}@{row.env}" for row in mine) or "none"
            asked = " and ".join(" or ".join(values) for values in (wanted.app, wanted.env) if values)
            yield Reason("placement", f"its placements are {has}, the source asks for {asked}")
    if rules.where is not None:
        try:
            if not rules.where.holds(seen):
                yield Reason("where", falsehood(rules.where, seen))
        except (NeedsAnsibleError, ExpressionError):
            yield Reason("where", f"{rules.where.text}: only Ansible can tell")
