"""The engine of a host over a day's changes: guarded on the network or off it, and its containers go on."""

from __future__ import annotations

import datetime
import json
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from testinfra.host import Host as Machine

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from drcloud.cmdb import objects, reading
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.lab import material
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Play = Callable[..., subprocess.CompletedProcess[str]]
HOST, CA, PORT = "dk-01", "drc-test-engine-ca", 2376
NOW = datetime.datetime.now(datetime.UTC)
# An image of nothing but sleep, made on the host from the host's own files.
SLEEP = (
    "tar --create --dereference --directory / --file - bin/sleep lib64/ld-linux-x86-64.so.2 "
    "lib/x86_64-linux-gnu/libc.so.6 | docker import - drc-test/engine:1 && "
    "docker run --detach --network none --name drc-test-engine drc-test/engine:1 /bin/sleep 6000"
)
SOCKET_DROP_IN = "/etc/systemd/system/docker.socket.d/drc-test.conf"
ROLE = f"""
- hosts: {HOST}
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: dianrong.cloud.docker_engine
        apply: {{become: true}}
"""


@pytest.fixture(scope="module")
def host(machine: Callable[[str], Machine]) -> Machine:
    return machine(HOST)


@pytest.fixture(scope="module")
def engine(play: Play, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Run the role on the host with variables: ``engine(docker_engine_api=True)``."""
    book = tmp_path_factory.mktemp("book") / "engine.yml"
    book.write_text(ROLE)

    def run(*arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        return play(str(book), "-e", json.dumps(variables), *arguments)

    return run


@pytest.fixture(scope="module")
def container(host: Machine) -> Iterator[Callable[[], str]]:
    """A container of the host; calling it returns its process id."""
    host.check_output(SLEEP)
    yield lambda: host.check_output("docker inspect --format '{{.State.Pid}}' drc-test-engine")
    host.run("docker rm --force drc-test-engine; docker rmi drc-test/engine:1")


@pytest.fixture(scope="module")
def authority(
    tmp_path_factory: pytest.TempPathFactory, provisioned: Lab
) -> Iterator[_certificates.Authority]:
    """A CA of its own for the Remote API, declared in the CMDB."""
    directory = tmp_path_factory.mktemp("ca")
    material.ensure_ca(directory, CA)
    pem = (directory / "ca.pem").read_text()
    fields = {
        **_certificates.facts(pem)._asdict(),
        "pem": f"file:{directory}/ca.pem",
        "private_key": f"file:{directory}/ca.key",
        "purpose": "ca",
    }
    declare(Wanted("certificate", fields, CA))
    yield _certificates.load_authority(pem, (directory / "ca.key").read_text(), NOW)
    declare(Wanted("certificate", key=CA, state="absent"))


@pytest.fixture(scope="module")
def guarded(
    engine: Play, authority: _certificates.Authority, container: Callable[[], str]
) -> Iterator[dict[str, object]]:
    """The variables with which the host's Remote API is on, and it is; afterwards as provision leaves it."""
    pid = container()
    variables = {"docker_engine_api": True, "docker_engine_api_ca": CA}
    done = engine(**variables)
    assert done.returncode == 0, done.stdout
    assert container() == pid
    yield variables
    done = engine()
    assert done.returncode == 0, done.stdout


def declare(one: Wanted) -> None:
    objects.change(Store.open(), [one], reason="test")


def recorded() -> list[dict[str, object]]:
    """Return what the CMDB holds of the host's certificate for the Remote API."""
    found = reading.read(Store.open(), "certificate", [], where={"host": HOST, "purpose": "engine-api"})
    return [dict(one.fields) for one in found]


def address() -> str:
    (row,) = reading.read(Store.open(), "host", [HOST])
    return str(row.fields["address"])


def ask(directory: Path, authority: _certificates.Authority, pem: str | None) -> dict[str, str]:
    """Ask the engine for its version with a certificate; the server must be who it says it is."""
    trust = ssl.create_default_context(cadata=_pem(authority))
    if pem:
        file = directory / "client.pem"
        file.write_text(pem)
        trust.load_cert_chain(file)
    with httpx.Client(verify=trust, trust_env=False) as client:
        return dict(client.get(f"https://{address()}:{PORT}/version").json())


def _pem(authority: _certificates.Authority) -> str:
    return authority.certificate.public_bytes(_certificates.serialization.Encoding.PEM).decode()


def made_for(usage: str, authority: _certificates.Authority) -> str:
    day = datetime.timedelta(days=1)
    return _certificates.issue(authority, _certificates.Wish(("test",), day, day, (usage,)), NOW)


def served() -> x509.Certificate:
    """Return the certificate that the engine shows."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((address(), PORT)).encode())


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def test_who_has_a_certificate_of_the_ca_gets_in_and_nobody_else(
    guarded: dict[str, object], authority: _certificates.Authority, tmp_path: Path
):
    assert ask(tmp_path, authority, made_for("client", authority))["Version"].startswith("20.10")
    material.ensure_ca(tmp_path / "other", "other")
    texts = [(tmp_path / "other" / name).read_text() for name in ("ca.pem", "ca.key")]
    stranger = made_for("client", _certificates.load_authority(*texts, NOW))
    # A server's certificate of the right CA makes nobody a client.
    for pem in (None, stranger, made_for("server", authority)):
        # The refusal comes after the handshake; a reset may overtake it.
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            ask(tmp_path, authority, pem)
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"http://{address()}:{PORT}/version").status_code == 400


def test_the_cmdb_knows_the_certificate_and_when_it_expires(guarded: dict[str, object], host: Machine):
    (row,) = recorded()
    shown = served()
    assert row["fingerprint"] == fingerprint(shown)
    assert row["issuer"] == f"CN={CA}"
    assert row["not_after"] == f"{shown.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert _certificates.names_of(shown) == {HOST, address()}
    file = host.file("/etc/drcloud/engine/tls.pem")
    assert (file.user, file.mode) == ("root", 0o600)


@pytest.mark.lab_slow
def test_a_second_run_changes_nothing_and_proves_it_again_from_a_neighbour(
    guarded: dict[str, object], engine: Play
):
    done = engine(**guarded)
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout
    # The play has no other host, so it is one of those in service.
    assert re.search(r"Prove it from another host +1 ok", done.stdout), done.stdout


def test_a_rotation_on_demand_replaces_the_certificate_and_keeps_the_containers(
    guarded: dict[str, object], engine: Play, container: Callable[[], str], host: Machine
):
    pid, before = container(), fingerprint(served())
    done = engine("-e", "docker_engine_api_rotate=true", "--diff", **guarded)
    assert done.returncode == 0, done.stdout
    assert "/etc/drcloud/engine/tls.pem is newer than the running engine: needs a restart" in done.stdout
    after = fingerprint(served())
    assert after != before
    assert [row["fingerprint"] for row in recorded()] == [after]
    assert container() == pid
    assert host.run(f"kill -0 {pid}").succeeded


BAD = {
    "a CA that nobody declared": (
        {"docker_engine_api_ca": "nobodys-ca"},
        'docker_engine_api_ca "nobodys-ca" is no certificate of purpose "ca" in the CMDB',
    ),
    "an option that says where to listen": (
        {"docker_engine_extra_options": {"hosts": ["tcp://0.0.0.0:2375"]}},
        "hold hosts: where the engine listens, and whom it lets in, is said by docker_engine_api",
    ),
    "an option that the engine does not know": (
        {"docker_engine_extra_options": {"live-restor": True}},
        "option 'live-restor' is not known to Docker Engine 20.10",
    ),
    "an expired certificate": (
        {"docker_engine_api_certificate": "file:{expired}"},
        "expired.pem: it expired on 20",
    ),
    "a certificate of another CA": (
        {"docker_engine_api_certificate": "file:{foreign}"},
        "foreign.pem: another CA issued it",
    ),
    "a CA that expired": ({"docker_engine_api_ca": "drc-test-expired-ca"}, "the CA's certificate expired on"),
}


@pytest.fixture(scope="module")
def bad_files(
    authority: _certificates.Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Certificates that must not be taken: expired, of another CA, and a CA that expired itself."""
    directory = tmp_path_factory.mktemp("bad")
    material.ensure_ca(directory, "another-ca")
    texts = [(directory / name).read_text() for name in ("ca.pem", "ca.key")]
    another = _certificates.load_authority(*texts, NOW)
    day = datetime.timedelta(days=1)
    wish = _certificates.Wish((address(), HOST), day, day)
    (directory / "expired.pem").write_text(_certificates.issue(authority, wish, NOW - 3 * day))
    (directory / "foreign.pem").write_text(_certificates.issue(another, wish, NOW))
    old = expired_ca(directory)
    fields = {**_certificates.facts(old)._asdict(), "purpose": "ca"}
    references = {"pem": f"file:{directory}/old.pem", "private_key": f"file:{directory}/ca.key"}
    declare(Wanted("certificate", {**fields, **references}, "drc-test-expired-ca"))
    yield {name: str(directory / f"{name}.pem") for name in ("expired", "foreign")}
    declare(Wanted("certificate", key="drc-test-expired-ca", state="absent"))


def expired_ca(directory: Path) -> str:
    """Make a CA of which the time is over, with the key that lies there."""
    command = [
        "openssl", "x509", "-in", "ca.pem", "-signkey", "ca.key", "-days", "-1", "-out", "old.pem",
    ]  # fmt: skip
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (directory / "old.pem").read_text()


def case(name: str) -> object:
    """Return a case; those that are refused in the role's first step cost little."""
    quick = name in ("an expired certificate", "a CA that expired")
    return pytest.param(name, marks=() if quick else pytest.mark.lab_slow)


@pytest.mark.parametrize("bad", [case(name) for name in BAD])
def test_bad_input_is_refused_by_name_before_anything_changes(
    guarded: dict[str, object], bad_files: dict[str, str], engine: Play, host: Machine, bad: str
):
    variables, message = BAD[bad]
    variables = json.loads(
        json.dumps(variables)
        .replace("{expired}", bad_files["expired"])
        .replace("{foreign}", bad_files["foreign"])
    )
    everything = "find /etc/docker /etc/drcloud /etc/apt /etc/systemd -type f -exec sha256sum {} + | sort"
    started = "systemctl show docker --property ActiveEnterTimestamp"
    before = host.check_output(everything), host.check_output(started), recorded()
    done = engine(**{**guarded, **variables})
    assert done.returncode == 2, done.stdout
    assert message in done.stdout
    assert (host.check_output(everything), host.check_output(started), recorded()) == before


def test_a_remote_api_that_is_switched_off_leaves_nothing_behind(
    guarded: dict[str, object], engine: Play, container: Callable[[], str], host: Machine
):
    pid = container()
    done = engine()
    assert done.returncode == 0, done.stdout
    assert container() == pid
    assert recorded() == []
    assert not host.file("/etc/drcloud/engine/tls.pem").exists
    assert not host.file("/etc/systemd/system/docker.service.d/drcloud-engine.conf").exists
    with pytest.raises(ConnectionRefusedError):
        ssl.get_server_certificate((address(), PORT))
    kept = json.loads(host.file("/etc/docker/daemon.json.previous").content_string)
    assert kept["tlsverify"] is True


def test_a_certificate_that_a_killed_run_left_behind_goes_with_the_next_one(
    provisioned: Lab, engine: Play, host: Machine
):
    """The engine runs without the Remote API already; its key and what the CMDB holds of it were left."""
    host.check_output("echo 'a private key' | install -D -m 600 /dev/stdin /etc/drcloud/engine/tls.pem")
    fields = {"host": HOST, "purpose": "engine-api", "subject": f"CN={address()}", "issuer": f"CN={CA}"}
    ends = {"not_after": "2036-11-20T00:00:00Z", "fingerprint": "0" * 64}
    declare(Wanted("certificate", {**fields, **ends}, f"{HOST}-engine-api"))
    done = engine("--diff")
    assert done.returncode == 0, done.stdout
    assert "changed=2 " in done.stdout
    assert "a private key" not in done.stdout
    assert recorded() == []
    assert not host.file("/etc/drcloud/engine/tls.pem").exists


@pytest.fixture
def door(host: Machine) -> Iterator[int]:
    """A port that systemd opens for the engine to everybody, as somebody in a hurry would do it."""
    port = 2375
    restart = (
        "systemctl daemon-reload && systemctl stop docker.service docker.socket && "
        "systemctl start docker.socket docker.service"
    )
    text = f"[Socket]\\nListenStream={address()}:{port}\\n"
    host.check_output(
        f"mkdir -p $(dirname {SOCKET_DROP_IN}) && printf '{text}' > {SOCKET_DROP_IN} && {restart}"
    )
    yield port
    host.check_output(f"rm {SOCKET_DROP_IN} && rmdir $(dirname {SOCKET_DROP_IN}) && {restart}")


@pytest.mark.lab_slow
def test_a_door_that_systemd_opens_for_the_engine_is_found_by_going_through_it(door: int, engine: Play):
    done = engine()
    assert done.returncode == 2
    assert f"the Remote API lets in anybody at tcp://{address()}:{door}" in done.stdout
    assert "tried from the controller" in done.stdout
    assert f"the engine listens on tcp {door}, where nobody declared it" in done.stdout


@pytest.mark.lab_slow
def test_containers_survive_the_restart_that_brings_live_restore(
    container: Callable[[], str], engine: Play, host: Machine
):
    """An engine that somebody else set up, without live-restore, as the role finds it."""
    host.check_output(
        'systemctl stop docker && echo \'{"log-driver": "json-file"}\' > /etc/docker/daemon.json && '
        "systemctl start docker && docker start drc-test-engine"
    )
    pid = container()
    done = engine("--diff")
    assert done.returncode == 0, done.stdout
    assert 'log-driver: \\"json-file\\" -> \\"journald\\": needs a restart' in done.stdout
    assert container() == pid
    assert host.run(f"kill -0 {pid}").succeeded
    assert json.loads(host.file("/etc/docker/daemon.json.previous").content_string) == {
        "log-driver": "json-file"
    }
