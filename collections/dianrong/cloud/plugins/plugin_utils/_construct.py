# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expressions of an inventory source: variables and groups computed from a host's variables.

The rules are those of Constructable. An expression that drCloud compiles to Python is evaluated
here; its hosts are collected for each group and added at once. Every other one goes to Constructable itself,
host by host, and so does a compiled one that fails on a host of a strict source: the error is ansible-core's
own. An expression reads the groups that a host has from the CMDB, not those that other expressions make.
"""

from __future__ import annotations

import collections
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.utils.vars import isidentifier

from ansible_collections.dianrong.cloud.plugins.plugin_utils._filling import add_members, can_write

try:
    from drcloud.cmdb import expressions
    from drcloud.errors import InvalidInputError
except ImportError:
    pass  # the inventory plugin says what is missing

# What ansible-core adds to a host's variables when they are read.
MAGIC = {"inventory_hostname", "inventory_hostname_short", "group_names"}
TEMPLATE = ("{{", "{%", "{#", "#jinja2:")

_ASK = object()
_NOTHING = object()


def construct(plugin: t.Any, found: t.Any, path: str, others: t.Container[str] = ()) -> None:
    """Apply compose, groups and keyed_groups of the source at the path to the hosts found in the CMDB.

    ``others`` names hosts that another source had before. Raises ``AnsibleParserError`` for an expression
    that does not parse, and what Constructable raises for one that fails on a host of a strict source.
    """
    rules = _Rules(plugin, path, found)
    if rules:
        construction = _Construction(plugin, found, rules)
        for name in found.hosts:
            construction.add(plugin.inventory.hosts[name], other=name in others)
        add_members(plugin.inventory, construction.members, construction.direct)


class _KeyedGroup:
    """An entry of keyed_groups whose key is compiled."""

    def __init__(self, plugin: t.Any, entry: dict[str, t.Any], key: t.Any) -> None:
        self.entry, self.key = entry, key
        self._plugin = plugin
        self._prefix = entry.get("prefix", "")
        self._separator = entry.get("separator", "_")
        self._default = entry.get("default_value")
        self._trailing = entry.get("trailing_separator")
        self._parent = entry.get("parent_group")
        self._joint = self._separator
        if self._prefix == "" and plugin.get_option("leading_separator") is False:
            self._joint = ""
        self._known: dict[str, str] = {}

    @staticmethod
    def fits(entry: dict[str, t.Any]) -> bool:
        """Tell whether the entry is one that needs ansible-core only for the names of its groups."""
        parent = entry.get("parent_group")
        if entry.get("trailing_separator") is not None and entry.get("default_value") is not None:
            return False
        return parent is None or (isinstance(parent, str) and not any(mark in parent for mark in TEMPLATE))

    def groups(self, key: t.Any) -> list[str] | None:
        """Return the groups for a key's value, None for a value that ansible-core has an error for."""
        if not key:
            if key in (None, "") and self._default is not None:
                return [self._group(self._default)]
            return [] if key in ([], {}) else None
        if isinstance(key, str):
            return [self._known.get(key) or self._group(key)]
        if isinstance(key, list):
            return [self._group(self._or_default(item)) for item in key]
        if isinstance(key, dict):
            return [self._group(self._pair(*item)) for item in key.items()]
        return None

    def _or_default(self, item: t.Any) -> t.Any:
        return self._default if item in (None, "") and self._default is not None else item

    def _pair(self, name: t.Any, value: t.Any) -> t.Any:
        if value in (None, ""):
            if self._default is not None:
                value = self._default
            elif self._trailing is False:
                return name
        return f"{name}{self._separator}{value}"

    def _group(self, bare: t.Any) -> str:
        """Return the group of a name, made with its parent when it is first seen."""
        if isinstance(bare, str) and bare in self._known:
            return self._known[bare]
        inventory, sanitize = self._plugin.inventory, self._plugin._sanitize_group_name
        group = inventory.add_group(sanitize(f"{self._prefix}{self._joint}{bare}"))
        if self._parent:
            parent = sanitize(self._parent)
            inventory.add_group(parent)
            inventory.add_child(parent, group)
        if isinstance(bare, str):
            self._known[bare] = group
        return group


class _Rules:
    """The expressions of a source, each with its compiled form or None."""

    def __init__(self, plugin: t.Any, path: str, found: t.Any) -> None:
        self._path = path
        self._plugin = plugin
        extra = set(plugin._vars) if plugin.get_option("use_extra_vars") else set()
        # Extra variables may be templates, and so may be what ansible-core itself computes.
        self.compose = [
            (name, text, self._compiled(f"compose.{name}", text, extra))
            for name, text in (plugin.get_option("compose") or {}).items()
        ]
        self.plain_names = {name for name, _text, _rule in self.compose if isidentifier(name)}
        left = {name for name, _text, rule in self.compose if rule is None}
        self.groups = [
            (name, text, self._condition(name, text, left))
            for name, text in (plugin.get_option("groups") or {}).items()
        ]
        self.keyed = [
            (entry, self._keyed(number, entry, extra | left))
            for number, entry in enumerate(plugin.get_option("keyed_groups") or [])
        ]
        compiled = [rule for _name, _text, rule in (*self.compose, *self.groups)]
        compiled += [rule and rule.key for _entry, rule in self.keyed]
        names = {name for rule in compiled if rule for name in rule.names}
        self.all_compiled = None not in compiled
        self.beyond_host = bool(names & (MAGIC | found.everywhere.keys()))

    def __bool__(self) -> bool:
        return bool(self.compose or self.groups or self.keyed)

    def _compiled(self, option: str, text: t.Any, templates: set[str]) -> t.Any:
        """Return an expression as Python, None where it is left to ansible-core, wrong types included."""
        if not isinstance(text, str):
            return None
        try:
            rule = expressions.compile("".join([text]))
        except InvalidInputError as error:
            raise AnsibleParserError(f"{self._path}: option {option}: {error}") from error
        return None if rule is None or rule.names & templates else rule

    def _condition(self, name: str, text: t.Any, templates: set[str]) -> t.Any:
        # A condition may be a template that gives an expression.
        if isinstance(text, str) and text.strip().startswith(TEMPLATE):
            return None
        return self._compiled(f"groups.{name}", text, templates)

    def _keyed(self, number: int, entry: t.Any, templates: set[str]) -> _KeyedGroup | None:
        if not isinstance(entry, dict):
            return None
        key = self._compiled(f"keyed_groups[{number}].key", entry.get("key"), templates)
        return _KeyedGroup(self._plugin, entry, key) if key and _KeyedGroup.fits(entry) else None


class _Construction:
    """The rules of a source applied to one host after the other; members of groups wait for the end."""

    def __init__(self, plugin: t.Any, found: t.Any, rules: _Rules) -> None:
        self._plugin, self._inventory, self._rules = plugin, plugin.inventory, rules
        self._everywhere = found.everywhere
        self._strict = plugin.get_option("strict")
        # With a wrong type of condition allowed, it is ansible-core that says what it means.
        self._exact = not C.config.get_config_value("ALLOW_BROKEN_CONDITIONALS")
        self._groups: dict[str, str] = {}
        self.direct = can_write(plugin.inventory.__class__)
        self.members: dict[str, list[str]] = collections.defaultdict(list)

    def add(self, host: t.Any, other: bool) -> None:
        """Give a host its variables and groups; one that another source knows too may hold templates."""
        stock = other and not _is_plain(host.vars)
        variables = self._variables(host, stock)
        if self._rules.compose:
            self._compose(host, variables, stock)
            variables = self._variables(host, stock)
        for name, text, rule in self._rules.groups:
            self._add_to_group(host, name, text, self._condition(rule, variables, stock), variables)
        for entry, keyed in self._rules.keyed:
            self._add_to_keyed(host, entry, keyed, variables, stock)

    def _variables(self, host: t.Any, stock: bool) -> dict[str, t.Any]:
        if stock or not self._rules.all_compiled:
            return self._all_variables(host)
        if self._rules.beyond_host:
            return {**self._everywhere, **host.vars, **host.get_magic_vars()}
        return host.vars

    def _all_variables(self, host: t.Any) -> dict[str, t.Any]:
        return self._everywhere | host.get_vars()

    def _value(self, rule: t.Any, variables: dict[str, t.Any], stock: bool) -> t.Any:
        """Return an expression's value, _NOTHING where it has none, _ASK where ansible-core has to tell."""
        if stock or rule is None:
            return _ASK
        try:
            return rule(variables)
        except expressions.AskJinjaError:
            return _ASK
        except Exception:
            return _ASK if self._strict else _NOTHING

    def _compose(self, host: t.Any, variables: dict[str, t.Any], stock: bool) -> None:
        values = [
            (name, text, self._value(rule, variables, stock)) for name, text, rule in self._rules.compose
        ]
        asked = {name: text for name, text, value in values if value is _ASK}
        variables = self._all_variables(host) if asked else variables
        for name, _text, value in values:
            if value is not _ASK and value is not _NOTHING:
                self._set(host, name, value)
        self._plugin._set_composite_vars(asked, variables, host.name, strict=self._strict)

    def _set(self, host: t.Any, name: str, value: t.Any) -> None:
        if self.direct and name in self._rules.plain_names and not isinstance(value, dict):
            host.vars[name] = value
        else:
            self._inventory.set_variable(host.name, name, value)

    def _condition(self, rule: t.Any, variables: dict[str, t.Any], stock: bool) -> t.Any:
        value = self._value(rule, variables, stock)
        if value is _ASK or value is _NOTHING or isinstance(value, bool):
            return value
        return _ASK if self._strict or not self._exact else _NOTHING

    def _add_to_group(
        self, host: t.Any, name: str, text: t.Any, value: t.Any, variables: dict[str, t.Any]
    ) -> None:
        if value is _ASK:
            variables = self._all_variables(host) if variables is host.vars else variables
            self._plugin._add_host_to_composed_groups(
                {name: text}, variables, host.name, strict=self._strict, fetch_hostvars=False
            )
        elif value is True:
            group = self._groups.get(name)
            if group is None:
                group = self._inventory.add_group(self._plugin._sanitize_group_name(name))
                self._groups[name] = group
            self.members[group].append(host.name)

    def _add_to_keyed(
        self, host: t.Any, entry: t.Any, keyed: _KeyedGroup | None, variables: dict[str, t.Any], stock: bool
    ) -> None:
        value = self._value(keyed and keyed.key, variables, stock)
        if value is _NOTHING:
            return
        groups = keyed.groups(value) if keyed is not None and value is not _ASK else None
        if groups is not None:
            for group in groups:
                self.members[group].append(host.name)
        elif value is _ASK or value or self._strict:
            variables = self._all_variables(host) if variables is host.vars else variables
            self._plugin._add_host_to_keyed_groups(
                [entry], variables, host.name, strict=self._strict, fetch_hostvars=False
            )


def _is_plain(value: t.Any) -> bool:
    """Tell whether a value is data through and through: what ansible-core templates has types of its own."""
    exactly = type(value)
    if exactly is dict:
        return all(_is_plain(key) and _is_plain(inner) for key, inner in value.items())
    if exactly is list:
        return all(map(_is_plain, value))
    return exactly in expressions.SCALARS
