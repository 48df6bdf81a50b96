"""Findings over time: the plan is a function, so it is tested as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drcloud.compliance.controls import Status, Verdict
from drcloud.compliance.findings import Change, Known, State, fingerprint, plan

CONTROL = "live-restore"
OBJECTS = ("engine", "host", "container:a")
STATUSES = st.sampled_from(Status)
RUNS = st.lists(st.dictionaries(st.sampled_from(OBJECTS), STATUSES), max_size=8)


def results(statuses: dict[str, Status]) -> dict[str, tuple[Verdict, ...]]:
    return {CONTROL: tuple(Verdict(name, status, "why") for name, status in statuses.items())}


def after(known: dict[str, Known], changes: tuple[Change, ...]) -> dict[str, Known]:
    return known | {one.fingerprint: Known(one.control, one.object, one.state) for one in changes}


def states(*runs: dict[str, Status]) -> list[dict[str, State]]:
    known: dict[str, Known] = {}
    told = []
    for run in runs:
        changes = plan("dk-01", known, results(run))
        known = after(known, changes)
        told.append({change.object: change.state for change in changes})
    return told


def test_new_open_fixed_and_regressed_are_told_apart() -> None:
    bad, good = {"engine": Status.FAIL}, {"engine": Status.PASS}
    assert states(bad, bad, good, good, bad, bad) == [
        {"engine": State.NEW},
        {"engine": State.OPEN},
        {"engine": State.FIXED},
        {},
        {"engine": State.REGRESSED},
        {"engine": State.OPEN},
    ]


def test_an_object_that_is_gone_is_fixed() -> None:
    assert states({"container:a": Status.FAIL}, {"host": Status.NOT_APPLICABLE})[1] == {
        "container:a": State.FIXED
    }


def test_an_object_out_of_view_is_not_fixed() -> None:
    assert states({"container:a": Status.FAIL}, {"host": Status.UNKNOWN})[1] == {}


def test_a_control_that_was_not_judged_fixes_nothing() -> None:
    key = fingerprint("other", "dk-01", "engine")
    assert plan("dk-01", {key: Known("other", "engine", State.OPEN)}, results({"engine": Status.PASS})) == ()


def test_fingerprints_do_not_run_into_each_other() -> None:
    assert fingerprint("a", "bc", "d") != fingerprint("ab", "c", "d")


@given(RUNS)
def test_what_failed_is_recorded_and_open_exactly_while_it_fails(runs: list[dict[str, Status]]) -> None:
    known: dict[str, Known] = {}
    for run in runs:
        known = after(known, plan("dk-01", known, results(run)))
        blind = Status.UNKNOWN in run.values()
        for name in OBJECTS:
            finding = known.get(fingerprint(CONTROL, "dk-01", name))
            failing = run.get(name) == Status.FAIL
            if failing:
                assert finding is not None
                assert finding.state != State.FIXED
            elif not blind:
                assert finding is None or finding.state == State.FIXED
