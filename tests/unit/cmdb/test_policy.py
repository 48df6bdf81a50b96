"""Writes that need a change ticket: what belongs to an environment, what covers it, what is no way around."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb import importer, ipam, lookup, policy
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import (
    App,
    AppSpecVersion,
    BlockDevice,
    ChangeTicket,
    Channel,
    Environment,
    Host,
    Placement,
    PlacementHost,
    Release,
)
from drcloud.cmdb.scope import Touch, check, covers
from drcloud.cmdb.store import Store
from drcloud.cmdb.usage import Usage
from drcloud.errors import DeniedError, InvalidInputError
from drcloud.exitcodes import ExitCode

PROD = {"environment": ["prod"]}


def write(store: Store, **values: Any) -> None:
    """Write a change ticket; by default an open one over the whole of prod."""
    fields = {"ticket": "CHG-1", "state": "open", "scope": PROD, **values}
    with store.write(reason="ITIL") as session:
        session.add(ChangeTicket(**fields))


def require(store: Store, *, required: bool = True, ticket: str | None = None) -> None:
    with store.write(reason="policy", ticket=ticket) as session:
        lookup.environment(session, "prod").change_required = required


def move(store: Store, ticket: str | None = None, host: str = "dk-01") -> None:
    with store.write(reason="move", ticket=ticket) as session:
        row = lookup.host(session, host)
        row.attrs = {**row.attrs, "moved": True}


@pytest.fixture
def guarded(filled: Store) -> Store:
    require(filled)
    return filled


def test_nothing_is_required_until_an_environment_says_so(filled: Store) -> None:
    move(filled)
    move(filled, ticket="any text")


def test_a_denied_write_names_object_environment_and_way_out(guarded: Store) -> None:
    seq = guarded.declared_seq()
    with pytest.raises(DeniedError) as caught:
        move(guarded)
    assert str(caught.value) == (
        "host dk-01 belongs to environment prod, where a write needs an open change: "
        "name it with --ticket or DRCLOUD_TICKET"
    )
    assert caught.value.exit_code is ExitCode.DENIED
    assert guarded.declared_seq() == seq


def test_an_open_change_that_covers_it_lets_it_pass(guarded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(guarded)
    move(guarded, "CHG-1")
    monkeypatch.setenv("DRCLOUD_TICKET", "CHG-1")
    with guarded.write(reason="under the ticket of the environment") as session:
        lookup.host(session, "dk-02").role = "infra"


def test_what_belongs_to_no_guarded_environment_is_free(guarded: Store) -> None:
    move(guarded, host="bastion-01")
    with guarded.write(reason="build") as session:
        app = lookup.app(session, "demo")
        session.add(Release(app=app, tag="v1", digest="sha256:" + "0" * 64))
        session.add(Placement(app=app, environment=lookup.environment(session, "qa")))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"ticket": "CHG-2"}, "there is no change CHG-1 in the CMDB: did you mean CHG-2?"),
        ({"state": "draft"}, "change CHG-1 is draft (no window): have it approved and open it"),
        ({"state": "closed"}, "change CHG-1 is closed (no window): name one that is open"),
        (
            {
                "state": "approved",
                "window_start": "2026-03-01T22:00:00+08:00",
                "window_end": "2026-03-02T02:00:00+08:00",
            },
            "change CHG-1 is approved (window 2026-03-01T14:00:00Z to 2026-03-01T18:00:00Z): open it",
        ),
        (
            {"window_start": now() + HOUR, "window_end": now() + 2 * HOUR},
            "change CHG-1 is open, but has not begun (window ",
        ),
        (
            {"window_start": now() - 2 * HOUR, "window_end": now() - HOUR},
            "change CHG-1 is open, but its time is over (window ",
        ),
        ({"scope": {}}, "does not cover it, its scope is nothing"),
        ({"scope": {"host": ["dk-01"]}}, "does not cover it, its scope is host dk-01"),
        ({"scope": {"environment": ["qa"]}}, "does not cover it, its scope is environment qa"),
        ({"scope": PROD | {"host": ["dk-02", "lb-*"]}}, "does not cover it"),
        ({"scope": PROD | {"kind": ["placement"]}}, "does not cover it"),
        ({"scope": PROD | {"app": ["shop"]}}, "does not cover it"),
    ],
)
def test_a_change_that_does_not_do(guarded: Store, values: dict[str, Any], why: str) -> None:
    write(guarded, **values)
    with pytest.raises(DeniedError, match=re.escape(why)):
        move(guarded, "CHG-1")


@pytest.mark.parametrize(
    "values",
    [
        {"window_start": now() - HOUR, "window_end": now() + HOUR},
        {"scope": {"environment": ["*"]}},
        {"scope": PROD | {"host": ["dk-0*"], "app": ["demo"], "kind": ["host"]}},
    ],
)
def test_a_change_that_does(guarded: Store, values: dict[str, Any]) -> None:
    write(guarded, **values)
    move(guarded, "CHG-1")


def test_the_policy_is_switched_off_under_a_change_only(guarded: Store) -> None:
    with pytest.raises(DeniedError, match="environment prod is one where a write needs"):
        require(guarded, required=False)
    write(guarded, scope=PROD | {"app": ["demo"]})
    with pytest.raises(DeniedError, match="does not cover it"):
        require(guarded, required=False, ticket="CHG-1")
    write(guarded, ticket="CHG-2")
    require(guarded, required=False, ticket="CHG-2")
    move(guarded)


def test_no_unit_frees_itself(guarded: Store) -> None:
    """Neither by switching the policy off, nor by opening the change, nor by taking the host out of use."""
    with pytest.raises(DeniedError), guarded.write(reason="off, then move") as session:
        session.add(ChangeTicket(ticket="CHG-9", state="open", scope=PROD))
        session.flush()
        lookup.environment(session, "prod").change_required = False
    with (
        pytest.raises(DeniedError, match="there is no change CHG-9"),
        guarded.write(reason="open and use", ticket="CHG-9") as session,
    ):
        session.add(ChangeTicket(ticket="CHG-9", state="open", scope=PROD))
        session.flush()
        lookup.host(session, "dk-01").role = "infra"
    write(guarded, scope=PROD | {"kind": ["placement_host"]})
    with (
        pytest.raises(DeniedError, match="host dk-01 belongs to environment prod"),
        guarded.write(reason="take out, then move", ticket="CHG-1") as session,
    ):
        for member in session.scalars(select(PlacementHost).join(Host).where(Host.name == "dk-01")):
            session.delete(member)
        session.flush()
        lookup.host(session, "dk-01").role = "infra"


def test_a_renamed_environment_is_still_guarded(guarded: Store) -> None:
    with (
        pytest.raises(DeniedError, match="environment prod is one where"),
        guarded.write(reason="x") as session,
    ):
        lookup.environment(session, "prod").name = "production"


def test_an_approved_change_is_not_made_another(guarded: Store) -> None:
    write(guarded, state="approved", scope=PROD | {"host": ["dk-01"]})
    with (
        pytest.raises(DeniedError, match="take it back to draft first"),
        guarded.write(reason="x") as session,
    ):
        session.scalars(select(ChangeTicket)).one().scope = PROD
    with guarded.write(reason="back, and wider") as session:
        change = session.scalars(select(ChangeTicket)).one()
        change.state = "draft"
        session.flush()
        change.scope = PROD
    with guarded.write(reason="approved again") as session:
        session.scalars(select(ChangeTicket)).one().state = "approved"


def test_an_import_is_held_to_it(guarded: Store, tmp_path: Path) -> None:
    path = tmp_path / "more.yml"
    path.write_text(
        "drcloud: 1\nplacements: [{app: demo, env: prod, hosts: [dk-02], lb_port: 8080, lbs: [lb-01]}]\n"
    )
    with pytest.raises(DeniedError, match="belongs to environment prod"):
        importer.import_files(guarded, importer.Request((path,)))
    write(guarded)
    assert importer.import_files(guarded, importer.Request((path,)), ticket="CHG-1")


def test_an_allocation_is_held_to_it(guarded: Store) -> None:
    with (
        pytest.raises(DeniedError, match="allocation ports:dk-01/shop/prod/a belongs to environment prod"),
        guarded.write(reason="port") as session,
    ):
        ipam.allocate(session, "ports:dk-01", "shop/prod/a", range(20000, 20010))


def specified(session: Any, number: int, **spec: Any) -> None:
    app = session.scalars(select(App)).one()
    document = AppSpec(image="dianrong/demo", port=8080, **spec).model_dump(mode="json")
    session.add(AppSpecVersion(app=app, number=number, document=document))
    app.spec_version = number


def test_a_specification_belongs_where_it_makes_a_difference(guarded: Store) -> None:
    same = {"env": {"A": "1"}, "overrides": {"prod": {"env": {"A": "2"}}}}
    with guarded.write(reason="for qa only") as session:
        specified(session, 2, **same | {"overrides": same["overrides"] | {"qa": {"env": {"A": "3"}}}})
    with (
        pytest.raises(DeniedError, match="app demo belongs to environment prod"),
        guarded.write(reason="for all") as session,
    ):
        specified(session, 3, **same, read_only=False)


def test_a_channel_belongs_to_the_environment_of_its_name(guarded: Store) -> None:
    with guarded.write(reason="release") as session:
        app = lookup.app(session, "demo")
        release = Release(app=app, tag="prod", digest="sha256:" + "0" * 64)
        session.add_all([release, Channel(app=app, tag="rt67", release=release)])
    with (
        pytest.raises(DeniedError, match="channel demo:prod belongs to environment prod"),
        guarded.write(reason="promote") as session,
    ):
        app = lookup.app(session, "demo")
        session.add(Channel(app=app, tag="prod", release=session.scalars(select(Release)).one()))


@pytest.mark.parametrize("what", ["disk", "key", "attrs"])
def test_parts_of_a_host_belong_where_it_is_used(guarded: Store, what: str) -> None:
    with (
        pytest.raises(DeniedError, match="belongs to environment prod"),
        guarded.write(reason="x") as session,
    ):
        host = lookup.host(session, "lb-01")
        if what == "disk":
            session.add(BlockDevice(host=host, path="/dev/x", purpose="spare"))
        elif what == "key":
            from drcloud.cmdb import hosts

            hosts.pin_keys(session, host, {"ssh-ed25519": "AAAA"})
        else:
            host.attrs = {"x": 1}


USED = Usage(
    hosts={"dk-01": {("demo", "prod"), ("shop", "prod"), ("demo", "qa")}, "": set()},
    vips={"front": {("demo", "prod")}},
    certificates={"tls": {("shop", "prod")}},
)
DEMO, SHOP = frozenset({"demo"}), frozenset({"shop"})
DK = frozenset({"dk-01"})


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("host", {"name": "dk-01"}, {Touch("prod", DEMO | SHOP, DK), Touch("qa", DEMO, DK)}),
        ("nic", {"host": "dk-01"}, {Touch("prod", DEMO | SHOP, DK), Touch("qa", DEMO, DK)}),
        ("address", {"host": None}, set()),
        ("placement", {"app": "demo", "environment": "prod"}, {Touch("prod", DEMO)}),
        ("app_config", {"app": "demo", "environment": "qa"}, {Touch("qa", DEMO)}),
        ("placement_lb", {"placement": "shop@prod", "host": "dk-01"}, {Touch("prod", SHOP, DK)}),
        ("lb_pool", {"placement": "demo@prod"}, {Touch("prod", DEMO)}),
        ("lb_pool", {"placement": None}, set()),
        ("vip", {"name": "front"}, {Touch("prod", DEMO)}),
        ("certificate", {"name": "tls"}, {Touch("prod", SHOP)}),
        ("environment", {"name": "qa"}, {Touch("qa")}),
        ("channel", {"app": "demo", "tag": "latest"}, {Touch("latest", DEMO)}),
        ("allocation", {"pool": "ports:dk-01", "owner": "demo/qa/a"}, {Touch("qa", DEMO, DK)}),
        ("allocation", {"pool": "vlans", "owner": "x"}, set()),
        ("room", {"code": "r1", "idc": "bj1"}, set()),
        ("schedule", {"name": "nightly"}, set()),
    ],
)
def test_where_objects_belong(kind: str, fields: dict[str, Any], expected: set[Touch]) -> None:
    assert policy.touches(kind, None, fields, USED) == expected
    assert policy.touches(kind, fields, None, USED) == expected


def test_an_object_that_moves_belongs_to_both_sides() -> None:
    before, after = ({"app": "demo", "environment": name} for name in ("prod", "qa"))
    assert {touch.environment for touch in policy.touches("placement", before, after, USED)} == {"prod", "qa"}


@pytest.mark.parametrize(
    ("scope", "touch", "covered"),
    [
        ({}, Touch("prod"), False),
        ({"kind": ["*"]}, Touch("prod"), False),
        (PROD, Touch("prod"), True),
        (PROD, Touch("prod-2"), False),
        ({"environment": ["prod*"]}, Touch("prod-2"), True),
        (PROD | {"app": ["demo"]}, Touch("prod", DEMO | SHOP), False),
        (PROD | {"app": ["*"]}, Touch("prod", DEMO | SHOP), True),
        (PROD | {"app": ["demo"]}, Touch("prod"), False),
        (PROD | {"host": ["DK-01"]}, Touch("prod", DEMO, DK), False),
    ],
)
def test_scopes(scope: dict[str, list[str]], touch: Touch, covered: bool) -> None:
    assert covers(scope, "host", touch) is covered


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"environments": ["prod"]}, r"has no field 'environments': did you mean environment\?"),
        ({"environment": "prod"}, "is wrong at environment"),
        ({"host": []}, "is wrong at host"),
        ({"host": [1]}, "is wrong at host"),
        ({"host": None}, "is wrong at host"),
    ],
)
def test_a_scope_of_another_form_is_refused(store: Store, scope: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=f"the scope of change CHG-1 {words}"):
        write(store, scope=scope)
    check("CHG-1", PROD)


def test_the_environments_of_a_policy_are_read_once(guarded: Store) -> None:
    with guarded.write(reason="x") as session:
        assert session.scalars(select(Environment.name).where(Environment.change_required)).all() == ["prod"]
        assert session.info["guard"].environments == {"prod"}


def test_a_dry_run_of_an_import_is_denied_what_the_import_would_be(guarded: Store, tmp_path: Path) -> None:
    path = tmp_path / "more.yml"
    path.write_text("drcloud: 1\nenvironments: [{name: prod, attrs: {team: payments}}]\n", encoding="utf-8")
    request = importer.Request((path,))
    with pytest.raises(DeniedError, match="environment prod") as denied:
        importer.import_files(guarded, request, dry_run=True)
    with pytest.raises(DeniedError) as written:
        importer.import_files(guarded, request)
    assert str(denied.value) == str(written.value)
    write(guarded)
    assert len(importer.import_files(guarded, request, dry_run=True, ticket="CHG-1")) == 1
    assert len(importer.import_files(guarded, request, ticket="CHG-1")) == 1
