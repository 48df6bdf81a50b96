"""What a host should serve, and what goes when it is retired, on a real CMDB."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.cmdb import lookup, snapshot
from drcloud.cmdb.declared import Address, Host
from drcloud.cmdb.store import Store
from drcloud.delivery import ledger, observe, service, target
from drcloud.errors import InvalidInputError, NotFoundError

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def revision(store: Store) -> str:
    """The revision that was deployed to all hosts."""
    goal = target.target(target.find(store, "demo", "prod"), "v1", DIGEST)
    ledger.close(store, ledger.open_deployment(store, goal, "run-1"), "succeeded", "rolled")
    return goal.revision


def instance(given: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": f"demo_prod_a_{given[:8]}",
        "app": "demo",
        "env": "prod",
        "slot": "a",
        "tag": "v1",
        "digest": DIGEST,
        "revision": given,
        "deployment": "d",
        "status": "running",
        "health": "healthy",
        "started_at": "2026-11-22T17:00:00.123456789Z",
        **changes,
    }


def test_what_was_never_deployed_is_served_by_nobody(store: Store) -> None:
    assert service.standing(store, "dk-01") == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"digest": f"sha256:{'b' * 64}"}, "another image runs"),
        ({"revision": "f" * 64}, "the right image runs with other settings"),
        ({"health": "unhealthy"}, "it runs and does not work"),
        ({"status": "exited", "health": "stopped"}, "it does not run any more"),
    ],
)
def test_a_host_serves_what_the_last_deployment_brought(
    store: Store, revision: str, changes: dict[str, Any], words: str
) -> None:
    observe.record(store, "dk-01", [instance(revision, **changes)], "observe")
    assert service.standing(store, "dk-01") == {"demo_prod": words}


def test_a_host_without_the_app_is_behind(store: Store, revision: str) -> None:
    assert service.standing(store, "dk-02") == {"demo_prod": "nobody has looked at this host yet"}
    observe.record(store, "dk-02", [], "observe")
    assert service.standing(store, "dk-02") == {"demo_prod": "it is not there"}
    with pytest.raises(NotFoundError, match="there is no host 'dk-99'"):
        service.standing(store, "dk-99")


def placed(store: Store) -> tuple[tuple[str, ...], dict[str, Any]]:
    [row] = snapshot.read(store).placements
    return row.hosts, dict(row.ports)


def test_a_retired_host_frees_what_it_had(store: Store) -> None:
    done = service.retire(store, "dk-06", reason="end of lease", ticket="CHG-1")
    assert done == ["leave demo@prod and free its ports", "free address 10.90.0.16", "retire host dk-06"]
    hosts, ports = placed(store)
    assert hosts == ("dk-01", "dk-02", "dk-03", "dk-04", "dk-05")
    assert "dk-06" not in ports
    with store.read() as session:
        row = lookup.host(session, "dk-06")
        assert (row.state, row.addresses) == ("retired", [])
    # What is free can be had by another one.
    [row] = [row for row in snapshot.read(store).hosts if row.name == "dk-05"]
    assert row.address == "10.90.0.15"
    with store.write(reason="a new server") as session:
        taken = lookup.host(session, "dk-05").addresses[0]
        new = Host(name="dk-07", role="docker")
        session.add(Address(address="10.90.0.16", prefix=taken.prefix, vrf=taken.vrf, host=new))
    assert {row.name: row.address for row in snapshot.read(store).hosts}["dk-07"] == "10.90.0.16"


def test_a_host_that_still_has_a_container_is_not_retired(store: Store, revision: str) -> None:
    observe.record(store, "dk-06", [instance(revision)], "observe")
    with pytest.raises(InvalidInputError, match="dk-06 still has the container demo_prod_a_"):
        service.retire(store, "dk-06", reason="end of lease")
    assert "dk-06" in placed(store)[0]


def test_a_host_that_an_app_cannot_do_without_is_not_retired(store: Store) -> None:
    for host in ("dk-05", "dk-06"):
        service.require_retirable(store, host)
        service.retire(store, host, reason="end of lease")
    for act in (service.require_retirable, lambda *given: service.retire(*given, reason="end of lease")):
        with pytest.raises(
            InvalidInputError, match="demo in prod needs 4 hosts in service and would have 3 without"
        ):
            act(store, "dk-04")
    hosts, _ports = placed(store)
    assert hosts == ("dk-01", "dk-02", "dk-03", "dk-04")


def test_a_host_is_emptied_when_its_decommissioning_saw_it_so(store: Store, revision: str) -> None:
    assert not service.is_emptied(store, "dk-01")
    observe.record(store, "dk-01", [], "deploy")
    assert not service.is_emptied(store, "dk-01")
    observe.record(store, "dk-01", [], service.DECOMMISSION)
    assert service.is_emptied(store, "dk-01")
    observe.record(store, "dk-01", [instance(revision)], service.DECOMMISSION)
    assert not service.is_emptied(store, "dk-01")
