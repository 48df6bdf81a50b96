"""What the module reads on a host, from texts of the kernel, of systemd and of the engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _evidence_daemon as daemon,
)
from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _evidence_engine as engine,
)
from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _evidence_files as files,
)
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _probe as probe

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1093 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0
   1: 00000000:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0
   2: 0B005A0A:0016 05005A0A:C001 01 00000000:00000000 00:00000000 00000000     0        0 4244 1 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr ...
   0: 00000000000000000000000000000000:0948 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4245 1
   1: 00000000000000000000000001000000:0949 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4246 1
"""
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 16000 /run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 16001 /run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 16002
"""
SYSTEMD = """\
Id=docker.service
FragmentPath=/lib/systemd/system/docker.service
DropInPaths=
ActiveState=active

Listen=/run/docker.sock (Stream)
Listen=0.0.0.0:2375 (Stream)
Id=docker.socket
Triggers=docker.service
FragmentPath=/lib/systemd/system/docker.socket
DropInPaths=/etc/systemd/system/docker.socket.d/open.conf
ActiveState=active
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the recorded text is of a little-endian kernel")
def test_listeners_of_the_kernel() -> None:
    assert daemon.tcp_listeners(TCP) == [("127.0.0.1", 4243, "4242"), ("0.0.0.0", 2375, "4243")]
    assert daemon.tcp_listeners(TCP6) == [("::", 2376, "4245"), ("::1", 2377, "4246")]


def test_only_listening_unix_sockets_count() -> None:
    assert daemon.listening_inodes(UNIX) == {"/run/docker.sock": "16000"}


def test_socket_units() -> None:
    service, unit = daemon.socket_units(SYSTEMD)
    assert service["unit"] == "docker.service"
    assert service["listen"] == []
    assert unit["listen"] == ["/run/docker.sock (Stream)", "0.0.0.0:2375 (Stream)"]
    assert unit["triggers"] == ["docker.service"]
    assert unit["drop_ins"] == ["/etc/systemd/system/docker.socket.d/open.conf"]


def test_the_daemon_behind_a_socket_is_the_one_that_listens_on_it(tmp_path: Path) -> None:
    path = str(tmp_path / "engine.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        processes = daemon.ProcessTable()
        found = daemon.find_daemon(processes, path)
        assert found == (str(os.getpid()), "peer of the socket")
        told = daemon.read_daemon(processes, *found)
        assert told["exe"] == os.path.realpath(sys.executable)
        assert told["uid"] == os.getuid()


def test_the_listeners_of_a_process_are_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = daemon.read_listeners(daemon.ProcessTable(), str(os.getpid()))
        assert {"address": "127.0.0.1", "port": listener.getsockname()[1], "owner": "dockerd"} in found


def test_another_daemon_of_the_host_is_seen_by_its_listeners() -> None:
    # PR_SET_NAME is 15.
    code = (
        "import ctypes, socket, sys; ctypes.CDLL(None).prctl(15, b'dockerd'); "
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(child.stdout.readline())
        found = daemon.read_listeners(daemon.ProcessTable(), None)
    finally:
        child.communicate()
    assert {"address": "127.0.0.1", "port": port, "owner": "dockerd"} in found


@pytest.mark.parametrize(
    ("argument", "masked"),
    [
        ("--log-opt=splunk-token=abc", "--log-opt=***"),
        ("--http-proxy=http://me:geheim@proxy:3128", "--http-proxy=http://***@proxy:3128"),
        ("--tlskey=/etc/docker/key.pem", "--tlskey=/etc/docker/key.pem"),
        ("--log-opt=tag={{.Name}}", "--log-opt=tag={{.Name}}"),
        ("-H", "-H"),
    ],
)
def test_credentials_in_arguments_are_masked(argument: str, masked: str) -> None:
    assert daemon.mask(argument) == masked


def test_credentials_in_the_configuration_are_masked() -> None:
    config = {
        "log-opts": {"splunk-token": "abc", "splunk-url": "https://me:geheim@splunk"},
        "proxies": {"https-proxy": "http://me:geheim@proxy"},
        "hosts": ["fd://"],
        "live-restore": True,
    }
    assert daemon.mask_document(config) == {
        "log-opts": {"splunk-token": "***", "splunk-url": "https://***@splunk"},
        "proxies": {"https-proxy": "http://***@proxy"},
        "hosts": ["fd://"],
        "live-restore": True,
    }


def test_no_secret_of_a_container_leaves_the_host() -> None:
    told = engine.describe_container(
        {
            "Id": "abc",
            "Name": "/web",
            "Config": {
                "Env": ["PASSWORD=geheim", "LANG=C"],
                "Labels": {"com.dianrong.cloud.app": "demo", "owner-token": "geheim"},
                "Image": "demo@sha256:1",
            },
            "HostConfig": {
                "Privileged": False,
                "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/tcp": None},
                "SecurityOpt": ["seccomp={" + "x" * 5000],
            },
            "State": {"Status": "exited"},
            "NetworkSettings": {"Ports": {}},
            "Mounts": [{"Type": "bind", "Source": "/run", "Destination": "/x", "RW": False}],
        }
    )
    assert "geheim" not in str(told)
    assert told["env_names"] == ["LANG", "PASSWORD"]
    assert told["labels"] == {"com.dianrong.cloud.app": "demo"}
    assert told["ports"] == [{"container": "80/tcp", "address": "", "port": 8080}]
    assert len(told["security_options"][0]) == engine.OPTION_LIMIT
    assert told["name"] == "web"


class Answers:
    """An engine that answers from a table, or with an error."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers = answers

    def get(self, path: str) -> object:
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_container_that_has_just_gone_is_no_gap_and_an_error_is_one() -> None:
    answers = Answers(
        {
            "/containers/json?all=1": [{"Id": "a"}, {"Id": "b"}, {"Id": "c"}],
            "/containers/a/json": {"Id": "a", "Name": "/a"},
            "/containers/b/json": None,
            "/containers/c/json": engine.EngineError("GET /containers/c/json: HTTP status 500"),
        }
    )
    containers, reason = engine.read_containers(answers, 10)
    assert [container["name"] for container in containers] == ["a"]
    assert reason == "GET /containers/c/json: HTTP status 500"


def test_more_containers_than_the_bound_is_said() -> None:
    answers = Answers({"/containers/json?all=1": [{"Id": str(number)} for number in range(5)]})
    assert engine.read_containers(answers, 2) == ([], "5 containers, only the first 2 were read")


def test_a_silent_engine_is_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "engine.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(engine.EngineError, match="GET /info"):
            engine.Engine(path, timeout=0.2).get("/info")


def test_modes_are_octal(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    path.chmod(0o607)
    told = files.describe_file(str(path))
    assert (told["state"], told["type"], told["mode"]) == ("present", "file", "0607")
    assert files.describe_file(str(tmp_path / "none")) == {"state": "absent"}


@pytest.mark.parametrize(("text", "error"), [("[]", TypeError), ("{", ValueError), ("\xff", ValueError)])
def test_a_broken_configuration_is_an_error(tmp_path: Path, text: str, error: type[Exception]) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(error):
        files.read_config(str(path))
    assert files.read_config(str(tmp_path / "none")) is None


def ports(evidence: dict[str, object] | None) -> list[tuple[str, int, str | None]]:
    return [tuple(target) for target in probe.targets(evidence, "10.90.0.11")]


USUAL = [("10.90.0.11", 2375, None), ("10.90.0.11", 2376, None)]


def test_the_usual_ports_are_always_tried() -> None:
    assert ports(None) == USUAL


def test_listeners_are_tried_where_they_can_be_reached() -> None:
    listeners = [
        {"address": "0.0.0.0", "port": 4243},
        {"address": "192.0.2.7", "port": 4244},
        {"address": "127.0.0.1", "port": 4245},
        {"address": "0.0.0.0", "port": 2375},
    ]
    assert ports({"listeners": listeners}) == [*USUAL, ("10.90.0.11", 4243, None), ("192.0.2.7", 4244, None)]


def test_published_ports_of_a_container_with_the_socket_are_tried() -> None:
    container = {
        "name": "proxy",
        "status": "running",
        "mounts": [{"source": "/var/run/docker.sock"}],
        "ports": [
            {"container": "2375/tcp", "address": "", "port": 8375},
            {"container": "53/udp", "address": "", "port": 53},
            {"container": "80/tcp", "address": "127.0.0.1", "port": 80},
        ],
    }
    harmless = {**container, "name": "web", "mounts": []}
    stopped = {**container, "name": "old", "status": "exited"}
    assert ports({"containers": [container, harmless, stopped]}) == [*USUAL, ("10.90.0.11", 8375, "proxy")]


def test_a_stopped_engine_is_not_woken() -> None:
    units = [{"unit": "docker.socket", "listen": ["/run/docker.sock (Stream)", "0.0.0.0:2375 (Stream)"]}]
    listeners = [{"address": "0.0.0.0", "port": 2375}]
    evidence = {"engine": "stopped", "socket_units": units, "listeners": listeners}
    assert ports(evidence) == [("10.90.0.11", 2376, None)]
    assert ports({**evidence, "engine": "present"}) == USUAL
