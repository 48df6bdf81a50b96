"""Channels move by digest in a real registry, and whatever goes wrong in between is told and mended."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb import leases, objects, observations, snapshot
from drcloud.cmdb.operational import ChangeLog, Outbox
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery import named, promotion, releases, target
from drcloud.delivery.platforms import WrongPlatformError
from drcloud.delivery.registry import Registry
from drcloud.errors import CmdbUnreachableError, DeniedError, InvalidInputError, LockedError
from drcloud.exitcodes import ExitCode

from .conftest import Drcloud
from .registries import INDEX, RealRegistry

BOTH = pytest.mark.parametrize("cmdb_url", ["sqlite", "postgresql"], indirect=True)
# The process that promotes is killed where it begins to tell the CMDB: the registry has moved by then.
KILLED = """
import os, signal, sys
from drcloud.cli.main import main
from drcloud.delivery import releases
releases.put = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["drcloud", *sys.argv[1:]]
main()
"""


def channels(store: Store) -> dict[str, str]:
    with store.read() as session:
        app = releases.lookup.app(session, "shop")
        rows = {tag: releases.channel(session, app, tag) for tag in ("rt67", "prod")}
        return {tag: row.release.digest for tag, row in rows.items() if row}


def log(store: Store) -> list[ChangeLog]:
    with store.read() as session:
        found = select(ChangeLog).where(ChangeLog.kind.in_(("release", "channel")))
        return list(session.scalars(found.order_by(ChangeLog.seq)))


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that an error is."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    return line


@BOTH
def test_a_channel_moves_to_what_another_tag_names_and_stays_there(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    old = registry.image(repository, "old", "prod")
    new = registry.image(repository, "new", "rt67")
    releases.record(store, "shop", "rt67", new, git_ref="c0ffee", build="shop-67")

    foretold = drcloud("promote", "shop", "rt67", "prod", "--check")
    assert foretold.returncode == 0, foretold.stderr
    assert "shop prod would be what rt67 is" in foretold.stdout
    assert f"- {old}\n" in foretold.stdout
    assert f"+ {new}\n" in foretold.stdout
    assert (registry.serves(repository, "prod"), channels(store)) == (old, {"rt67": new})

    done = drcloud("promote", "shop", "rt67", "prod", "--reason", "signed off", "--ticket", "CHG-1", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["digest"], told["before"], told["recorded_before"]) == (new, old, None)
    assert (told["git_ref"], told["build"], told["changed"]) == ("c0ffee", "shop-67", True)
    assert registry.serves(repository, "prod") == new
    assert channels(store) == {"rt67": new, "prod": new}
    # What prod was before was pushed past us; it is on record now and nothing removes it.
    assert {old, new} <= named.images(store, ["main"]).digests
    last = log(store)[-1]
    assert (last.kind, last.key, last.actor, last.reason, last.ticket) == (
        "channel", "shop:prod", "anna", "signed off", "CHG-1",
    )  # fmt: skip
    assert releases.shown(store, "shop", "prod").promoted_from == "rt67"
    with store.read() as session:
        event = session.scalars(select(Outbox).order_by(Outbox.id.desc())).first()
        assert event is not None
        assert (event.subject, event.type, event.data["digest"]) == ("app:shop", "channel.moved", new)

    written, puts = len(log(store)), registry.log().count("http.request.method=PUT")
    again = drcloud("promote", "shop", "rt67", "prod")
    assert again.returncode == 0
    assert "shop prod is already what rt67 is: nothing to do" in again.stdout
    assert (len(log(store)), registry.log().count("http.request.method=PUT")) == (written, puts)
    assert leases.held(store) == []


def test_a_channel_goes_back_by_digest(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    first = registry.image(repository, "first", "rt67")
    promotion.promote(store, promotion.Request("shop", "rt67", "prod"))
    second = registry.image(repository, "second", "rt67")
    promotion.promote(store, promotion.Request("shop", "rt67", "prod"))
    assert registry.serves(repository, "prod") == second
    back = drcloud("promote", "shop", first, "prod")
    assert back.returncode == 0, back.stderr
    assert registry.serves(repository, "prod") == first
    assert channels(store) == {"prod": first}


def test_what_has_to_be_pulled_is_told_by_layer(
    store: Store, registry: RealRegistry, repository: str
) -> None:
    [row] = snapshot.read(store).registries
    digest = registry.image(repository, "small", "one")
    registry.index(repository, "of several", "both", "amd64", "arm64")
    with Registry.of(row) as asked:
        manifest = asked.manifest("shop", repository, "one")
        assert manifest.digest == digest
        assert list(asked.layers(repository, manifest).values()) == [len("small") * 100]
        both = asked.manifest("shop", repository, "both")
        assert both.is_index
        assert list(asked.layers(repository, both).values()) == [len("of several amd64") * 100]


def test_an_index_is_copied_byte_by_byte(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    index, body = registry.index(repository, "shop", "rt67", "amd64", "arm64")
    done = drcloud("promote", "shop", "rt67", "prod", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["media_type"] == INDEX
    answer = registry.get(repository, "prod")
    assert answer.content == body
    assert answer.headers["Content-Type"] == INDEX
    assert channels(store) == {"prod": index}


@BOTH
def test_a_promotion_that_is_killed_half_way_is_finished_by_the_same_again(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    old = registry.image(repository, "old", "prod")
    new = registry.image(repository, "new", "rt67")
    killed = drcloud("promote", "shop", "rt67", "prod", code=KILLED)
    assert killed.returncode == -signal.SIGKILL
    assert registry.serves(repository, "prod") == new
    assert channels(store) == {}
    # What it replaced was on record before it went.
    assert old in named.images(store, ["main"]).digests
    # Somebody who wants something else waits until it is clear that nobody goes on.
    other = registry.image(repository, "other", "rt68")
    with pytest.raises(
        LockedError, match=r"channel:shop:prod is locked by .* shop rt67 to prod by anna since"
    ):
        promotion.promote(store, promotion.Request("shop", "rt68", "prod"))

    again = drcloud("promote", "shop", "rt67", "prod", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert (told["before"], told["recorded_before"], told["changed"]) == (new, None, True)
    assert channels(store) == {"prod": new}
    promotion.promote(store, promotion.Request("shop", "rt68", "prod"))
    assert channels(store) == {"prod": other}


def test_a_cmdb_that_goes_away_in_the_middle_is_told(
    store: Store, registry: RealRegistry, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = registry.image(repository, "new", "rt67")
    request = promotion.Request("shop", "rt67", "prod")

    def gone(*_: object) -> bool:
        raise CmdbUnreachableError("the CMDB does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(releases, "put", gone)
        with pytest.raises(CmdbUnreachableError) as refused:
            promotion.promote(store, request)
    assert str(refused.value) == (
        f"prod of shop is {new} in registry main now, but the CMDB was not told: "
        "the CMDB does not answer; promote again, that finishes it"
    )
    done = promotion.promote(store, request)
    assert (done.moves, done.records) == (False, True)
    assert channels(store) == {"prod": new}


def test_policy_is_asked_before_the_registry_is_touched(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    new = registry.image(repository, "new", "rt67")
    write(store, "environment", "prod", {"change_required": True})
    for words in (("promote", "shop", "rt67", "prod"), ("promote", "shop", "rt67", "prod", "--check")):
        denied = drcloud(*words)
        assert denied.returncode == ExitCode.DENIED
        assert said(denied) == (
            "drcloud: channel shop:prod belongs to environment prod, where a write needs an open change: "
            "name it with --ticket or DRCLOUD_TICKET"
        )
    assert registry.serves(repository, "prod") is None
    # A channel of an environment that wants none moves as ever.
    assert promotion.promote(store, promotion.Request("shop", "rt67", "qa")).changed

    write(store, "change", "CHG-8", {"title": "shop", "state": "open", "scope": {"environment": ["prod"]}})
    assert drcloud("promote", "shop", "rt67", "prod", DRCLOUD_TICKET="CHG-8").returncode == 0
    assert registry.serves(repository, "prod") == new
    # Registry and CMDB differ: what was approved comes back, and that takes a change too.
    registry.image(repository, "strange", "prod")
    with pytest.raises(DeniedError):
        promotion.promote(store, promotion.Request("shop", "rt67", "prod"))
    promotion.promote(store, promotion.Request("shop", "rt67", "prod", ticket="CHG-8"))
    assert registry.serves(repository, "prod") == new


def write(store: Store, kind: str, key: str, fields: dict[str, Any]) -> None:
    objects.change(store, [Wanted(kind, fields, key)], reason="test")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("shop", "rt66", "prod"), "app shop has no tag rt66 in registry main"),
        (("shop", f"sha256:{'0' * 64}", "prod"), "app shop has no image sha256:000"),
        (("shp", "rt67", "prod"), "there is no app 'shp' in the CMDB: did you mean"),
        (("shop", "rt67", "pr od"), "'pr od' is not a tag"),
    ],
)
def test_wrong_names_are_told(
    store: Store, registry: RealRegistry, repository: str, words: tuple[str, str, str], message: str
) -> None:
    registry.image(repository, "new", "rt67")
    with pytest.raises(InvalidInputError) as refused:
        promotion.promote(store, promotion.Request(*words))
    assert message in str(refused.value)


def test_a_tag_that_is_not_there_is_one_line(drcloud: Drcloud) -> None:
    done = drcloud("promote", "shop", "rt66", "prod")
    assert done.returncode == ExitCode.INVALID_INPUT
    assert "app shop has no tag rt66 in registry main" in said(done)
    assert "nothing of it was pushed yet" in done.stderr


def test_a_wrong_password_is_denied(drcloud: Drcloud, registry: RealRegistry, repository: str) -> None:
    registry.image(repository, "new", "rt67")
    done = drcloud("promote", "shop", "rt67", "prod", REGISTRY_PASSWORD="wrong battery")
    assert done.returncode == ExitCode.DENIED
    assert f"registry main ({registry.endpoint}) refused drcloud" in said(done)
    assert "wrong battery" not in done.stderr


def test_a_registry_that_takes_no_writes_or_is_gone(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    registry.image(repository, "new", "rt67")
    registry.stop()
    try:
        registry.start(read_only=True)
        refused = drcloud("promote", "shop", "rt67", "prod")
        registry.stop()
        unreachable = drcloud("promote", "shop", "rt67", "prod")
    finally:
        registry.stop()
        registry.start()
    assert refused.returncode == ExitCode.FAILED
    assert f"takes no writes, so {repository}:prod was not moved" in said(refused)
    assert unreachable.returncode == ExitCode.UNREACHABLE
    assert f"registry main ({registry.endpoint}) does not answer" in said(unreachable)
    assert channels(store) == {}
    assert leases.held(store) == []


def test_two_who_move_one_channel_take_turns(
    drcloud: Drcloud, store: Store, registry: RealRegistry, repository: str
) -> None:
    registry.image(repository, "new", "rt67")
    leases.acquire(
        store,
        [("channel:shop:prod", True)],
        holder="promotion x",
        purpose="shop rt68 to prod by bob",
        ttl=timedelta(minutes=1),
    )
    refused = drcloud("promote", "shop", "rt67", "prod")
    assert refused.returncode == ExitCode.LOCKED
    assert "for shop rt68 to prod by bob since" in said(refused)
    assert registry.serves(repository, "prod") is None
    # To look takes no lock.
    assert promotion.promote(store, promotion.Request("shop", "rt67", "prod"), check=True).moves


def test_an_image_for_other_machines_is_refused_before_a_roll(
    store: Store, registry: RealRegistry, repository: str
) -> None:
    registry.image(repository, "arm", "arm", "arm64")
    registry.image(repository, "intel", "intel", "amd64")
    index, _ = registry.index(repository, "both", "both", "amd64", "arm64")
    # Nobody has asked the host yet: nothing speaks against it.
    assert target.resolve(target.find(store, "shop", "qa"), "arm").tag == "arm"
    observations.record_facts(store, "dk-01", {"kernel": {"machine": "x86_64"}})
    wanted = target.find(store, "shop", "qa")
    with pytest.raises(WrongPlatformError, match=r"linux/arm64, which host dk-01 \(linux/amd64"):
        target.resolve(wanted, "arm")
    assert target.resolve(wanted, "intel").tag == "intel"
    assert target.resolve(wanted, "both").digest == index
