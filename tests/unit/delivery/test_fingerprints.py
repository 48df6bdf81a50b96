"""Secrets at deploy: by reference, told apart by fingerprints, and nowhere but where they are used."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.entries import Entry, declare
from drcloud.cmdb.store import Store
from drcloud.delivery import fingerprints, settings, target
from drcloud.delivery.rollout import Begun
from drcloud.delivery.switch import StepError
from drcloud.delivery.target import Target
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode
from drcloud.runs import references

DIGEST = f"sha256:{'a' * 64}"
SPEC = {"image": "dianrong/demo", "port": 8080}
SECRET = "hunter2-very-secret"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    return path


def declared(store: Store, secrets: dict[str, Any], **more: Any) -> None:
    spec = {**SPEC, "secrets": secrets, **more}
    declare(store, [Entry("apps", {"name": "demo", "spec": spec})], reason="test")


def made(store: Store) -> Target:
    return target.target(target.find(store, "demo", "prod"), "v1", DIGEST)


def test_a_roll_carries_where_secrets_are_and_never_what_they_are(store: Store, password: Path) -> None:
    declared(store, {"DB": {"source": f"file:{password}"}})
    goal = made(store)
    travelling = json.dumps(_roll.document(Begun(goal, "uid", 1)))
    assert SECRET not in travelling
    assert f"file:{password}" in travelling
    assert "secrets" not in goal.spec
    assert _roll.begun_of(json.loads(travelling)).target == goal


def test_the_value_and_how_it_is_given_make_the_revision(store: Store, password: Path) -> None:
    plain = made(store).revision
    found = {}
    declared(store, {"DB": {"source": f"file:{password}"}})
    found["file"] = made(store).revision
    declared(store, {"DB": {"source": f"file:{password}", "expose": "env"}})
    found["env"] = made(store).revision
    password.write_text("another", encoding="utf-8")
    found["other"] = made(store).revision
    assert len({plain, *found.values()}) == 4
    # Where it is read from is no difference: a secret may move.
    moved = password.with_name("moved")
    password.rename(moved)
    declared(store, {"DB": {"source": f"file:{moved}", "expose": "env"}})
    assert made(store).revision == found["other"]


def test_the_override_of_an_environment_is_taken(store: Store, password: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PROD_DB", "prod")
    override = {"prod": {"secrets": {"DB": {"source": "env:PROD_DB"}}}}
    declared(
        store, {"DB": {"source": "env:NOT_THERE"}, "B": {"source": f"file:{password}"}}, overrides=override
    )
    assert {name: taken.source for name, taken in made(store).secrets.items()} == {
        "B": f"file:{password}",
        "DB": "env:PROD_DB",
    }


def test_one_that_does_not_resolve_ends_it_before_anything(store: Store) -> None:
    declared(store, {"DB": {"source": "env:DRC_NOT_THERE"}})
    with pytest.raises(InvalidInputError) as caught:
        target.find(store, "demo", "prod")
    assert str(caught.value) == (
        "app demo in prod: secret DB does not resolve: secret env:DRC_NOT_THERE: "
        "the environment variable DRC_NOT_THERE is not set"
    )
    assert caught.value.exit_code == ExitCode.INVALID_INPUT


def test_fingerprints_are_alike_everywhere_and_nowhere_else() -> None:
    one = fingerprints.fingerprint("demo", "prod", "DB", "x")
    assert one == fingerprints.fingerprint("demo", "prod", "DB", "x")
    assert len(one) == 64
    others = {
        fingerprints.fingerprint(*values)
        for values in (("demo", "prod", "DB", "y"), ("demo", "prod", "B", "x"), ("demo", "qa", "DB", "x"))
    }
    assert len({one, *others}) == 4


def test_without_secrets_nothing_changes() -> None:
    spec = AppSpec.model_validate(SPEC)
    given = settings.with_secrets(settings.Settings(), spec, "demo", "prod")
    assert (given.secrets, given.marks) == ({}, {})


def host(goal: Target) -> _roll.Host:
    return _roll.Host(None, Begun(goal, "uid", 1), "dk-01", {})


def test_only_the_start_of_an_instance_gets_them_and_as_options_that_are_not_logged(
    store: Store, password: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("TOKEN", "t0k")
    declared(store, {"DB": {"source": f"file:{password}"}, "TOKEN": {"source": "env:TOKEN", "expose": "env"}})
    goal = made(store)
    for state in ("prepared", "stopped", "absent", "observed"):
        assert not {"secrets", "secret_env"} & host(goal).arguments(state).keys()
    arguments = host(goal).arguments("started")
    assert base64.b64decode(arguments["secrets"]["DB"]).decode() == SECRET
    assert {name: base64.b64decode(text) for name, text in arguments["secret_env"].items()} == {
        "TOKEN": b"t0k"
    }


def test_one_that_changed_in_mid_roll_fails_the_step(store: Store, password: Path) -> None:
    declared(store, {"DB": {"source": f"file:{password}"}})
    goal = made(store)
    password.write_text("another", encoding="utf-8")
    with pytest.raises(StepError, match=r"secret DB .* changed since this roll") as caught:
        host(goal).arguments("started")
    assert "another" not in str(caught.value)


def test_runs_get_the_variables_that_apps_refer_to(store: Store) -> None:
    declared(
        store,
        {"A": {"source": "env:APP_SECRET"}, "B": {"source": "vault:${VAULTS}/all.yml#b"}},
        overrides={"qa": {"secrets": {"A": {"source": "env:QA_SECRET"}}}},
    )
    assert {"APP_SECRET", "QA_SECRET", "REGISTRY_PASSWORD"} <= references.secrets(store)
    assert references.paths(store) == {"VAULTS"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        (
            {"volumes": [{"source": "/srv/demo", "target": "/data"}]},
            "host dk-01 has no app-volume mounted at /srv/demo, which demo needs",
        ),
        (
            {"devices": [{"source": "/dev/sdz", "target": "/dev/data"}]},
            "host dk-01 has no raw disk /dev/sdz, which demo needs",
        ),
        (
            {"volumes": [{"source": "/srv/redis", "target": "/data"}]},
            "host dk-01 has an app-volume mounted at /srv/redis for redis, not for demo",
        ),
    ],
)
def test_a_host_without_the_disk_is_refused(store: Store, fields: dict[str, Any], wrong: str) -> None:
    disk = {"path": "/dev/sdb", "purpose": "app-volume", "mount": "/srv/redis", "app": "redis"}
    redis = Entry("apps", {"name": "redis", "spec": SPEC})
    declare(store, [redis, Entry("hosts", {"name": "dk-01", "block_devices": [disk]})], reason="test")
    declared(store, {}, **fields)
    with pytest.raises(InvalidInputError, match=wrong):
        target.find(store, "demo", "prod", ["dk-01"])


def test_a_host_with_the_disk_is_fine(store: Store) -> None:
    disks = [
        {"path": "/dev/sdb", "purpose": "app-volume", "mount": "/srv/demo", "app": "demo"},
        {"path": "/dev/sdc", "purpose": "raw"},
    ]
    declare(store, [Entry("hosts", {"name": "dk-01", "block_devices": disks})], reason="test")
    declared(
        store,
        {},
        volumes=[{"source": "/srv/demo", "target": "/data"}],
        devices=[{"source": "/dev/sdc", "target": "/dev/data"}],
    )
    assert target.find(store, "demo", "prod", ["dk-01"]).spec.volumes[0].target == "/data"
