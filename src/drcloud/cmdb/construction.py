"""The expressions of an inventory source without Ansible: what compiles is evaluated, the rest is named.

The same rules as ansible-core's Constructable, for ``explain`` and ``diff``. Where only ansible-core can tell
what an expression means, ``NeedsAnsibleError`` says so instead of guessing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drcloud.cmdb import expressions
from drcloud.cmdb.expressions import AskJinjaError, Compiled, ExpressionError
from drcloud.cmdb.grouping import NOT_IN_GROUP_NAMES, groups_by_host
from drcloud.cmdb.inventory import Inventory, Keep, Variables
from drcloud.cmdb.options import Options, plain

TEMPLATES = ("{{", "{%", "{#", "#jinja2:")


class NeedsAnsibleError(Exception):
    """Only ansible-core can evaluate an expression of the source."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression of the source: where it stands, its text, and its compiled form or None."""

    name: str
    text: str
    compiled: Compiled | None

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Return the value for a host, or raise ``NeedsAnsibleError`` or ``ExpressionError``."""
        if self.compiled is None:
            raise NeedsAnsibleError(self.name)
        try:
            return self.compiled(variables)
        except AskJinjaError as error:
            raise NeedsAnsibleError(self.name) from error
        except ExpressionError:
            raise
        except Exception as error:
            # What Python raises for values that do not fit is an error of the expression too.
            raise ExpressionError(str(error)) from error

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Return whether a condition holds; one that is no truth value is for ansible-core to judge."""
        value = self.value(variables)
        if not isinstance(value, bool):
            raise NeedsAnsibleError(self.name)
        return value


@dataclass(frozen=True, slots=True)
class Keyed:
    """An entry of keyed_groups."""

    rule: Rule
    entry: Mapping[str, Any]
    leading: bool

    @property
    def parent(self) -> str | None:
        """The group that holds the groups of this entry."""
        return self.entry.get("parent_group")

    def groups(self, variables: Mapping[str, Any]) -> list[str]:
        """Return the names of the host's groups."""
        key, default = self.rule.value(variables), self.entry.get("default_value")
        if key in (None, "") and default is not None:
            return [self._name(default)]
        if isinstance(key, Mapping):
            return [self._name(self._pair(*item, default)) for item in key.items()]
        items = key if isinstance(key, list) else [key] if key else []
        return [self._name(default if item in (None, "") and default is not None else item) for item in items]

    def _pair(self, name: str, value: Any, default: Any) -> str:
        if value in (None, "") and default is None and self.entry.get("trailing_separator") is False:
            return name
        bare = default if value in (None, "") and default is not None else value
        return f"{name}{self.entry.get('separator', '_')}{bare}"

    def _name(self, bare: Any) -> str:
        prefix, separator = self.entry.get("prefix", ""), self.entry.get("separator", "_")
        if prefix == "" and not self.leading:
            separator = ""
        return f"{prefix}{separator}{bare}"


class Rules:
    """All expressions of a source."""

    def __init__(self, options: Options, *, strict: bool = True, leading_separator: bool = True) -> None:
        self.strict = strict
        self.where = None if options.where is None else _rule("where", options.where)
        self.compose = [_rule(f"compose.{name}", text) for name, text in options.compose.items()]
        self.groups = [_rule(f"groups.{name}", text) for name, text in options.groups.items()]
        self.keyed = [
            Keyed(_rule(f"keyed_groups[{number}]", entry.get("key")), entry, leading_separator)
            for number, entry in enumerate(options.keyed_groups)
        ]

    def keep(self) -> Keep | None:
        """Return what ``where`` means."""
        where = self.where
        if where is None:
            return None

        def stays(name: str, variables: Variables) -> bool:
            try:
                return where.holds({**variables, **_magic(name)})
            except ExpressionError:
                if self.strict:
                    # The source is refused with an error, and ansible-core words it.
                    raise NeedsAnsibleError("where") from None
                return False

        return stays

    def composed(self, variables: Mapping[str, Any]) -> Variables:
        """Return the variables that compose gives a host."""
        found = {}
        for rule in self.compose:
            try:
                found[rule.name.partition(".")[2]] = rule.value(variables)
            except ExpressionError:
                self._missing(rule)
        return found

    def settled(self, variables: Mapping[str, Any]) -> tuple[Variables, set[str]]:
        """Return the variables of compose that are known here, and the names of the others."""
        found, unknown = {}, set()
        for rule in self.compose:
            name = rule.name.partition(".")[2]
            try:
                found[name] = rule.value(variables)
            except ExpressionError:
                continue
            except NeedsAnsibleError:
                unknown.add(name)
        return found, unknown

    def joined(self, variables: Mapping[str, Any]) -> Iterator[tuple[Rule, str]]:
        """Yield the groups that expressions put a host into, with the expression."""
        for rule in self.groups:
            try:
                if rule.holds(variables):
                    yield rule, rule.name.partition(".")[2]
            except ExpressionError:
                self._missing(rule)
        for keyed in self.keyed:
            try:
                for group in keyed.groups(variables):
                    yield keyed.rule, group
                    if keyed.parent:
                        yield keyed.rule, keyed.parent
            except ExpressionError:
                self._missing(keyed.rule)

    def _missing(self, rule: Rule) -> None:
        if self.strict:
            raise NeedsAnsibleError(rule.name)


def finished(found: Inventory, rules: Rules) -> tuple[dict[str, Variables], dict[str, set[str]]]:
    """Return each host's variables and groups with what the expressions add."""
    by_host = groups_by_host(found.groups)
    hosts, groups = {}, {}
    for name, variables in found.hosts.items():
        seen = seen_by(found, name, by_host[name])
        composed = rules.composed(seen)
        groups[name] = by_host[name] | {group for _, group in rules.joined({**seen, **composed})}
        shown = {key: value for key, value in variables.items() if key not in found.hidden}
        hosts[name] = {**shown, **composed}
    return hosts, groups


def seen_by(found: Inventory, name: str, groups: set[str]) -> Variables:
    """Return what an expression sees of a host."""
    return {**found.everywhere, **found.hosts[name], **_magic(name), "group_names": sorted(groups)}


def same_group(one: str, other: str) -> bool:
    """Tell whether two names are one group, as written or with what cannot stand in a name replaced."""
    return one == other or NOT_IN_GROUP_NAMES.sub("_", one) == other


def _magic(name: str) -> Variables:
    return {"inventory_hostname": name, "inventory_hostname_short": name.partition(".")[0]}


def _rule(name: str, text: Any) -> Rule:
    if isinstance(text, bool | int):
        text = str(text).lower() if isinstance(text, bool) else str(text)
    if not isinstance(text, str) or text.strip().startswith(TEMPLATES):
        return Rule(name, str(text), None)
    return Rule(name, plain(text), expressions.compile(plain(text)))
