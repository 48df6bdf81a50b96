"""What a provisioned host is like, looked at on the host and over the network, not in Ansible's words."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import select
from testinfra.host import Host as Machine

from drcloud import secrets
from drcloud.cmdb import snapshot
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import HostFact
from drcloud.cmdb.store import Store
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Look = Callable[[str], Machine]
DOCKER_HOSTS = ("dk-01", "dk-06")
OPTIONS = {
    "icc": False,
    "live-restore": True,
    "log-driver": "journald",
    "no-new-privileges": True,
    "userland-proxy": False,
}
# An image of nothing but sleep, made on the host from the host's own files.
SLEEP_IMAGE = (
    "tar --create --dereference --directory / --file - bin/sleep lib64/ld-linux-x86-64.so.2 "
    "lib/x86_64-linux-gnu/libc.so.6 | docker import - drc-test/sleep:1"
)


@pytest.fixture
def registry(provisioned: Lab) -> snapshot.RegistryRow:
    """The registry as the CMDB declares it."""
    return snapshot.read(Store.open()).registries[0]


@pytest.mark.parametrize("name", DOCKER_HOSTS)
def test_the_engine_is_the_distributions_and_honours_its_file(machine: Look, name: str):
    host = machine(name)
    assert host.package("docker.io").is_installed
    assert host.package("python3-docker").is_installed
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled
    assert json.loads(host.file("/etc/docker/daemon.json").content_string) == OPTIONS
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "journald"
    assert info["Driver"] == "overlay2"
    assert host.package("docker.io").version.startswith(info["ServerVersion"].split("+")[0])


@pytest.mark.parametrize("name", DOCKER_HOSTS)
def test_the_engine_listens_on_its_local_socket_only(machine: Look, name: str):
    host = machine(name)
    sockets = host.check_output("ss --no-header --listening --numeric --processes --tcp").splitlines()
    held = {line.split()[3].rpartition(":")[2] for line in sockets if '"dockerd"' in line}
    # Without a proxy process, the engine itself holds the ports that containers publish.
    assert held <= set(re.findall(r":(\d+)->", host.check_output("docker ps --format '{{.Ports}}'")))
    socket = host.file("/run/docker.sock")
    assert (socket.is_socket, socket.user, socket.group, socket.mode) == (True, "root", "docker", 0o660)


def test_no_process_shows_a_secret(machine: Look, registry: snapshot.RegistryRow):
    host = machine("dk-01")
    password = secrets.resolve(registry.password or "")
    file = host.file("/etc/drcloud/docker/config.json")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    assert registry.endpoint in json.loads(file.content_string)["auths"]
    assert password not in host.check_output(
        "cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; journalctl -n 2000"
    )


def test_live_restore_keeps_a_container_over_a_restart_of_the_engine(machine: Look):
    host = machine("dk-06")
    host.check_output(SLEEP_IMAGE)
    pid = "docker inspect --format '{{.State.Pid}}' drc-test-sleep"
    try:
        host.check_output(
            "docker run --detach --network none --name drc-test-sleep drc-test/sleep:1 /bin/sleep 600"
        )
        before = host.check_output(pid)
        host.check_output("systemctl restart docker")
        assert host.check_output(pid) == before
        assert host.run(f"kill -0 {before}").succeeded
    finally:
        host.run("docker rm --force drc-test-sleep; docker rmi drc-test/sleep:1")


def test_the_registry_serves_known_accounts_over_tls_of_the_labs_ca(registry: snapshot.RegistryRow):
    trust = ssl.create_default_context(cadata=secrets.resolve(registry.ca or ""))
    account = (registry.username or "", secrets.resolve(registry.password or ""))
    with httpx.Client(verify=trust, base_url=f"https://{registry.endpoint}", trust_env=False) as client:
        assert client.get("/v2/").status_code == 401
        assert client.get("/v2/", auth=(account[0], "wrong")).status_code == 401
        assert client.get("/v2/", auth=account).status_code == 200


def test_who_does_not_know_the_ca_does_not_talk_to_the_registry(registry: snapshot.RegistryRow):
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
        client.get(f"https://{registry.endpoint}/v2/")


def test_the_registry_runs_as_its_own_user_and_keeps_bcrypt_hashes(machine: Look):
    host = machine("infra-01")
    # `ps` cuts long names of users.
    assert host.process.get(comm="docker-registry").user in ("docker-registry", "docker-+")
    for path in ("tls.pem", "htpasswd", "config.yml"):
        file = host.file(f"/etc/drcloud/registry/{path}")
        assert (file.user, file.group, file.mode) == ("root", "docker-registry", 0o640)
    assert host.file("/etc/drcloud/registry/htpasswd").content_string.startswith("drcloud:$2y$")


@pytest.mark.parametrize("name", DOCKER_HOSTS)
def test_the_engine_pulls_with_its_credentials(machine: Look, registry: snapshot.RegistryRow, name: str):
    """An image that does not exist is "not found" to who may look, and "unauthorized" to who may not."""
    host = machine(name)
    image = f"{registry.endpoint}/drc-test/nothing:1"
    known = host.run(f"docker --config /etc/drcloud/docker pull {image}")
    unknown = host.run(f"docker --config /nonexistent pull {image}")
    assert "not found" in known.stderr or "manifest unknown" in known.stderr
    assert "no basic auth credentials" in unknown.stderr or "unauthorized" in unknown.stderr


def test_the_cmdb_knows_the_hosts_by_what_they_said(machine: Look):
    with Store.open().read() as session:
        rows = dict(session.execute(select(Host.name, HostFact.facts).join(HostFact.host)).all())
        states = dict(session.execute(select(Host.name, Host.state)).all())
    assert set(rows) == set(states)
    assert set(states.values()) == {"active"}
    facts = rows["dk-01"]
    assert facts["distribution"]["id"] == "debian"
    assert facts["engine"]["storage_driver"] == "overlay2"
    assert facts["kernel"]["release"] == machine("dk-01").check_output("uname -r")
    assert rows["bastion-01"]["engine"] is None


@pytest.mark.parametrize("name", ["bastion-01", "dk-01"])
def test_the_pinned_keys_are_the_hosts_keys(machine: Look, name: str):
    pinned = {row.type: row.key for row in snapshot.read(Store.open()).host_keys if row.host == name}
    shown = machine(name).check_output("cat /etc/ssh/ssh_host_ed25519_key.pub").split()
    assert pinned["ssh-ed25519"] == shown[1]


def test_the_site_has_its_baseline(machine: Look):
    host = machine("dk-01")
    assert host.file("/etc/localtime").linked_to == "/usr/share/zoneinfo/Etc/UTC"
    assert host.sysctl("net.core.somaxconn") == 4096
