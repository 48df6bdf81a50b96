"""Every field of a specification that a host honours: what the engine is asked, and how it is looked at."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import struct
import threading
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.dianrong.cloud.plugins.module_utils import _engine, _health, _instance
from ansible_collections.dianrong.cloud.plugins.modules import app_container
from drcloud.cmdb import appspec
from drcloud.cmdb.appspec import AppSpec
from drcloud.delivery.revision import NOT_RUNNING

MARKS = _instance.labels(
    "lab",
    **{"app": "demo", "env": "prod", "tag": "v1", "digest": "sha256:0"},
    **{"revision": "abcdef0123", "deployment": "d", "slot": "a"},
)


def spec(**fields: Any) -> dict[str, Any]:
    """Return a specification as it travels to a host."""
    whole = AppSpec.model_validate({"image": "a/b", "port": 8080, **fields})
    return whole.model_dump(mode="json", exclude=set(NOT_RUNNING), exclude_none=True)


def payload(given: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    publish = {"address": "10.0.0.1", "port": 20000}
    found: dict[str, Any] = _instance.payload("r/b@sha256:0", spec(**fields), MARKS, publish, "dk-01", given)
    return found


PLAIN = payload()
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], Any]] = {
    "command": ({"command": ["/app", "-v"]}, ("Cmd",), ["/app", "-v"]),
    "ulimits": (
        {"resources": {"ulimits": {"nofile": {"soft": 1024, "hard": 2048}, "core": {"soft": 0}}}},
        ("HostConfig", "Ulimits"),
        [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "nofile", "Soft": 1024, "Hard": 2048}],
    ),
    "volumes": (
        {"volumes": [{"source": "/srv/a", "target": "/data", "read_only": True}]},
        ("HostConfig", "Mounts"),
        [{"Type": "bind", "Source": "/srv/a", "Target": "/data", "ReadOnly": True}],
    ),
    "devices": (
        {"devices": [{"source": "/dev/sdb", "target": "/dev/data", "access": "r"}]},
        ("HostConfig", "Devices"),
        [{"PathOnHost": "/dev/sdb", "PathInContainer": "/dev/data", "CgroupPermissions": "r"}],
    ),
    "on-failure": ({"restart": "on-failure"}, ("HostConfig", "RestartPolicy"), {"Name": "on-failure"}),
    "never": ({"restart": "never"}, ("HostConfig", "RestartPolicy"), {"Name": "no"}),
    "log driver": ({"log": {"driver": "local"}}, ("HostConfig", "LogConfig", "Type"), "local"),
    "log option": (
        {"log": {"options": {"max-size": "9m"}}},
        ("HostConfig", "LogConfig", "Config", "max-size"),
        "9m",
    ),
    "label": ({"labels": {"com.example.team": "pay"}}, ("Labels", "com.example.team"), "pay"),
    "memory": ({"resources": {"memory": "1k"}}, ("HostConfig", "Memory"), 1024),
    "cpus": ({"resources": {"cpus": 0.5}}, ("HostConfig", "NanoCpus"), 500_000_000),
    "pids": ({"resources": {"pids": 9}}, ("HostConfig", "PidsLimit"), 9),
    "user": ({"user": "app"}, ("User",), "app"),
    "stop_signal": ({"stop_signal": "SIGQUIT"}, ("StopSignal",), "SIGQUIT"),
    "stop_grace": ({"stop_grace": 7}, ("StopTimeout",), 7),
    "read_only": ({"read_only": False}, ("HostConfig", "ReadonlyRootfs"), False),
    "cap_add": ({"cap_add": ["CHOWN"]}, ("HostConfig", "CapAdd"), ["CHOWN"]),
}


def at(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


@pytest.mark.parametrize("case", CASES)
def test_a_field_is_asked_of_the_engine(case: str) -> None:
    fields, path, wanted = CASES[case]
    assert at(payload(**fields), path) == wanted
    assert at(PLAIN, path) != wanted


def test_what_is_not_said_is_not_asked_for() -> None:
    assert "Cmd" not in PLAIN
    assert not {"Mounts", "Devices", "Ulimits"} & PLAIN["HostConfig"].keys()
    assert PLAIN["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped"}


def test_a_driver_that_knows_no_labels_gets_none() -> None:
    """The engine refuses them: `unknown log opt 'labels' for log driver local`."""
    assert payload(log={"driver": "local"})["HostConfig"]["LogConfig"]["Config"] == {}
    assert "labels" in payload(log={"driver": "json-file"})["HostConfig"]["LogConfig"]["Config"]


def test_the_module_accepts_what_a_roll_sends() -> None:
    """Also where nothing is said: a choice refuses none."""
    for fields in ({}, {"health": {"kind": "exec", "command": ["/x"]}}, {"log": {"driver": "local"}}):
        checked = ArgumentSpecValidator(app_container.argument_spec()).validate(
            {"app": "demo", "env": "prod", "spec": spec(**fields)}
        )
        assert checked.error_messages == []


def test_drclouds_own_labels_cannot_be_taken() -> None:
    wanted = dict(spec(), labels={_instance.LABEL + "app": "other"})
    made = _instance.payload("r", wanted, MARKS, {"address": "10.0.0.1", "port": 1}, "dk-01")
    assert made["Labels"] == MARKS


def test_secrets_are_a_mount_and_win_as_variables() -> None:
    given = {"secrets": "/var/lib/drcloud/secrets/x", "env": {"TOKEN": "t0k", "A": "secret"}}
    made = payload(given, env={"A": "1"}, volumes=[{"source": "/srv/a", "target": "/data"}])
    assert made["HostConfig"]["Mounts"][1] == {
        **{"Type": "bind", "Source": "/var/lib/drcloud/secrets/x"},
        **{"Target": "/run/secrets", "ReadOnly": True},
    }
    assert {"TOKEN=t0k", "A=secret"} <= set(made["Env"])
    assert "A=1" not in made["Env"]


def test_the_module_takes_every_field_of_a_specification_and_says_so() -> None:
    """The schema of the CMDB, the module's options and its documentation are one."""
    documented = yaml.safe_load(app_container.DOCUMENTATION)["options"]["spec"]["suboptions"]
    taken = app_container.spec_options()
    assert taken.keys() == AppSpec.model_fields.keys() - NOT_RUNNING
    for name, model in (
        ("health", appspec.HealthCheck),
        ("resources", appspec.Resources),
        ("volumes", appspec.Volume),
        ("devices", appspec.Device),
        ("log", appspec.Log),
    ):
        assert taken[name]["options"].keys() == model.model_fields.keys(), name
    _same_options(documented, taken)


def _same_options(documented: dict[str, Any], taken: dict[str, Any]) -> None:
    assert documented.keys() == taken.keys()
    for name, option in taken.items():
        for key in ("type", "elements", "choices", "default", "required"):
            assert documented[name].get(key) == option.get(key), (name, key)
        if "options" in option:
            _same_options(documented[name]["suboptions"], option["options"])


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def listening(handler: type[socketserver.BaseRequestHandler]) -> Listener:
    server = Listener(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Silent(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1)


class Greeting(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 hello\r\n")


class Closing(socketserver.BaseRequestHandler):
    """What the engine's proxy does for a container that listens to nothing."""

    def handle(self) -> None:
        self.request.close()


@pytest.mark.parametrize(
    ("handler", "wrong"), [(Silent, None), (Greeting, None), (Closing, "the connection was closed at once")]
)
def test_a_connection_counts_when_somebody_is_there(
    handler: type[socketserver.BaseRequestHandler], wrong: str | None
) -> None:
    server = listening(handler)
    try:
        assert _health.connects("127.0.0.1", server.server_address[1], 2) == wrong
    finally:
        server.shutdown()
        server.server_close()


def test_nobody_there_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "refused" in str(_health.connects("127.0.0.1", port, 2))


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ((0, b"fine\n"), None),
        ((3, b"no\ndatabase\n"), "/check ended with exit code 3: no database"),
        ((None, b""), "/check did not end within 2 s"),
    ],
)
def test_a_command_says_whether_it_works(answer: tuple[int | None, bytes], wrong: str | None) -> None:
    assert _health.runs(lambda _command, _timeout: answer, ["/check", "-q"], 2.0) == wrong


class FakeEngine(http.server.BaseHTTPRequestHandler):
    """The Engine API as far as exec goes: one command that answers, and one that hangs."""

    seen: list[tuple[str, Any]]
    release: threading.Event

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, body))
        if self.path.endswith("/exec"):
            self._json({"Id": body["Cmd"][0]}, 201)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.end_headers()
        self.wfile.write(struct.pack(">BxxxL", 1, 3) + b"out")
        self.wfile.flush()
        if "hangs" in self.path:
            self.release.wait(5)

    def do_GET(self) -> None:
        # No process of this machine has this number.
        hangs = "hangs" in self.path
        self._json({"Running": hangs, "ExitCode": None if hangs else 7, "Pid": 2**22 + 1})

    def _json(self, document: Any, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def test_a_command_runs_in_the_container_and_one_that_hangs_is_given_up(tmp_path: Any) -> None:
    FakeEngine.seen, FakeEngine.release = [], threading.Event()
    server = UnixServer(str(tmp_path / "engine.sock"), FakeEngine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        engine = _engine.Engine(str(tmp_path / "engine.sock"))
        assert engine.execute("c1", ["works", "-q"], 5) == (7, b"out")
        assert FakeEngine.seen[0] == (
            "/containers/c1/exec",
            {"Cmd": ["works", "-q"], "AttachStdout": True, "AttachStderr": True},
        )
        assert engine.execute("c1", ["hangs"], 0.3) == (None, b"")
    finally:
        FakeEngine.release.set()
        server.shutdown()
        server.server_close()
