"""What a host must have free before an instance starts: room for layers, memory, ports, disks."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _instance, _listeners, _preflight

MIB = 1024**2
BASE, APP = "sha256:base", "sha256:app"


class Engine:
    """An engine that has some layers and containers."""

    def __init__(self, root="/srv/docker", layers=(), published=()) -> None:
        self.root, self.here, self.taken, self.asked = root, set(layers), list(published), 0

    def layers(self):
        self.asked += 1
        return self.here

    def info(self):
        return {"DockerRootDir": self.root}

    def published(self):
        return self.taken


@pytest.fixture
def free(monkeypatch):
    """Let the engine's disk have so many MiB free."""

    def set_free(mib):
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=mib * 256, f_frsize=4096))

    return set_free


def test_layers_that_would_not_fit_are_refused_with_the_numbers(free):
    free(399)
    with pytest.raises(_preflight.RefusedError) as refused:
        _preflight.room(Engine(), {BASE: 90 * MIB, APP: 10 * MIB})
    assert "/srv/docker has 399 MiB free, and the image needs about 401 MiB for 101 MiB of layers" in str(
        refused.value
    )


def test_layers_that_are_there_need_no_room(free):
    free(40)
    sent = _preflight.room(Engine(layers=[BASE]), {BASE: 90 * MIB, APP: 10 * MIB})
    assert sent == 10 * MIB
    free(39)
    with pytest.raises(_preflight.RefusedError, match="needs about 41 MiB"):
        _preflight.room(Engine(layers=[BASE]), {BASE: 90 * MIB, APP: 10 * MIB})


def test_what_nobody_knows_is_not_asked(free):
    free(0)
    engine = Engine()
    assert _preflight.room(engine, {}) is None, "nobody knows"
    assert engine.asked == 0


@pytest.mark.parametrize(("available", "refused"), [(255 * MIB, True), (256 * MIB, False), (None, False)])
def test_memory_for_both_instances(monkeypatch, available, refused):
    monkeypatch.setattr(_instance, "available_memory", lambda: available)
    _preflight.memory(None)
    if refused:
        with pytest.raises(_preflight.RefusedError, match=r"256m of memory .* and 255 MiB are available"):
            _preflight.memory("256m")
    else:
        _preflight.memory("256m")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::", ""])
def test_a_port_of_another_container_is_refused(address):
    engine = Engine(published=[("web", address, 18080)])
    with pytest.raises(
        _preflight.RefusedError, match=r"port 18080 of 127.0.0.1 is taken by the container web"
    ):
        _preflight.port(engine, "127.0.0.1", 18080)


def test_a_port_of_another_program_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(_preflight.RefusedError) as refused:
            _preflight.port(Engine(published=[("web", "127.0.0.2", port)]), "127.0.0.1", port)
    own = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    assert str(refused.value) == f"port {port} of 127.0.0.1 is taken by {own} (pid {os.getpid()})"
    _preflight.port(Engine(), "127.0.0.1", port)


@pytest.mark.parametrize("name", ["dockerd", "docker-proxy"])
def test_a_port_that_the_engine_forgot_to_give_back_is_told_apart(monkeypatch, name):
    monkeypatch.setattr(_listeners, "holder", lambda port: (name, 7))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(_preflight.RefusedError, match=r"held by the engine for no container.*restart it"):
            _preflight.port(Engine(), "127.0.0.1", port)


def test_a_program_that_cannot_be_seen_is_another_one(monkeypatch):
    monkeypatch.setattr(_listeners, "holder", lambda port: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(_preflight.RefusedError, match=r"is taken by another program$"):
            _preflight.port(Engine(), "127.0.0.1", port)


def test_nobody_listens_at_a_port_that_is_free():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert _listeners.holder(port) is not None
    assert _listeners.holder(port) is None


def test_an_address_that_is_not_here_is_refused():
    with pytest.raises(_preflight.RefusedError, match=r"cannot use port 18080 of 203\.0\.113\.1"):
        _preflight.port(Engine(), "203.0.113.1", 18080)


def test_disks_that_are_none_are_refused(tmp_path):
    with pytest.raises(_preflight.RefusedError, match="is not mounted: provision this host"):
        _preflight.disks({"volumes": [{"source": str(tmp_path)}], "devices": []})
    with pytest.raises(_preflight.RefusedError, match="/dev/none: No such file"):
        _preflight.disks({"volumes": [], "devices": [{"source": "/dev/none"}]})
    with pytest.raises(_preflight.RefusedError, match="/dev/null is no block device"):
        _preflight.disks({"volumes": [], "devices": [{"source": "/dev/null"}]})
    _preflight.disks({"volumes": [{"source": "/proc"}], "devices": []})
