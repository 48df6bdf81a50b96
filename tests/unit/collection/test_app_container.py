"""The host's half of a roll against an engine that keeps its containers in a dictionary."""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _record, _secrets
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EngineError
from ansible_collections.dianrong.cloud.plugins.modules import app_container

NAME = "demo_prod_a_abcdef01"
SPEC = {
    "port": 8080,
    "read_only": True,
    "stop_signal": "SIGTERM",
    "stop_grace": 10.0,
    "health": {"kind": "exec", "command": ["/check"], "timeout": 1.0},
}
PARAMS = {
    **{"app": "demo", "env": "prod", "slot": "a", "tag": "v1", "revision": "abcdef0123", "state": "observed"},
    **{"deployment": "d", "cmdb": "lab", "host": "dk-01", "adopted": "", "address": "10.0.0.1", "token": 0},
    **{"image": "r/demo@sha256:0", "slots": {"a": 20000}, "spec": SPEC, "secrets": {}, "secret_env": {}},
    "words": False,
}


class Engine:
    """An engine whose containers are what they were asked to be."""

    def __init__(self, broken: bool = False) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.broken = broken
        self.answer: tuple[int, bytes] = (0, b"")

    def containers(self, _label: str) -> list[dict[str, Any]]:
        return list(self.made.values())

    def inspect(self, container: str) -> dict[str, Any] | None:
        return self.made.get(container)

    def create(self, name: str, payload: dict[str, Any]) -> str:
        self.made[name] = {
            **{"Id": name, "Name": f"/{name}", "Created": "2026-11-22T17:00:00.1Z", "RestartCount": 0},
            **{"State": {"Status": "created", "Running": False}, "HostConfig": payload["HostConfig"]},
            "Config": {part: payload.get(part) for part in ("Env", "Labels", "User", "Cmd")},
        }
        return name

    def start(self, container: str) -> None:
        if self.broken:
            raise EngineError("no such file: /app")
        self.made[container]["State"] = {"Status": "running", "Running": True}

    def remove(self, container: str) -> None:
        self.made.pop(container, None)

    def execute(self, _container: str, _command: list[str], _timeout: float) -> tuple[int, bytes]:
        return self.answer

    def logs(self, container: str, before: str = "") -> list[str]:
        return [f"{container} begins{before and f', before {before}'}", "the key is t0k"]


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that is kept on the host is kept here."""
    for module, names in ((_record, ("write", "remove", "differing")), (_secrets, ("write", "remove"))):
        monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / module.__name__.rpartition(".")[2]))
        for name in names:
            kept = functools.partial(getattr(module, name), root=module.DIRECTORY)
            monkeypatch.setattr(module, name, kept)
    return Path(_record.DIRECTORY)


def instances(engine: Engine, **params: Any) -> app_container.Instances:
    module = SimpleNamespace(params={**PARAMS, **params}, check_mode=False)
    return app_container.Instances(module, engine)


def test_an_instance_is_recorded_before_it_runs_and_forgotten_with_its_container(records: Path) -> None:
    engine = Engine()
    instances(engine).create(NAME)
    assert json.loads((records / NAME).read_text())["kinds"].keys() == _record.KINDS.keys()
    [entry] = instances(engine).before
    assert (entry["name"], entry["differs"]) == (NAME, [])
    engine.made[NAME]["HostConfig"]["Memory"] = 1
    engine.made[NAME]["Config"]["Env"] = ["BY=hand"]
    [entry] = instances(engine).before
    assert entry["differs"] == ["env", "limits"]
    instances(engine).remove(entry)
    assert (engine.made, sorted(path.name for path in records.iterdir())) == ({}, [".since"])


def test_what_does_not_start_leaves_no_record(records: Path) -> None:
    engine = Engine(broken=True)
    with pytest.raises(app_container.InstanceError, match="cannot start"):
        instances(engine).create(NAME)
    assert (engine.made, sorted(path.name for path in records.iterdir())) == ({}, [".since"])


def test_what_cannot_be_recorded_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_container: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_record, "write", full)
    engine = Engine()
    with pytest.raises(app_container.InstanceError, match="cannot record what demo_prod_a_abcdef01 was made"):
        instances(engine).create(NAME)
    assert engine.made == {}


@pytest.mark.parametrize(
    ("state", "answer", "said"),
    [
        ({"Status": "running"}, (0, b""), ""),
        ({"Status": "running"}, (1, b"t0k is refused"), "/check ended with exit code 1: ******** is refused"),
        ({"Status": "exited", "ExitCode": 3}, (0, b""), "exit code 3"),
        (
            {"Status": "restarting", "ExitCode": 137, "OOMKilled": True},
            (0, b""),
            "exit code 137 (out of memory)",
        ),
        ({"Status": "paused", "ExitCode": 0}, (0, b""), ""),
    ],
)
def test_the_instance_that_is_asked_for_its_last_words_tells_them_without_secrets(
    state: dict[str, Any], answer: tuple[int, bytes], said: str
) -> None:
    engine = Engine()
    engine.answer = answer
    instances(engine).create(NAME)
    engine.made[NAME]["State"] = {"Running": True, **state}
    secrets = {"secrets": {"TOKEN": base64.b64encode(b"t0k").decode()}}
    [entry] = instances(engine, words=True, **secrets).after()
    assert (entry["said"], entry["logs"]) == (said, [f"{NAME} begins", "the key is ********"])
    for params in ({}, {"words": True, "revision": "another"}, {"words": True, "env": "qa"}):
        [entry] = instances(engine, **params).after()
        assert not {"said", "logs"} & entry.keys()


def test_one_that_was_started_again_tells_what_it_wrote_before_it_ended() -> None:
    engine = Engine()
    instances(engine).create(NAME)
    engine.made[NAME]["State"] = {"Running": True, "Status": "running", "StartedAt": "17:01"}
    engine.made[NAME]["RestartCount"] = 1
    [entry] = instances(engine, words=True).after()
    assert entry["logs"][0] == f"{NAME} begins, before 17:01"


def test_what_is_kept_of_instances_that_are_gone_is_found(records: Path) -> None:
    engine = Engine()
    instances(engine).create(NAME)
    assert app_container.strays("demo_prod_", {NAME}) == set()
    assert app_container.strays("demo_prod_", set()) == {NAME}
