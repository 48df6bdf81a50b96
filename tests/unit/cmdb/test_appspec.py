"""The specification of an app: what it refuses, and what an environment makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drcloud.cmdb.appspec import AppOverride, AppSpec
from drcloud.cmdb.document import sentence
from drcloud.delivery.revision import revision

BASE: dict[str, Any] = {"image": "a/b", "port": 80}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"command": []}, "must not be empty"),
        ({"command": "run me"}, "must be a list"),
        ({"health": {"kind": "exec"}}, "a command goes with kind exec, and kind exec needs one"),
        ({"health": {"command": ["x"]}}, "a command goes with kind exec"),
        ({"health": {"kind": "tcp", "path": "/x"}}, "a path goes with kind http, not with tcp"),
        ({"health": {"kind": "udp"}}, "must be one of 'http', 'tcp' or 'exec', not 'udp'"),
        ({"resources": {"ulimits": {"nofiles": {"soft": 1}}}}, "must be one of"),
        ({"resources": {"ulimits": {"nofile": {"soft": 9, "hard": 8}}}}, "soft limit 9 is above the hard"),
        ({"resources": {"ulimits": {"nofile": {"soft": -1, "hard": 8}}}}, "soft limit -1 is above the hard"),
        ({"volumes": [{"source": "srv", "target": "/d"}]}, "must be a path that begins with /"),
        ({"volumes": [{"source": "/srv/../etc", "target": "/d"}]}, "without . and .."),
        ({"volumes": [{"source": "/srv", "target": "/"}]}, "needed by the container itself"),
        ({"volumes": [{"source": "/srv", "target": "/run/secrets/x"}]}, "needed by the container itself"),
        (
            {"volumes": [{"source": "/srv/a", "target": "/d"}, {"source": "/srv/b", "target": "/d"}]},
            "two volumes have the target /d",
        ),
        (
            {"overrides": {"qa": {"devices": [{"source": "/dev/a", "target": "/dev/x"}] * 2}}},
            "two devices have the target /dev/x",
        ),
        ({"devices": [{"source": "/etc/passwd", "target": "/dev/x"}]}, "must be the path of a device"),
        ({"labels": {"com.dianrong.cloud.app": "x"}}, "one of drCloud's own labels"),
        ({"log": {"options": {"labels": "x"}}}, "drCloud tells the log driver itself"),
        ({"restart": "always"}, "must be one of 'unless-stopped', 'on-failure' or 'never', not 'always'"),
        ({"overrides": {"qa": {"cap_add": "NET_ADMIN"}}}, "must be a list"),
        ({"overrides": {"qa": {"stop_grace": 0}}}, "must be more than 0, not 0"),
        ({"overrides": {"qa": {"canary_watch": -1}}}, "must be 0 or more, not -1"),
        ({"secrets": {"DB": {"source": "hunter2"}}}, "must be a reference, env:NAME or file:PATH or vault:"),
        ({"secrets": {"DB": {"source": "vault:all.yml"}}}, "must be a reference"),
        ({"secrets": {"D-B": {"source": "env:X"}}}, "must be the name of a variable"),
    ],
)
def test_what_cannot_be_is_refused_in_words(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AppSpec.model_validate({**BASE, **fields})
    said = " ".join(sentence(details) for details in caught.value.errors())
    assert wrong in said
    assert "hunter2" not in said


WHOLE: dict[str, Any] = {
    "command": ["/a"],
    "env": {"A": "1", "B": "1"},
    "labels": {"x": "1", "y": "1"},
    "secrets": {"S": {"source": "env:S"}},
    "volumes": [{"source": "/srv/a", "target": "/d"}],
    "devices": [{"source": "/dev/a", "target": "/dev/b"}],
    "log": {"driver": "local"},
    "restart": "never",
    "health": {"kind": "tcp"},
    "resources": {"pids": 1},
    "read_only": False,
    "user": "1",
    "cap_add": ["CHOWN"],
    "stop_signal": "SIGINT",
    "stop_grace": 5,
}
# What a roll does, and no part of what runs.
HOOKS: dict[str, Any] = {"hooks": [{"when": "before", "command": ["/a"]}], "canary_watch": 9}
CHANGED: dict[str, Any] = {
    "command": ["/b"],
    "env": {"B": "2"},
    "labels": {"y": "2"},
    "secrets": {"T": {"source": "env:T"}},
    "volumes": [],
    "devices": [],
    "log": {"driver": "journald"},
    "restart": "on-failure",
    "health": {"kind": "http"},
    "resources": {"pids": 2},
    "read_only": True,
    "user": "2",
    "cap_add": [],
    "stop_signal": "SIGTERM",
    "stop_grace": 60,
    "canary_watch": 0,
    "hooks": [],
}


def test_an_environment_merges_mappings_of_its_own_and_replaces_the_rest() -> None:
    assert CHANGED.keys() == AppOverride.model_fields.keys()
    spec = AppSpec.model_validate({**BASE, **WHOLE, **HOOKS, "overrides": {"prod": CHANGED}})
    assert spec.for_environment("qa") == AppSpec.model_validate({**BASE, **WHOLE, **HOOKS})
    merged = {name: {**WHOLE[name], **CHANGED[name]} for name in ("env", "labels", "secrets")}
    assert spec.for_environment("prod") == AppSpec.model_validate({**BASE, **CHANGED, **merged})


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"secrets"}))
def test_every_field_that_runs_makes_another_revision(name: str) -> None:
    plain = AppSpec.model_validate(BASE)
    assert revision("sha256:a", AppSpec.model_validate({**BASE, name: WHOLE[name]})) != revision(
        "sha256:a", plain
    )


def test_an_environment_that_says_nothing_takes_what_the_specification_says() -> None:
    plain, silent = (
        AppSpec.model_validate({**BASE, **WHOLE, **more}) for more in ({}, {"overrides": {"prod": {}}})
    )
    assert silent.for_environment("prod") == plain
    assert revision("sha256:a", silent.for_environment("prod")) == revision("sha256:a", plain)


def test_what_a_roll_does_makes_no_other_revision() -> None:
    plain, hooked = (AppSpec.model_validate({**BASE, **more}) for more in ({}, HOOKS))
    assert revision("sha256:a", hooked) == revision("sha256:a", plain)


def test_what_ran_before_the_new_fields_keeps_its_revision() -> None:
    """The revision of a plain specification as drCloud computed it before there were these fields."""
    spec = AppSpec.model_validate(
        {
            **{"image": "dianrong/demo", "port": 8080, "user": "10001", "stop_grace": 10},
            "health": {"path": "/healthz", "interval": 1, "timeout": 2, "retries": 3},
            "resources": {"memory": "128m", "pids": 256},
        }
    )
    assert (
        revision(f"sha256:{'a' * 64}", spec)
        == "396aa1ec75789529633a635d1f129b426c96d84cb2e5ea9c99935e39609dd5c5"
    )
