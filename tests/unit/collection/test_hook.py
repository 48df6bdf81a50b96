"""A hook on its host: what its container has, how it ends, and that nothing of it is left."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _hook
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EngineError

INSTANCE = {
    "Image": "registry.test/demo@sha256:1",
    "Env": ["A=1"],
    "Labels": {"com.dianrong.cloud.app": "demo", "com.dianrong.cloud.slot": "hook", "team": "payments"},
    "ExposedPorts": {"8080/tcp": {}},
    "Cmd": ["/app/serve"],
    "HostConfig": {
        "PortBindings": {"8080/tcp": [{"HostPort": "20000"}]},
        "RestartPolicy": {"Name": "unless-stopped"},
        "Mounts": [{"Source": "/srv/data"}],
        "Devices": [{"PathOnHost": "/dev/vdb"}],
        "Memory": 1024,
        "CapDrop": ["ALL"],
    },
}


class Engine:
    """An engine whose containers run for so many looks, then end."""

    def __init__(self, looks=0, code=0, broken=False):
        self.looks, self.code, self.broken = looks, code, broken
        self.story = []

    def start(self, container):
        self.story.append(f"start {container}")
        if self.broken:
            raise EngineError("no such file: /app/migrate")

    def containers(self, label):
        assert label == "com.dianrong.cloud.hook=demo@prod"
        return [{"Name": "/demo_prod_hook_01234567_3", "Id": "c0"}]

    def inspect(self, _container):
        self.looks -= 1
        if self.looks == -100:
            return None
        return {"State": {"Running": self.looks >= 0, "ExitCode": self.code}}

    def logs(self, _container):
        return ["table users is missing"]

    def remove(self, container):
        self.story.append(f"remove {container}")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def run(engine, timeout=10):
    clock = Clock()
    _hook.run(engine, "c1", timeout, clock, clock.sleep)


def test_a_hook_is_what_an_instance_is_without_what_only_one_can_have():
    wanted = _hook.payload(INSTANCE, ["/app/migrate", "--all"], "demo@prod", [{"Source": "/secrets"}])
    assert wanted == {
        "Image": "registry.test/demo@sha256:1",
        "Env": ["A=1"],
        "Labels": {"team": "payments", "com.dianrong.cloud.hook": "demo@prod"},
        "Entrypoint": ["/app/migrate"],
        "Cmd": ["--all"],
        "HostConfig": {"Memory": 1024, "CapDrop": ["ALL"], "Mounts": [{"Source": "/secrets"}]},
    }
    assert "PortBindings" in INSTANCE["HostConfig"]


@pytest.mark.parametrize("looks", [0, 3])
def test_one_that_ends_with_0_leaves_nothing(looks):
    engine = Engine(looks)
    run(engine)
    assert engine.story == ["start c1", "remove c1"]


@pytest.mark.parametrize(
    ("engine", "words", "logs"),
    [
        (Engine(2, code=3), "ended with exit code 3", ["table users is missing"]),
        (Engine(1000), "did not end within 10 s", ["table users is missing"]),
        (Engine(broken=True), "cannot be started: no such file: /app/migrate", []),
        (Engine(-99), "its container was removed by somebody else", []),
    ],
    ids=["exit code", "hangs", "cannot start", "removed"],
)
def test_one_that_fails_says_how_and_leaves_nothing(engine, words, logs):
    with pytest.raises(_hook.HookError, match=words) as failed:
        run(engine)
    assert failed.value.logs == logs
    assert engine.story[-1] == "remove c1"


def test_what_an_older_roll_left_is_found_by_its_label():
    assert _hook.left(Engine(), "demo@prod") == {"demo_prod_hook_01234567_3": "c0"}
