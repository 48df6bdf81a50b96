"""Drift: what was seen against what should be, and the groups of hosts that it makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drcloud.cmdb import drift
from drcloud.cmdb.drift import Desired, Observed, Seen
from drcloud.cmdb.inventory import build
from drcloud.cmdb.options import parse

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WANTED = Desired("rt67", "sha256:a", "r1", "d1")


def seen(revision="r1", status="running", age=0, digest="sha256:a", health="healthy"):
    moment = NOW - timedelta(hours=age)
    return Seen("rt67", digest, revision, "a", status, health, moment, moment)


def test_hosts_by_kind_of_drift(fleet):
    [placement] = fleet.placements

    def of(instances, looks=("dk-01", "dk-02")):
        observed = Observed({("demo", "prod"): WANTED}, instances, dict.fromkeys(looks, NOW))
        return drift.hosts(fleet.placements, observed)

    good = {(host, "demo", "prod"): [seen()] for host in placement.hosts}
    assert of(good) == {}
    assert of(good | {("dk-01", "demo", "prod"): [seen("r0")]}) == {"spec": {"dk-01"}}
    assert of(good | {("dk-01", "demo", "prod"): [seen("r0", digest="sha256:b")]}) == {"image": {"dk-01"}}
    # Made by hand, with the labels of the right one.
    assert of(good | {("dk-01", "demo", "prod"): [seen(digest="sha256:b")]}) == {"image": {"dk-01"}}
    assert of(good | {("dk-01", "demo", "prod"): [seen(health="unhealthy")]}) == {"unhealthy": {"dk-01"}}
    assert of(good | {("dk-01", "demo", "prod"): [seen(status="exited")]}) == {"stopped": {"dk-01"}}
    assert of({("dk-01", "demo", "prod"): [seen()]}) == {"missing": {"dk-02"}}
    assert of({("dk-01", "demo", "prod"): [seen()]}, ["dk-01"]) == {"not_seen": {"dk-02"}}
    assert of(good | {("lb-01", "demo", "prod"): [seen()]}) == {"unplaced": {"lb-01"}}
    # What was retained beside the running instance, or stopped where nothing is placed, is no drift.
    assert of(good | {("dk-01", "demo", "prod"): [seen("r0", "exited", 9), seen()]}) == {}
    assert of(good | {("lb-01", "demo", "prod"): [seen(status="exited")]}) == {}


@pytest.mark.parametrize(
    ("changes", "kind", "by_hand"),
    [
        ({}, "spec", True),
        ({"differs": ("record",)}, "unknown", True),
        # What a roll would mend is told first, and so is what does not work.
        ({"differs": ("record",), "digest": "sha256:b"}, "image", False),
        ({"revision": "r0"}, "spec", False),
        ({"health": "unhealthy"}, "unhealthy", False),
        ({"status": "exited"}, "stopped", False),
    ],
)
def test_what_somebody_changed_on_a_host_is_drift(fleet, changes, kind, by_hand):
    changed = replace(seen(), **{"differs": ("env", "mounts"), **changes})
    instances = {("dk-01", "demo", "prod"): [changed], ("dk-02", "demo", "prod"): [seen()]}
    observed = Observed({("demo", "prod"): WANTED}, instances, dict.fromkeys(("dk-01", "dk-02"), NOW))
    [found] = drift.find(fleet.placements, observed)
    assert (found.host, found.kind, found.is_changed_by_hand) == ("dk-01", kind, by_hand)


def test_what_no_roll_made_is_unknown_though_nothing_was_ever_deployed(fleet):
    forged = {("dk-01", "demo", "prod"): [replace(seen(), differs=("record",))]}
    [found] = drift.find(fleet.placements, Observed({}, forged, {"dk-01": NOW}))
    assert (found.host, found.kind, found.desired) == ("dk-01", "unknown", None)


def test_containers_of_nobody_are_unknown_but_for_those_that_an_app_took_over(fleet):
    [placement] = fleet.placements
    strangers = {"dk-02": ["web"], "dk-01": ["legacy", "postgres"]}
    observed = Observed({}, {}, dict.fromkeys(("dk-01", "dk-02"), NOW), strangers)

    def told(placements):
        return [(one.host, one.container, one.kind) for one in drift.find(placements, observed)]

    assert told([placement]) == [
        ("dk-01", "legacy", "unknown"),
        ("dk-01", "postgres", "unknown"),
        ("dk-02", "web", "unknown"),
    ]
    taken = replace(placement, takes_over={"dk-01": "legacy", "dk-02": "another"})
    assert told([taken]) == [("dk-01", "postgres", "unknown"), ("dk-02", "web", "unknown")]
    assert drift.hosts([taken], observed) == {"unknown": {"dk-01", "dk-02"}}


def test_what_was_never_deployed_cannot_drift(fleet):
    assert drift.hosts(fleet.placements, Observed({}, {}, {})) == {}


def test_an_old_look_at_what_was_well_is_stale_and_of_what_was_not_is_drift(fleet):
    instances = {("dk-01", "demo", "prod"): [seen(age=30)], ("dk-02", "demo", "prod"): [seen("r0", age=30)]}
    looks = dict.fromkeys(("dk-01", "dk-02"), NOW - timedelta(hours=30))
    observed = Observed({("demo", "prod"): WANTED}, instances, looks)

    def kinds(hours):
        found = drift.find(fleet.placements, observed, now=NOW, max_age=timedelta(hours=hours))
        return {one.host: one.kind for one in found}

    assert kinds(24) == {"dk-01": "stale", "dk-02": "spec"}
    assert kinds(31) == {"dk-02": "spec"}
    # Groups of an inventory that may be kept do not change with the time.
    assert drift.hosts(fleet.placements, observed) == {"spec": {"dk-02"}}


def test_groups_hold_the_hosts_that_are_in_the_inventory(fleet):
    drifted = {"spec": {"dk-01", "retired-9"}, "not_seen": {"dk-02"}, "missing": {"retired-9"}}
    groups = build(fleet, options=parse({"drift": True}), drift=drifted).groups
    assert groups.members["drift_spec"] == ["dk-01"]
    assert list(groups.children["drift"]) == ["drift_not_seen", "drift_spec"]
    assert "drift_missing" not in groups.members
