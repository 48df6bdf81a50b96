"""What is compiled to Python and what is left to ansible-core; test_construct_agrees.py has both agree."""

from __future__ import annotations

import pytest

from drcloud.cmdb import expressions
from drcloud.cmdb.expressions import AskJinjaError, ExpressionError
from drcloud.errors import InvalidInputError

HOST = {
    "dr_role": "docker",
    "dr_state": "active",
    "dr_attrs": {"team": "支付", "owner": "{{ lookup('pipe', 'id') }}", "items": [1]},
    "dr_disks": [{"path": "/dev/sdb"}],
    "port": 22,
    "nothing": None,
}
VALUES = {
    "dr_role": "docker",
    "dr_attrs.team": "支付",
    "dr_attrs['team'] ~ '-' ~ port": "支付-22",
    "dr_attrs.owner": "{{ lookup('pipe', 'id') }}",
    "dr_disks[0].path": "/dev/sdb",
    "dr_role == 'docker' and dr_state in ('active', 'maintenance')": True,
    "not (dr_role != 'docker' or 1 < port <= 22)": False,
    "dr_attrs.missing.deeper | default('none') | upper": "NONE",
    "nothing or port + 1": 23,
    "dr_disks | length": 1,
    "dr_attrs.missing is defined": False,
    "nothing is none": True,
    "[dr_role, ('a', port)]": ["docker", ["a", 22]],
    "{'role': dr_role}": {"role": "docker"},
    "'db' if 'data' in dr_role else 'app'": "app",
    "dr_attrs['items']": [1],
}


@pytest.mark.parametrize("text", VALUES)
def test_a_plain_expression_needs_no_jinja(text):
    compiled = expressions.compile(text)
    assert compiled is not None
    value = compiled(HOST)
    assert (value, type(value)) == (VALUES[text], type(VALUES[text]))


def test_it_tells_which_variables_it_reads():
    assert expressions.compile("a.b ~ c[d] if e else 'f'").names == {"a", "c", "d", "e"}


def test_a_value_shares_nothing_with_the_variables():
    host = {"a": {"b": [1]}}
    expressions.compile("a")(host)["b"].append(2)
    assert host == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    "text", ["gone", "dr_attrs.gone", "gone == 1", "1 < dr_role", "dr_attrs | length | lower + 1"]
)
def test_what_has_no_value_is_an_error(text):
    with pytest.raises((ExpressionError, TypeError)):
        expressions.compile(text)(HOST)


LEFT = (
    "dr_attrs.items",  # Jinja gives the method
    "dr_attrs.__class__",
    "lookup('env', 'HOME')",
    "dr_role | regex_replace('a', 'b')",
    "dr_disks | map(attribute='path')",
    "dr_disks | selectattr('path')",
    "dr_role[1:]",
    "dr_role is match('d')",
    "port * 2",
    "'{{ dr_role }}'",
    "'a\\nb'",
    "omit",
    "dr_role if port",
    "dr_role.upper()",
)


@pytest.mark.parametrize("text", LEFT)
def test_everything_else_is_left_to_ansible_core(text):
    assert expressions.compile(text) is None


@pytest.mark.parametrize("value", [{1, 2}, {"a": object()}])
def test_values_that_are_not_plain_are_left_to_ansible_core(value):
    with pytest.raises(AskJinjaError):
        expressions.compile("a")({"a": value})


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "": "the expression '' does not parse",
        "dr_role ==": "the expression 'dr_role ==' does not parse",
        "dr_role dr_state": "there is more after the end of the expression",
        "{{ dr_role }}": "an expression stands without {{ }}",
        "dr_role }} {{ dr_state": "does not parse",
    }.items(),
)
def test_what_is_no_expression_is_refused(text, said):
    with pytest.raises(InvalidInputError) as error:
        expressions.compile(text)
    assert said in str(error.value)
