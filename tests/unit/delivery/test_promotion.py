"""What a promotion has to do: registry and CMDB are compared each on its own."""

from __future__ import annotations

import pytest

from drcloud.cmdb import objects
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery import promotion, releases
from drcloud.delivery.manifest import INDEXES, Manifest, digest_of
from drcloud.delivery.promotion import Recorded, Request
from drcloud.delivery.releases import Provenance
from drcloud.errors import DeniedError, InvalidInputError

INDEX = Manifest(b'{"manifests": []}', INDEXES[0])
NEW, OLD = INDEX.digest, digest_of(b"old")
REQUEST = Request("demo", "rt67", "prod")


@pytest.mark.parametrize(
    ("served", "channel", "released", "noted", "todo"),
    [
        pytest.param(None, None, False, False, (True, True, False), id="the channel is new"),
        pytest.param(OLD, OLD, False, True, (True, True, False), id="the usual"),
        pytest.param(OLD, None, False, False, (True, True, True), id="somebody pushed past us"),
        pytest.param(NEW, OLD, False, False, (False, True, False), id="killed half way"),
        pytest.param(OLD, NEW, True, True, (True, False, False), id="somebody moved the tag back"),
        pytest.param(NEW, NEW, True, True, (False, False, False), id="all is so"),
        pytest.param(NEW, NEW, False, True, (False, True, False), id="the channel has another release"),
    ],
)
def test_what_is_to_do(
    served: str | None, channel: str | None, released: bool, noted: bool, todo: tuple[bool, bool, bool]
) -> None:
    recorded = Recorded(channel, released, noted, Provenance("c0ffee", "42", "rt67"))
    found = promotion.plan(REQUEST, INDEX, served, recorded, image="registry:5000/demo", registry="main")
    assert (found.moves, found.records, found.notes) == todo
    assert found.changed == (found.moves or found.records)
    assert found.diff() == ({"registry": served, "cmdb": channel}, {"registry": NEW, "cmdb": NEW})
    told = found.as_document()
    assert (told["image"], told["media_type"]) == (f"registry:5000/demo@{NEW}", INDEXES[0])
    assert (told["git_ref"], told["build"]) == ("c0ffee", "42")


def test_a_promoted_release_says_where_it_came_from(store: Store) -> None:
    releases.record(store, "demo", "rt66", NEW, git_ref="other", build="41")
    releases.record(store, "demo", "rt67", NEW, git_ref="c0ffee", build="42")
    with store.read() as session:
        app = releases.lookup.app(session, "demo")
        assert releases.origin(session, app, NEW, "rt67") == Provenance("c0ffee", "42", "rt67")
        # By digest, or under a tag that nobody recorded: the first release of the same image.
        assert releases.origin(session, app, NEW, NEW) == Provenance("other", "41", NEW)
        assert releases.origin(session, app, OLD, "rt67") == Provenance(None, None, "rt67")


def test_policy_guards_the_channel_of_an_environment(store: Store) -> None:
    releases.allow(store, "demo", "prod", None)
    guard = Wanted("environment", {"change_required": True}, "prod")
    objects.change(store, [guard], reason="test")
    releases.allow(store, "demo", "rt67", None)
    with pytest.raises(DeniedError, match="channel demo:prod belongs to environment prod"):
        releases.allow(store, "demo", "prod", None)
    with pytest.raises(DeniedError, match="there is no change CHG-9"):
        releases.allow(store, "demo", "prod", "CHG-9")
    scope = {"environment": ["prod"], "app": ["demo"]}
    fields = {"title": "demo to prod", "state": "open", "scope": scope}
    objects.change(store, [Wanted("change", fields, "CHG-9")], reason="test")
    releases.allow(store, "demo", "prod", "CHG-9")


def test_nothing_is_promoted_to_itself(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="prod is promoted to itself"):
        promotion.promote(store, Request("demo", "prod", "prod"))
