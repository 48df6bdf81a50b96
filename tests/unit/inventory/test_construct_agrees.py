"""Compiled expressions give what Constructable gives, errors included, whatever the data."""

from __future__ import annotations

import copy
import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.template import Templar, trust_as_template
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.dianrong.cloud.plugins.plugin_utils._construct import construct
from ansible_collections.dianrong.cloud.plugins.plugin_utils._filling import fill
from drcloud.cmdb import expressions
from drcloud.errors import InvalidInputError

# `make bench` looks further than `make test`, and each time elsewhere.
EXAMPLES = int(os.environ.get("DRCLOUD_EXAMPLES", "100"))
SAME = "DRCLOUD_EXAMPLES" not in os.environ
OWNED = "{{ lookup('pipe', 'id') }}"
OPTIONS = {
    "strict": True,
    "compose": {},
    "groups": {},
    "keyed_groups": [],
    "leading_separator": True,
    "use_extra_vars": False,
}


class Plugin(BaseInventoryPlugin, Constructable):
    """A plugin with the given options, as Ansible would have read them from a source."""

    NAME = "test"

    def __init__(self, options: dict[str, Any], extra: dict[str, Any]) -> None:
        super().__init__()
        self.given = OPTIONS | trusted(options)
        self.inventory = InventoryData()
        self.templar = Templar(loader=DataLoader())
        self._vars = trusted(extra)

    def get_option(self, option: str, *_: Any, **__: Any) -> Any:
        return self.given[option]


def trusted(value: Any) -> Any:
    """Return what was written in a source: its strings may be templates."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [trusted(inner) for inner in value]
    if isinstance(value, dict):
        return {trusted(key): trusted(inner) for key, inner in value.items()}
    return value


def cmdb(hosts: list[dict[str, Any]]) -> Any:
    """Return hosts h0 and on with their variables, in two groups, in the shape of the CMDB's inventory."""
    names = [f"h{number}" for number in range(len(hosts))]
    groups = SimpleNamespace(
        members={"base_0": names[::2], "base_1": names[1::2]}, children={"above": ["base_1"]}
    )
    variables = dict(zip(names, copy.deepcopy(hosts), strict=True))
    return SimpleNamespace(hosts=variables, groups=groups, everywhere={"everywhere": ["x"]})


def stock(plugin: Plugin, found: Any) -> None:
    """Apply the expressions as a plugin does that knows nothing but Constructable."""
    options = {name: plugin.get_option(name) for name in ("compose", "groups", "keyed_groups")}
    common = {"strict": plugin.get_option("strict")}
    for name in found.hosts:
        host = plugin.inventory.hosts[name]
        variables = found.everywhere | host.get_vars()
        plugin._set_composite_vars(options["compose"], variables, name, **common)
        variables = found.everywhere | host.get_vars()
        more = {**common, "fetch_hostvars": False}
        plugin._add_host_to_composed_groups(options["groups"], variables, name, **more)
        plugin._add_host_to_keyed_groups(options["keyed_groups"], variables, name, **more)


def outcome(
    apply: Any, hosts: list[dict[str, Any]], options: dict[str, Any], extra: dict[str, Any] | None = None
) -> tuple[str, Any]:
    """Return the picture of an inventory, or the error."""
    plugin, found = Plugin(options, extra or {}), cmdb(hosts)
    fill(plugin.inventory, found, ("above", "base_0", "base_1"), direct=apply is ours)
    try:
        apply(plugin, found)
    except Exception as error:
        return "error", (type(error).__name__, str(error))
    plugin.inventory.reconcile_inventory()
    return "inventory", picture(plugin.inventory)


def ours(plugin: Plugin, found: Any) -> None:
    """Apply the expressions as the inventory plugin does."""
    construct(plugin, found, "site.cmdb.yml")


def picture(inventory: InventoryData) -> dict[str, Any]:
    """Return all that playbooks can see of an inventory, types and orders included."""
    return {
        "hosts": {name: typed(host.get_vars()) for name, host in inventory.hosts.items()},
        "order": [str(name) for name in inventory.groups],
        "groups": {
            str(name): {
                "hosts": [host.name for host in group.get_hosts()],
                "children": [str(child.name) for child in group.child_groups],
                "depth": group.depth,
                "vars": typed(group.get_vars()),
            }
            for name, group in inventory.groups.items()
        },
        "dict": {str(name): hosts for name, hosts in inventory.get_groups_dict().items()},
    }


def typed(value: Any) -> Any:
    """Return a value with the names of its types: 1, 1.0 and True are equal in Python."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind.__name__, kind(value)
    if isinstance(value, dict):
        return {typed(key): typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    assert value is None, type(value)
    return None


NAMES = ("a", "b", "attrs", "disks", "missing")
TEXTS = ("", "a", "ab", "active", "Pay-Roll 支付", "1", " x ", "None", OWNED)
scalars = (
    st.sampled_from(TEXTS)
    | st.integers(-2, 3)
    | st.sampled_from([0.0, 1.5, -2.0])
    | st.booleans()
    | st.none()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*TEXTS, "items"]), inner, max_size=3)
    ),
    max_leaves=6,
)
hosts = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES[:-1], values)), min_size=1, max_size=3
)

literals = st.sampled_from(
    [
        "'active'",
        "'a'",
        "''",
        '"支付"',
        "1",
        "0",
        "-1",
        "1.5",
        "true",
        "False",
        "none",
        "[]",
        "{}",
        "['a', 'b']",
        "('a', 1)",
    ]
)
paths = st.builds(
    lambda name, steps: name + "".join(steps),
    st.sampled_from([*NAMES, "inventory_hostname", "group_names", "everywhere"]),
    st.lists(
        st.sampled_from([".a", ".ab", ".nothing", "['a']", "['items']", "[0]", "[-1]", ".0"]), max_size=2
    ),
)
FILTERS = (
    "default('d')", "default('d', true)", "default(b)", "d(default_value=[], boolean=True)", "lower", "upper",
    "capitalize", "title", "trim", "length", "count", "string", "int", "int(7)", "join", "join('-')",
    "replace('a', 'b')", "default(missing)", "default('d', 1)",
)  # fmt: skip
TESTS = ("defined", "undefined", "none", "string", "number", "integer", "mapping", "boolean")
# What is not compiled has to go to Jinja, and to come back the same.
OUTSIDE = (
    "{} | list", "{} | unknown_filter", "{} is sequence", "{} is unknown_test", "({})[:1]", "({}).keys()",
    "{} * 2", "range(2) | list + [{}]", "lookup('env', 'HOME') ~ {}", "({}).items", "({}).__class__",
    "omit", "{} % 2", "({}) | map('upper') | list",
    "{} ~ 'a\\\\b'", "'{{{{ a }}}}' ~ {}", "{} ==", "", "{} }}}}",
)  # fmt: skip


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "~", "+", "-")
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner),
        st.builds("(not {})".format, inner),
        st.builds("({} | {})".format, inner, st.sampled_from(FILTERS)),
        st.builds("({} is {}{})".format, inner, st.sampled_from(["", "not "]), st.sampled_from(TESTS)),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} if {})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'k': {}, {}: 1}}".format, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("(-{})".format, inner),
    )


inside = st.recursive(paths | literals, _wider, max_leaves=5)
outside = st.builds(lambda form, inner: form.format(inner), st.sampled_from(OUTSIDE), inside)
any_expression = st.one_of(inside, inside, inside, inside, outside)
conditions = st.one_of(
    any_expression,
    st.builds("({} == {})".format, paths, literals),
    st.builds("({} in {})".format, literals, paths),
    st.builds("({} is defined and {})".format, paths, paths),
    st.sampled_from(["{{ 'a' }}", "{{ a }}"]),
    st.booleans(),
)
keyed = st.fixed_dictionaries(
    {"key": any_expression | paths},
    optional={
        "prefix": st.sampled_from(["", "p", "p-q", "支"]),
        "separator": st.sampled_from(["", "_", "-", "__"]),
        "default_value": st.sampled_from(["", "dflt", "d-f"]),
        "trailing_separator": st.booleans(),
        "parent_group": st.sampled_from(["", "par", "p.a", "{{ a }}", "{{ b | default('x') }}"]),
    },
)
options = st.fixed_dictionaries(
    {
        "strict": st.sampled_from([False, False, True]),
        "leading_separator": st.booleans(),
        "compose": st.dictionaries(st.sampled_from(["a", "new", "attrs"]), any_expression, max_size=2),
        "groups": st.dictionaries(st.sampled_from(["g", "g-h", "base_0"]), conditions, max_size=2),
        "keyed_groups": st.lists(keyed, max_size=2),
    }
)


def parses(found: dict[str, Any]) -> bool:
    """Tell whether every expression of the options is one, or a template that gives one."""
    conditions = [text for text in found["groups"].values() if isinstance(text, str) and text[:2] != "{{"]
    texts = [*found["compose"].values(), *conditions, *(entry["key"] for entry in found["keyed_groups"])]
    try:
        for text in texts:
            if "\\" not in text:
                expressions.parse(text)
    except InvalidInputError:
        return False
    return True


@settings(max_examples=EXAMPLES, derandomize=SAME)
@given(hosts, options)
def test_groups_and_variables_are_those_of_constructable(hosts, options):
    if parses(options):
        assert outcome(ours, hosts, options) == outcome(stock, hosts, options)
    else:
        kind, (name, said) = outcome(ours, hosts, options)
        assert (kind, name) == ("error", "AnsibleParserError")
        assert "does not parse" in said
        # A source that is not strict skips it on every host, for ansible-core finds it anew on each.
        assert not options["strict"] or outcome(stock, hosts, options)[0] == "error"


@settings(max_examples=EXAMPLES * 2, derandomize=SAME)
@given(values, values, inside)
# What is missing is no key, and a default outside does not make it one.
@example(a=None, b=[], text="('active')[a.a] | default('d')")
@example(a=None, b=[], text="(1)[a.a] | default('d')")
def test_an_expression_has_the_value_and_the_failures_of_jinja(a, b, text):
    host = {"a": a, "b": b, "attrs": {"a": a, "ab": b}, "disks": [a]}
    for strict in (False, True):
        options = {"strict": strict, "compose": {"new": text}}
        assert outcome(ours, [host], options) == outcome(stock, [host], options)


@pytest.mark.parametrize("use_extra_vars", [True, False])
def test_extra_variables_are_templates_where_they_are_asked_for(use_extra_vars):
    options = {
        "use_extra_vars": use_extra_vars,
        "compose": {"new": "a ~ 'x'"},
        "groups": {"g": "a == 'theirs'"},
        "keyed_groups": [{"key": "new", "prefix": "n"}, {"key": "a", "prefix": "k"}],
    }
    extra = {"a": "{{ b }}", "b": "said"}
    found = outcome(ours, [{"a": "theirs"}], options, extra)
    assert found == outcome(stock, [{"a": "theirs"}], options, extra)
    assert ("n_saidx" in found[1]["groups"]) is use_extra_vars


def test_templates_of_another_source_stay_templates():
    options = {
        "compose": {"new": "mine ~ a"},
        "groups": {"g": "mine == 'x'"},
        "keyed_groups": [{"key": "mine"}],
    }
    seen = []
    for apply in (ours, stock):
        plugin, found = Plugin(options, {}), cmdb([{"a": "x"}, {"a": OWNED, "mine": "y"}])
        plugin.inventory.add_host("h0")
        plugin.inventory.set_variable("h0", "mine", trusted("{{ a }}"))
        fill(plugin.inventory, found, ("above", "base_0", "base_1"))
        if apply is ours:
            construct(plugin, found, "site.cmdb.yml", others={"h0"})
        else:
            stock(plugin, found)
        plugin.inventory.reconcile_inventory()
        seen.append(picture(plugin.inventory))
    assert seen[0]["hosts"] == seen[1]["hosts"]
    assert seen[0]["dict"] == seen[1]["dict"]
    assert seen[0]["hosts"]["h0"]["str", "new"] == ("str", "xx")
    assert seen[0]["hosts"]["h1"]["str", "new"] == ("str", "y" + OWNED)
