"""Where an engine comes from: an apt repository of its own at a pinned version, and proxies on the way."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from email.utils import format_datetime
from pathlib import Path

import pytest
from testinfra.host import Host as Machine
from tests.lab.rolling import (
    FIRST,
    HOSTS,
    PLAYBOOK,
    POOL,
    SECOND,
    Capacity,
    deploy,
    expired,
    in_service,
    kill,
    needed,
    said,
    tags,
    under_load,
    wait_for,
)

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from drcloud.cmdb import drift, leases, reading, snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import drained
from drcloud.delivery.drained import Drained
from drcloud.errors import LockedError
from drcloud.lab import material
from drcloud.lab.identity import Lab

pytestmark = [pytest.mark.lab, pytest.mark.lab_slow]
Play = Callable[..., subprocess.CompletedProcess[str]]
HOST, PORT, PROXY_PORT = "dk-01", 8443, 3128
NOW = datetime.datetime.now(datetime.UTC)
PLACE = "/var/tmp/drc-test-repository"
ROLE = f"""
- hosts: "{{{{ engine_hosts | default('{HOST}') }}}}"
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: dianrong.cloud.docker_engine
        apply: {{become: true}}
"""
# The distribution's package under a higher version, and under one more, with an engine that does not start.
REBUILD = f"""
set -e; exec 3>&1 1>&2
rm -rf {PLACE} /var/lib/apt/lists/*:{PORT}_*; mkdir {PLACE}; cd {PLACE}
apt-get --quiet download docker.io || {{ apt-get --quiet update; apt-get --quiet download docker.io; }}
dpkg-deb --raw-extract docker.io_*.deb tree; rm docker.io_*.deb
sed --in-place 's/^Version: .*/&+drctest1/' tree/DEBIAN/control
dpkg-deb -Zgzip -z1 --build tree docker.deb
sed --in-place 's/drctest1$/drctest2/' tree/DEBIAN/control
dockerd=$(find tree -path '*bin/dockerd'); printf '#!/bin/sh\nexit 1\n' > $dockerd
dpkg-deb -Zgzip -z1 --build tree broken.deb; rm -r tree
for package in docker broken; do
  dpkg-deb --field $package.deb
  echo "Filename: ./$package.deb"
  echo "Size: $(stat --format %s $package.deb)"
  echo "SHA256: $(sha256sum $package.deb | cut -d' ' -f1)"
  echo
done > Packages
chmod -R a+rX .
cat Packages >&3
"""
SERVER = f"""
import http.server, ssl
server = http.server.ThreadingHTTPServer(("", {PORT}), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("{PLACE}.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
# Says no to everything, and remembers what it was asked.
PROXY = f"""
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("{PLACE}.asked", "a") as asked:
            asked.write(self.requestline + "\\n")
        self.send_error(403)

    do_HEAD = do_CONNECT = do_GET

http.server.ThreadingHTTPServer(("", {PROXY_PORT}), Handler).serve_forever()
"""
SLEEP = (
    "tar --create --dereference --directory / --file - bin/sleep lib64/ld-linux-x86-64.so.2 "
    "lib/x86_64-linux-gnu/libc.so.6 | docker import - drc-test/packages:1 && "
    "docker run --detach --network none --name drc-test-packages drc-test/packages:1 /bin/sleep 6000"
)


@pytest.fixture
def engine(play: Play, tmp_path: Path) -> Play:
    """Run the role on the host with variables."""
    book = tmp_path / "engine.yml"
    book.write_text(ROLE)

    def run(**variables: object) -> subprocess.CompletedProcess[str]:
        return play(str(book), "--diff", "-e", json.dumps(variables))

    return run


def signing_key(directory: Path, name: str) -> Callable[[str], str]:
    """Make a key and return what signs a text with it; the public half lands in ``<name>.asc``."""
    home = directory / name
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}

    def gpg(*arguments: str, text: str = "") -> str:
        command = ["gpg", "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(
            command, input=text, env=environment, check=True, capture_output=True, text=True
        ).stdout

    gpg("--quick-generate-key", name, "ed25519", "sign", "never")
    (directory / f"{name}.asc").write_text(gpg("--armor", "--export", name))
    return lambda text: gpg("--clear-sign", text=text)


def put(host: Machine, path: str, text: str) -> None:
    """Write a text to a file of the host that everybody may read."""
    host.check_output(f"printf %s {_base64(text)} | base64 --decode > {path} && chmod 0644 {path}")


def _base64(text: str) -> str:
    return subprocess.run(
        ["base64", "--wrap=0"], input=text, check=True, capture_output=True, text=True
    ).stdout


def release(packages: str) -> str:
    """Return the index of a flat repository, to be signed."""
    digest, size = hashlib.sha256(packages.encode()).hexdigest(), len(packages.encode())
    date = format_datetime(NOW, usegmt=True)
    return f"Origin: drc-test\nSuite: test\nDate: {date}\nSHA256:\n {digest} {size} Packages\n"


def address() -> str:
    (row,) = reading.read(Store.open(), "host", [HOST])
    return str(row.fields["address"])


@pytest.fixture
def repository(
    machine: Callable[[str], Machine], provisioned: Lab, tmp_path: Path
) -> Iterator[dict[str, object]]:
    """A signed repository behind TLS of a CA that nobody else knows, as a variable of the role."""
    host = machine(HOST)
    material.ensure_ca(tmp_path, "drc-test-mirror")
    texts = [(tmp_path / name).read_text() for name in ("ca.pem", "ca.key")]
    day = datetime.timedelta(days=1)
    authority = _certificates.load_authority(*texts, NOW)
    sign = signing_key(tmp_path, "maker")
    packages = host.check_output(REBUILD) + "\n"
    put(host, f"{PLACE}/Packages", packages)
    put(host, f"{PLACE}/InRelease", sign(release(packages)))
    put(host, f"{PLACE}.pem", _certificates.issue(authority, _certificates.Wish((address(),), day, day), NOW))
    put(host, f"{PLACE}.py", SERVER)
    host.check_output(
        f"systemd-run --unit drc-test-repository --working-directory {PLACE} python3 {PLACE}.py"
    )
    yield {
        "uris": [f"https://{address()}:{PORT}/"],
        "suites": ["./"],
        "key": f"file:{tmp_path}/maker.asc",
        "ca": f"file:{tmp_path}/ca.pem",
    }
    host.check_output("systemctl stop drc-test-repository")
    host.check_output(f"rm -rf {PLACE} {PLACE}.pem {PLACE}.py /var/lib/apt/lists/*:{PORT}_*")


@pytest.fixture
def container(machine: Callable[[str], Machine]) -> Iterator[str]:
    """The process id of a container of the host."""
    host = machine(HOST)
    host.check_output(SLEEP)
    yield host.check_output("docker inspect --format '{{.State.Pid}}' drc-test-packages")
    host.run("docker rm --force drc-test-packages; docker rmi drc-test/packages:1")


def test_an_engine_comes_from_a_repository_at_its_pinned_version_and_goes_back(
    repository: dict[str, object],
    container: str,
    machine: Callable[[str], Machine],
    engine: Play,
    tmp_path: Path,
):
    host = machine(HOST)
    before = host.package("docker.io").version
    pinned = f"{before}+drctest1"
    signing_key(tmp_path, "stranger")
    try:
        refused = engine(
            docker_engine_repositories=[{**repository, "key": f"file:{tmp_path}/stranger.asc"}],
            docker_engine_version=pinned,
        )
        assert refused.returncode == 2
        assert "is not signed" in refused.stdout or "NO_PUBKEY" in refused.stdout, refused.stdout
        assert host.package("docker.io").version == before

        done = engine(docker_engine_repositories=[repository], docker_engine_version=pinned)
        assert done.returncode == 0, done.stdout
        assert "the running engine is not the installed one any more: needs a restart" in done.stdout
        assert host.package("docker.io").version == pinned
        assert f"Candidate: {pinned}" in host.check_output("apt-cache policy docker.io")
        assert host.run(
            f"test /proc/$(pidof dockerd)/exe -ef {host.check_output('command -v dockerd')}"
        ).succeeded
        assert host.check_output("docker inspect --format '{{.State.Pid}}' drc-test-packages") == container

        back = engine(docker_engine_version=before)
        assert back.returncode == 0, back.stdout
        assert host.package("docker.io").version == before
    finally:
        host.run(f"apt-get --quiet --yes --allow-downgrades install docker.io={before}")
        assert engine().returncode == 0
    for path in (
        "sources.list.d/drcloud-engine.sources",
        "preferences.d/drcloud-engine",
        "apt.conf.d/80drcloud-engine",
    ):
        assert not host.file(f"/etc/apt/{path}").exists
    assert host.check_output("docker inspect --format '{{.State.Pid}}' drc-test-packages") == container


def started(host: Machine) -> set[str]:
    """When each container that runs was started."""
    ask = "docker inspect --format '{{.Name}} {{.State.StartedAt}}' $(docker ps --quiet)"
    return set(host.check_output(ask).splitlines())


def upgraded(
    play: Play, version: str, hosts: str = HOST, **variables: object
) -> subprocess.CompletedProcess[str]:
    given = json.dumps({"engine_version": version, **variables})
    return play("dianrong.cloud.upgrade_engine", "--limit", hosts, "-e", given)


def test_an_upgrade_interrupts_nothing_and_one_that_fails_goes_back(
    repository: dict[str, object],
    container: str,
    machine: Callable[[str], Machine],
    engine: Play,
    play: Play,
    clients: list[str],
    lab: Lab,
    on_first: None,
):
    host = machine(HOST)
    before, carried = host.package("docker.io").version, started(host)

    def upgrade(version: str) -> subprocess.CompletedProcess[str]:
        return upgraded(play, version, docker_engine_repositories=[repository])

    try:
        done, seen = under_load(clients, lambda: upgrade(f"{before}+drctest1"))
        assert done.returncode == 0, done.stdout
        assert seen.lost == 0, seen.errors
        assert host.package("docker.io").version == f"{before}+drctest1"
        assert started(host) == carried
        assert set(in_service(lab).values()) == {6}
        again = upgrade(f"{before}+drctest1")
        assert again.returncode == 0, again.stdout
        assert "changed=0" in again.stdout

        bad, seen = under_load(clients, lambda: upgrade(f"{before}+drctest2"))
        assert bad.returncode == 2, bad.stdout
        assert f"{before}+drctest1 is back, and {before}+drctest2 is not: " in bad.stdout
        assert seen.lost == 0, seen.errors
        assert host.package("docker.io").version == f"{before}+drctest1"
        assert started(host) == carried
        assert set(in_service(lab).values()) == {6}
    finally:
        host.run(f"apt-get --quiet --yes --allow-downgrades install docker.io={before}")
        assert engine().returncode == 0
    assert started(host) == carried


WAITING = "drc-test-upgrade"


@pytest.fixture
def waiting(provisioned: Lab) -> Iterator[Callable[[], bool]]:
    """Take what an upgrade needs to bring a host back, as soon as it has taken one out."""

    def taken() -> bool:
        with suppress(LockedError):
            leases.acquire(
                Store.open(),
                [(f"lb:{POOL}", False)],
                holder=WAITING,
                purpose="wait",
                ttl=datetime.timedelta(minutes=10),
            )
            return True
        return False

    yield taken
    leases.release(Store.open(), WAITING)


def looked_at() -> datetime.datetime:
    """When the host was looked at last, which an upgrade does before it brings it back."""
    with Store.open().read() as session:
        return drift.read(session).looks[HOST]


@pytest.mark.usefixtures("on_first", "locks_are_free")
def test_an_upgrade_that_is_killed_before_it_brings_a_host_back_is_finished_by_the_next(
    repository: dict[str, object],
    machine: Callable[[str], Machine],
    engine: Play,
    play: Play,
    waiting: Callable[[], bool],
    lab: Lab,
):
    host = machine(HOST)
    before = host.package("docker.io").version
    pinned = f"{before}+drctest1"
    variables = {"engine_version": pinned, "docker_engine_repositories": [repository]}
    command = [
        PLAYBOOK,
        "-i",
        "inventories/lab/lab.cmdb.yml",
        "dianrong.cloud.upgrade_engine",
        "--limit",
        HOST,
    ]
    try:
        began = looked_at()
        with subprocess.Popen([*command, "-e", json.dumps(variables)], cwd=lab.checkout) as rolling:
            wait_for(lambda: drained.read(Store.open(), HOST), 120)
            # It has the pool while it drains the host; then it waits for us before it brings the host back.
            wait_for(waiting, 120)
            wait_for(lambda: looked_at() > began, 300)
            kill(rolling)
        holders = {one.holder for one in leases.held(Store.open())} - {WAITING}
        wait_for(lambda: expired(holders), 60)
        leases.release(Store.open(), WAITING)
        assert host.package("docker.io").version == pinned
        assert set(in_service(lab).values()) == {5}
        assert drained.read(Store.open(), HOST) == Drained("upgrade_engine", {POOL: True})

        again = upgraded(play, pinned, docker_engine_repositories=[repository])
        assert again.returncode == 0, again.stdout
        assert set(in_service(lab).values()) == {6}
        assert drained.read(Store.open(), HOST) is None
        assert host.package("docker.io").version == pinned
    finally:
        leases.release(Store.open(), WAITING)
        host.run(f"apt-get --quiet --yes --allow-downgrades install docker.io={before}")
        assert engine().returncode == 0


def unfinished(hosts: Iterable[str]) -> None:
    """Have hosts look as if an upgrade had been killed on them: the next one goes over them all."""
    for name in hosts:
        drained.keep(Store.open(), name, Drained("upgrade_engine", {}), None)


@pytest.mark.usefixtures("on_first", "locks_are_free")
def test_of_a_batch_no_more_are_upgraded_at_once_than_may_leave_service(
    machine: Callable[[str], Machine], engine: Play, play: Play, clients: list[str], lab: Lab
):
    names = HOSTS[:3]
    there = ",".join(names)
    version = machine(HOST).package("docker.io").version
    unfinished(names)
    looks = Capacity(lab)
    try:
        done, seen = under_load(clients, lambda: upgraded(play, version, there, upgrade_batch=5))
        lowest = looks.stop()
        assert done.returncode == 0, done.stdout
        assert (seen.failed, seen.failed_posts) == (0, 0), seen.errors
        # Of six four must stay: two at a time.
        assert set(lowest.values()) == {needed()}
        assert set(in_service(lab).values()) == {6}
        assert [drained.read(Store.open(), name) for name in names] == [None] * 3
    finally:
        assert engine(engine_hosts=there).returncode == 0


@pytest.mark.usefixtures("on_first", "locks_are_free")
def test_what_missed_a_deploy_is_in_service_after_an_upgrade_as_before(
    machine: Callable[[str], Machine], engine: Play, play: Play, lab: Lab
):
    try:
        others = deploy(SECOND, "--limit", ",".join(name for name in HOSTS if name != HOST))
        assert others.returncode == 0, said(others)
        assert set(in_service(lab).values()) == {6}
        unfinished([HOST])
        done = upgraded(play, machine(HOST).package("docker.io").version)
        assert done.returncode == 0, done.stdout
        assert set(in_service(lab).values()) == {6}
        assert tags()[HOST] == FIRST
    finally:
        healed = deploy(FIRST)
        assert healed.returncode == 0, said(healed)
        assert engine().returncode == 0


@pytest.fixture
def proxy(machine: Callable[[str], Machine], provisioned: Lab) -> Iterator[str]:
    """The URL of a proxy that refuses everything and writes down what it was asked."""
    host = machine(HOST)
    put(host, f"{PLACE}.py", PROXY)
    host.check_output(f"systemd-run --unit drc-test-proxy python3 {PLACE}.py")
    yield f"http://{address()}:{PROXY_PORT}"
    host.check_output("systemctl stop drc-test-proxy")
    host.check_output(f"rm -f {PLACE}.py {PLACE}.asked")


def asked(host: Machine, command: str) -> str:
    """Run a command that fails, and return what the proxy was asked for by it."""
    host.check_output(f": > {PLACE}.asked")
    assert host.run(command).failed
    return str(host.check_output(f"cat {PLACE}.asked"))


def test_apt_and_the_engine_go_through_their_proxies_but_not_to_what_is_near(
    proxy: str, container: str, machine: Callable[[str], Machine], engine: Play
):
    host = machine(HOST)
    own = "/var/tmp/drc-test-lists"
    lists = f"-o APT::Update::Error-Mode=any -o Acquire::Retries=0 -o Dir::State::lists={own}"
    # A source of our own: whoever answers there is the proxy, or nobody.
    source = "deb [trusted=yes] http://mirror.example.org/debian ./"
    only = f"-o Dir::Etc::sourcelist={PLACE}.list -o Dir::Etc::sourceparts=/dev/null"
    update = f"mkdir -p {own}/partial && apt-get update {lists} {only}"
    registry = snapshot.read(Store.open()).registries[0].endpoint
    put(host, f"{PLACE}.list", source + "\n")
    far, near = "registry.example.org/team/app:1", f"{registry}/drc-test/nothing:1"
    try:
        done = engine(docker_engine_apt_proxy=proxy, docker_engine_https_proxy=proxy)
        assert done.returncode == 0, done.stdout
        assert "GET http://mirror.example.org/debian/" in asked(host, update)
        assert "CONNECT registry.example.org:443" in asked(host, f"docker pull {far}")
        assert asked(host, f"docker pull {near}") == ""
        again = engine(docker_engine_apt_proxy=proxy, docker_engine_https_proxy=proxy)
        assert "changed=0" in again.stdout

        direct = {"docker_engine_apt_direct": ["mirror.example.org"]}
        done = engine(docker_engine_apt_proxy=proxy, docker_engine_https_proxy=proxy, **direct)
        assert done.returncode == 0, done.stdout
        assert asked(host, update) == ""
    finally:
        host.run(f"rm -rf {PLACE}.list {own}")
        assert engine().returncode == 0
    assert not host.file("/etc/apt/apt.conf.d/80drcloud-engine").exists
    assert asked(host, f"docker pull {far}") == ""
    # Live-restore: the container did not notice.
    assert host.check_output("docker inspect --format '{{.State.Pid}}' drc-test-packages") == container
