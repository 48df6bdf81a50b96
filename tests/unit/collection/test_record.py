"""What an instance was when a roll made it, and in what it is another one now."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _instance, _record, _seen

MARKS = _instance.labels(
    "lab",
    **{"app": "demo", "env": "prod", "tag": "v1", "digest": "sha256:0"},
    **{"revision": "abcdef0123", "deployment": "d", "slot": "a"},
)
NAME = "demo_prod_a_abcdef01"


def container(changes: dict[tuple[str, ...], Any] | None = None, **top: Any) -> dict[str, Any]:
    """An inspected instance with some of its parts changed."""
    found = {
        "Id": "1",
        "Name": f"/{NAME}",
        "Created": "2026-11-22T17:00:00.123456789Z",
        "State": {"Status": "running", "Running": True},
        "Config": {
            "Image": "registry.test/demo@sha256:0",
            "Cmd": ["/app", "-v"],
            "Env": ["PATH=/bin", "PIN=1234"],
            "Labels": dict(MARKS),
            "Volumes": None,
        },
        "HostConfig": {
            "Memory": 1024,
            "PidsLimit": None,
            "CapAdd": [],
            "NetworkMode": "bridge",
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "Mounts": [{"Type": "bind", "Source": "/srv/a", "Target": "/data"}],
            "Tmpfs": {"/tmp": "size=64m"},
        },
        **top,
    }
    whole = copy.deepcopy(found)
    for path, value in (changes or {}).items():
        section = whole
        for step in path[:-1]:
            section = section[step]
        section[path[-1]] = value
    return whole


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Records of a host where a roll made the one instance."""
    _record.write(container(), str(tmp_path / "instances"))
    return str(tmp_path / "instances")


@pytest.mark.parametrize(
    ("path", "value", "kinds"),
    [
        (("Config", "Env"), ["PATH=/bin", "PIN=4321"], ["env"]),
        (("Config", "Env"), ["PIN=1234", "PATH=/bin"], []),
        (("Config", "Cmd"), ["-v", "/app"], ["command"]),
        (("Config", "Labels"), {**MARKS, "team": ""}, ["labels"]),
        (("Config", "User"), "root", ["user"]),
        (("Config", "Volumes"), {"/cache": {}}, ["mounts"]),
        (("Config", "Image"), "other", []),
        (("HostConfig", "Binds"), ["/:/host"], ["mounts"]),
        (("HostConfig", "Mounts"), [], ["mounts"]),
        (("HostConfig", "Tmpfs"), {}, ["mounts"]),
        (("HostConfig", "Devices"), [{"PathOnHost": "/dev/sdb"}], ["devices"]),
        (("HostConfig", "Memory"), 2048, ["limits"]),
        (("HostConfig", "PidsLimit"), 0, []),
        (("HostConfig", "PidsLimit"), 9, ["limits"]),
        (("HostConfig", "Privileged"), True, ["rights"]),
        (("HostConfig", "Privileged"), False, []),
        (("HostConfig", "CapAdd"), None, []),
        (("HostConfig", "CapAdd"), ["SYS_ADMIN"], ["rights"]),
        (("HostConfig", "ReadonlyRootfs"), True, ["read_only"]),
        (("HostConfig", "NetworkMode"), "default", []),
        (("HostConfig", "NetworkMode"), "host", ["network"]),
        (("HostConfig", "RestartPolicy"), {"Name": "unless-stopped"}, []),
        (("HostConfig", "RestartPolicy"), {"Name": "no"}, ["restart"]),
        (("HostConfig", "LogConfig"), {"Type": "none"}, ["log"]),
        (("Config", "StopSignal"), "SIGKILL", ["stop"]),
    ],
)
def test_the_kinds_that_differ_are_named(
    root: str, path: tuple[str, ...], value: Any, kinds: list[str]
) -> None:
    assert _record.differing(container({path: value}), root) == kinds


def test_what_a_roll_made_differs_in_nothing_and_several_kinds_are_sorted(root: str) -> None:
    assert _record.differing(container(), root) == []
    changed = container({("HostConfig", "Memory"): 1, ("Config", "Env"): [], ("Config", "Cmd"): ["x"]})
    assert _record.differing(changed, root) == ["command", "env", "limits"]


def test_a_record_tells_no_value_and_only_root_reads_it(root: str, tmp_path: Path) -> None:
    file = Path(root) / NAME
    text = file.read_text()
    assert "PIN" not in text
    assert "/srv/a" not in text
    plain = {hashlib.sha256(one.encode()).hexdigest() for one in _record.settings(container()).values()}
    assert not plain & set(json.loads(text)["kinds"].values())
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (root, file)] == [0o700, 0o600]
    # Two of the same settings have nothing in common: nobody looks a short value up in a table.
    _record.write(container(), str(tmp_path / "other"))
    one, other = (json.loads((Path(place) / NAME).read_text()) for place in (root, tmp_path / "other"))
    assert not set(one["kinds"].values()) & set(other["kinds"].values())


def test_a_container_that_no_roll_made_has_no_record(root: str) -> None:
    forged = container(Name="/byhand", Created="2026-11-23T00:00:00Z")
    assert _record.differing(forged, root) == [_record.NO_RECORD]
    # It may be from before there were records: nobody can tell.
    old = container(Name="/demo_prod_b_0123", Created="2026-11-22T16:59:59.9Z")
    assert _record.differing(old, root) == []
    assert _record.differing(forged, f"{root}/none") == []


def test_the_time_of_the_first_record_stays(root: str) -> None:
    _record.write(container(Name="/second", Created="2026-12-01T00:00:00Z"), root)
    assert _record.differing(container(Name="/byhand", Created="2026-11-23T00:00:00Z"), root) == ["record"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "zz", "kinds": {}}', '{"key": "00", "kinds": 1}'])
def test_a_damaged_record_is_none(root: str, text: str) -> None:
    (Path(root) / NAME).write_text(text)
    assert _record.read(NAME, root) is None
    assert _record.differing(container(), root) == [_record.NO_RECORD]


def test_a_kind_that_was_not_recorded_is_not_compared(root: str) -> None:
    file = Path(root) / NAME
    record = json.loads(file.read_text())
    del record["kinds"]["env"]
    record["kinds"]["of a later version"] = "0"
    file.write_text(json.dumps(record))
    assert _record.differing(container({("Config", "Env"): ["X=1"]}), root) == []


def test_a_record_goes_with_its_instance(root: str) -> None:
    _record.remove(NAME, root)
    _record.remove(NAME, root)
    assert _record.read(NAME, root) is None


class Listing:
    """An engine with one instance, and containers of others."""

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        self.listed = listed

    def all_containers(self) -> list[dict[str, Any]]:
        return self.listed


def listed(name: str, state: str = "running", **labels: str) -> dict[str, Any]:
    return {"Names": [f"/{name}", "/alias/of"], "State": state, "Labels": labels}


def test_whose_container_nobody_knows_is_told_by_name() -> None:
    engine = Listing(
        [
            {**listed(NAME), "Labels": MARKS},
            {**listed("demo_prod_hook_abcdef01_3"), "Labels": {"com.dianrong.cloud.hook": "demo@prod"}},
            listed("web"),
            listed("paused", "paused"),
            listed("stopped", "exited"),
            {**listed("half"), "Labels": {_instance.MARK: "lab"}},
            {**listed("bare"), "Labels": None},
        ]
    )
    assert _seen.strangers(engine) == ["bare", "half", "paused", "web"]
