"""Observed state: whole sets, the newest wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb import observations, outbox
from drcloud.cmdb.operational import HostFact, Instance, Observation, Outbox
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def instance(**changes: Any) -> dict[str, Any]:
    return {
        "name": "demo_prod_a_01234567",
        "app": "demo",
        "env": "prod",
        "slot": "a",
        "tag": "v1",
        "digest": "sha256:" + "0" * 64,
        "revision": "01234567",
        "deployment": "d1",
        "status": "running",
        "health": "healthy",
        "started_at": "2026-01-01T11:00:00+00:00",
        **changes,
    }


def seen(store: Store) -> list[tuple[str, str]]:
    with store.read() as session:
        return [(row.name, row.status) for row in session.scalars(select(Instance).order_by(Instance.name))]


def test_a_set_replaces_the_one_before(filled: Store) -> None:
    observations.record_instances(filled, "dk-01", [instance(), instance(name="gone")], "roll", NOON)
    observations.record_instances(filled, "dk-02", [instance()], "roll", NOON)
    later = NOON + timedelta(seconds=1)
    observations.record_instances(
        filled, "dk-01", [instance(status="exited"), instance(name="new")], "observe", later
    )
    assert seen(filled) == [
        ("demo_prod_a_01234567", "exited"),
        ("demo_prod_a_01234567", "running"),
        ("new", "running"),
    ]


def test_an_older_look_changes_nothing(filled: Store) -> None:
    observations.record_instances(filled, "dk-01", [], "observe", NOON)
    observations.record_instances(filled, "dk-01", [instance()], "roll", NOON - timedelta(seconds=1))
    assert seen(filled) == []
    with filled.read() as session:
        assert session.scalars(select(Observation.source)).all() == ["observe"]


def test_observed_seq_moves_only_with_what_is_observed(filled: Store) -> None:
    observations.record_instances(filled, "dk-01", [instance()], "roll", NOON)
    assert filled.observed_seq() == 1
    observations.record_instances(filled, "dk-01", [instance()], "observe", NOON + timedelta(minutes=1))
    assert filled.observed_seq() == 1
    observations.record_instances(filled, "dk-01", [], "observe", NOON + timedelta(minutes=2))
    assert filled.observed_seq() == 2
    declared = filled.declared_seq()
    observations.record_facts(filled, "dk-01", {"kernel": "6.1"})
    observations.record_facts(filled, "dk-01", {"kernel": "6.1"})
    assert (filled.observed_seq(), filled.declared_seq()) == (3, declared)
    observations.record_facts(filled, "dk-01", {"kernel": "6.2"})
    assert filled.observed_seq() == 4
    with filled.read() as session:
        assert session.scalars(select(HostFact.facts)).all() == [{"kernel": "6.2"}]


def test_what_is_somebody_elses_work_is_kept_beside_the_facts(filled: Store) -> None:
    def observe(minutes: int, by_hand: dict[str, Any] | None) -> None:
        moment = NOON + timedelta(minutes=minutes)
        observations.record_instances(filled, "dk-01", [instance()], "observe", moment, by_hand)

    def facts() -> list[dict[str, Any]]:
        with filled.read() as session:
            return list(session.scalars(select(HostFact.facts)).all())

    observe(0, {"differs": {}, "strangers": []})
    assert (facts(), filled.observed_seq()) == ([], 1)
    whole = {"differs": {"demo_prod_a_01234567": ["env"]}, "strangers": ["web"]}
    observe(1, whole)
    assert (facts(), filled.observed_seq()) == ([{"by_hand": whole}], 2)
    observe(2, whole)
    assert filled.observed_seq() == 2
    # Facts of the host come and go; a roll says nothing of others; an older look says nothing at all.
    observations.record_facts(filled, "dk-01", {"kernel": "6.1"})
    observe(3, {"differs": {}})
    observe(1, whole)
    observe(4, None)
    assert (facts(), filled.observed_seq()) == ([{"kernel": "6.1", "by_hand": {"strangers": ["web"]}}], 4)
    observe(5, {"strangers": []})
    assert (facts(), filled.observed_seq()) == ([{"kernel": "6.1", "by_hand": {}}], 5)


def test_bad_observations(filled: Store) -> None:
    with pytest.raises(NotFoundError, match="no host 'dk-1'"):
        observations.record_facts(filled, "dk-1", {})
    with pytest.raises(InvalidInputError, match="observed on host dk-01 has wrong or missing fields: colour"):
        observations.record_instances(filled, "dk-01", [instance(colour="red")], "roll")
    with pytest.raises(InvalidInputError, match="started at 'yesterday', which is no time"):
        observations.record_instances(filled, "dk-01", [instance(started_at="yesterday")], "roll")


def test_events_stand_in_the_transaction(store: Store) -> None:
    with store.operate() as session:
        outbox.publish(session, "app:demo@prod", "deployment.started", {"tag": "v1"})
    with pytest.raises(ZeroDivisionError), store.operate() as session:
        outbox.publish(session, "app:demo@prod", "deployment.ended", {})
        raise ZeroDivisionError
    with store.read() as session:
        assert session.scalars(select(Outbox.type)).all() == ["deployment.started"]
