"""What one inventory has and another has not."""

from __future__ import annotations

from drcloud.cmdb.difference import HostChange, compare

OLD = {"a": {"x": 1, "gone": 0, "none": None}, "b": {}}, {"a": {"g", "h"}, "b": set()}
NEW = {"a": {"x": 2, "new": [1], "none": None}, "c": {}}, {"a": {"h", "i"}, "c": {"g"}}


def test_hosts_groups_and_variables_are_told():
    found = compare(OLD, NEW)
    assert (found.added, found.removed) == (["c"], ["b"])
    assert found.changed == [
        HostChange(
            "a",
            ["i"],
            ["g"],
            {
                "gone": {"before": 0, "after": None},
                "new": {"before": None, "after": [1]},
                "x": {"before": 1, "after": 2},
            },
        )
    ]


def test_nothing_changed_is_false_and_empty():
    found = compare(OLD, OLD)
    assert not found
    assert found.as_document() == {"added": [], "removed": [], "changed": []}


def test_a_variable_that_becomes_none_changed():
    [change] = compare(({"a": {}}, {"a": set()}), ({"a": {"x": None}}, {"a": set()})).changed
    assert change.variables == {"x": {"before": None, "after": None}}
