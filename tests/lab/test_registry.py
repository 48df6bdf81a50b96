"""The registry as the role hardens it, and its garbage collection: what the CMDB names is never lost."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from drcloud import secrets
from drcloud.cmdb import importer, reading, snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import releases
from drcloud.lab.identity import Lab, locate

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
REPOSITORY, FOREIGN = "drc-test/gc", "drc-test/of-no-app"
ROOT = "/var/lib/docker-registry/docker/registry/v2"
APP = """
drcloud: 1
apps:
  - name: gc-probe
    registry: main
    spec: {image: drc-test/gc, port: 8080}
"""
GC = "dianrong.cloud.registry_gc"
CONFIGURE = """
- hosts: infra-01
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.import_role: {name: dianrong.cloud.registry, tasks_from: configure}
"""
PUSHED_NOW = ("-e", "quiet_minutes=0")


class Client:
    """Pushes and asks, as the account that the CMDB knows."""

    def __init__(self, row: snapshot.RegistryRow, ca: str, trust: ssl.SSLContext | None = None) -> None:
        self.trust = trust or ssl.create_default_context(cadata=ca)
        account = (row.username or "", secrets.resolve(row.password or ""))
        url = f"https://{row.endpoint}"
        self.http = httpx.Client(base_url=url, verify=self.trust, auth=account, trust_env=False, timeout=20)

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        begun = self.http.post(f"/v2/{repository}/blobs/uploads/")
        begun.raise_for_status()
        place = httpx.URL(begun.headers["Location"]).copy_add_param("digest", digest(content))
        self.http.put(place, content=content).raise_for_status()
        return {"mediaType": "application/octet-stream", "size": len(content), "digest": digest(content)}

    def manifest(
        self, repository: str, tag: str | None, document: dict[str, Any], kind: str
    ) -> dict[str, Any]:
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
        place = f"/v2/{repository}/manifests/{tag or digest(body)}"
        self.http.put(place, content=body, headers={"Content-Type": kind}).raise_for_status()
        return {"mediaType": kind, "size": len(body), "digest": digest(body)}

    def image(self, repository: str, name: str, tag: str | None = None) -> dict[str, Any]:
        config = self.blob(repository, f'{{"made for": "{name}"}}'.encode())
        layer = self.blob(repository, name.encode() * 1000)
        return self.manifest(repository, tag, {"config": config, "layers": [layer]}, OCI)

    def has(self, repository: str, reference: str) -> bool:
        answer = self.http.get(
            f"/v2/{repository}/manifests/{reference}", headers={"Accept": f"{OCI}, {INDEX}"}
        )
        return answer.status_code == httpx.codes.OK


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(scope="module")
def row(provisioned: Lab) -> snapshot.RegistryRow:
    return snapshot.read(Store.open()).registries[0]


@pytest.fixture(scope="module")
def client(row: snapshot.RegistryRow) -> Client:
    return Client(row, secrets.resolve(row.ca or ""))


@pytest.fixture
def tidy(provisioned: Lab, on: Run) -> Iterator[None]:
    """What a test pushed is gone after it."""
    yield
    on("infra-01", f"sudo rm -rf {ROOT}/repositories/drc-test")


@pytest.fixture
def pushed(client: Client, tidy: None, on: Run) -> dict[str, str]:
    """Images by name, all of them a month old but the young one."""
    amd64, arm64 = (client.image(REPOSITORY, f"index {arch}") for arch in ("amd64", "arm64"))
    index = client.manifest(REPOSITORY, "multi", {"manifests": [amd64, arm64]}, INDEX)
    found = {
        "amd64": amd64, "arm64": arm64, "index": index,
        "named": client.image(REPOSITORY, "named", "rt1"),
        "old": client.image(REPOSITORY, f"old {time.time()}", "rt0"),
        "foreign": client.image(FOREIGN, "foreign", "base"),
    }  # fmt: skip
    links = f"{ROOT}/repositories/drc-test/*/_manifests/revisions/sha256/*/link"
    on("infra-01", f"sudo sh -c 'touch --date \"40 days ago\" {links}'")
    found["young"] = client.image(REPOSITORY, "young", "rt2")
    return {name: one["digest"] for name, one in found.items()}


@pytest.fixture
def scratch(provisioned: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of the lab's CMDB with an app of our own, which the playbooks of the test are given."""
    place = tmp_path / "cmdb.sqlite3"
    with sqlite3.connect(provisioned.state / "cmdb.sqlite3") as source, sqlite3.connect(place) as target:
        source.backup(target)
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{place}")
    store = Store.open()
    (tmp_path / "app.yml").write_text(APP, encoding="utf-8")
    importer.import_files(store, importer.Request((tmp_path / "app.yml",)))
    return store


def name_images(store: Store, pushed: dict[str, str]) -> None:
    releases.record(store, "gc-probe", "rt1", pushed["named"])
    releases.record(store, "gc-probe", "multi", pushed["index"])


def left(client: Client, pushed: dict[str, str]) -> set[str]:
    return {
        name for name, one in pushed.items() if client.has(FOREIGN if name == "foreign" else REPOSITORY, one)
    }


def recap(done: subprocess.CompletedProcess[str]) -> str:
    return next(
        line for line in done.stdout.splitlines() if line.strip().startswith("infra-01 ") and "ok=" in line
    )


def test_only_the_newest_tls_is_spoken_and_health_needs_no_account(row: snapshot.RegistryRow) -> None:
    ca = secrets.resolve(row.ca or "")
    with httpx.Client(verify=ssl.create_default_context(cadata=ca), trust_env=False, timeout=20) as http:
        assert http.get(f"https://{row.endpoint}/").status_code == httpx.codes.OK
        assert http.get(f"https://{row.endpoint}/v2/").status_code == httpx.codes.UNAUTHORIZED
    old = ssl.create_default_context(cadata=ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        httpx.Client(verify=old, trust_env=False, timeout=20) as http,
        pytest.raises(httpx.ConnectError, match=r"(?i)ssl|tls"),
    ):
        http.get(f"https://{row.endpoint}/")


def test_the_cmdb_knows_when_the_certificate_ends(row: snapshot.RegistryRow) -> None:
    (known,) = reading.read(Store.open(), "certificate", ["infra-01-registry"])
    host, _, port = row.endpoint.rpartition(":")
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port)), timeout=20).encode())
    assert known.fields["purpose"] == "registry"
    assert known.fields["fingerprint"] == shown.fingerprint(hashes.SHA256()).hex()
    assert datetime.fromisoformat(known.fields["not_after"]) == shown.not_valid_after_utc


def test_the_registry_sees_little_of_its_host(on: Run) -> None:
    pid = "/proc/$(systemctl show docker-registry --property=MainPID --value)"
    look = f"sudo nsenter --target $(basename {pid}) --mount"
    assert on("infra-01", f"{look} touch /etc/drcloud/registry/x").returncode != 0
    assert on("infra-01", f"{look} test -w /var/lib/docker-registry").returncode == 0
    status = on("infra-01", f"sudo cat {pid}/status").stdout
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    # The secret of uploads is neither in the configuration nor for others to read.
    assert on("infra-01", "sudo stat --format '%a %U' /etc/drcloud/registry/secret").stdout == "600 root\n"


def test_a_read_only_registry_answers_pulls_and_refuses_pushes(
    client: Client, tidy: None, play: Run, tmp_path: Path
) -> None:
    book = tmp_path / "registry.yml"
    book.write_text(CONFIGURE, encoding="utf-8")
    image = client.image(REPOSITORY, "kept", "rt1")["digest"]
    try:
        done = play(str(book), "-e", "registry_read_only=true")
        assert done.returncode == 0, done.stdout
        assert client.has(REPOSITORY, image)
        pushed = client.http.post(f"/v2/{REPOSITORY}/blobs/uploads/")
        removed = client.http.delete(f"/v2/{REPOSITORY}/manifests/{image}")
        assert {pushed.status_code, removed.status_code} == {httpx.codes.METHOD_NOT_ALLOWED}
    finally:
        back = play(str(book))
    assert back.returncode == 0, back.stdout
    client.image(REPOSITORY, "after", "rt2")


def test_what_nobody_names_goes_and_all_else_stays(
    client: Client, pushed: dict[str, str], scratch: Store, play: Run, on: Run
) -> None:
    name_images(scratch, pushed)
    foretold = play(GC, "--check", "--diff", *PUSHED_NOW)
    assert foretold.returncode == 0, foretold.stdout
    assert f"-{REPOSITORY}@{pushed['old']} rt0" in foretold.stdout
    assert left(client, pushed) == set(pushed)
    done = play(GC, *PUSHED_NOW)
    assert done.returncode == 0, done.stdout
    assert "changed=1" in recap(done)
    wait_for(lambda: client.has(REPOSITORY, pushed["named"]), 30)
    assert left(client, pushed) == set(pushed) - {"old"}
    assert set(client.http.get(f"/v2/{REPOSITORY}/tags/list").json()["tags"]) == {"multi", "rt1", "rt2"}
    name = pushed["old"].removeprefix("sha256:")
    assert on("infra-01", f"sudo test -e {ROOT}/blobs/sha256/{name[:2]}/{name}").returncode != 0
    # Whoever pushes the same layers again gets all of them there: the registry has forgotten what is gone.
    client.image(REPOSITORY, "after", "rt3")
    again = play(GC, *PUSHED_NOW)
    assert again.returncode == 0, again.stdout
    assert "changed=0" in recap(again)


@pytest.mark.lab_slow
def test_what_cannot_be_read_stops_it_before_anything_goes(
    client: Client, pushed: dict[str, str], scratch: Store, play: Run, on: Run
) -> None:
    name_images(scratch, pushed)
    name = pushed["young"].removeprefix("sha256:")
    data = f"{ROOT}/blobs/sha256/{name[:2]}/{name}/data"
    on("infra-01", f"sudo mv {data} {data}.away")
    try:
        done = play(GC, *PUSHED_NOW)
    finally:
        on("infra-01", f"sudo mv {data}.away {data}")
    assert done.returncode != 0
    assert f"manifest {pushed['young']} of {REPOSITORY} cannot be read" in done.stdout
    assert left(client, pushed) == set(pushed)


def test_a_push_that_may_be_going_on_is_waited_for(
    client: Client, pushed: dict[str, str], scratch: Store, play: Run
) -> None:
    name_images(scratch, pushed)
    client.blob(REPOSITORY, f"a layer whose manifest is still to come {time.time()}".encode())
    done = play(GC)
    assert done.returncode != 0
    assert "a push was seen" in done.stdout
    assert left(client, pushed) == set(pushed)


@pytest.mark.lab_slow
def test_a_run_that_is_killed_leaves_nothing_that_the_next_one_does_not_end(
    client: Client, pushed: dict[str, str], scratch: Store, play: Run, on: Run
) -> None:
    name_images(scratch, pushed)
    drop_in = "/run/systemd/system/docker-registry.service.d/drcloud-read-only.conf"
    # It runs in read-only mode from the moment that its process has the setting.
    environ = "/proc/$(systemctl show docker-registry --property=MainPID --value)/environ"
    kill = (
        f"sudo sh -c 'until grep -qsz READONLY {environ}; do :; done; "
        "kill -KILL $(lslocks --noheadings --output PID,PATH | grep registry-gc | cut -d/ -f1)'"
    )
    with subprocess.Popen(["ssh", "-F", str(ssh_config()), "infra-01", f"timeout 300 {kill}"]) as killer:
        done = play(GC, *PUSHED_NOW)
        killer.wait(timeout=60)
    assert done.returncode != 0, done.stdout
    # Pulls are answered, and pushes are refused with an error, not lost.
    wait_for(lambda: client.has(REPOSITORY, pushed["named"]), 20)
    assert client.http.post(f"/v2/{REPOSITORY}/blobs/uploads/").status_code == httpx.codes.METHOD_NOT_ALLOWED
    again = play(GC, *PUSHED_NOW)
    assert again.returncode == 0, again.stdout
    assert left(client, pushed) == set(pushed) - {"old"}
    client.image(REPOSITORY, "after", "rt3")
    assert on("infra-01", f"test -e {drop_in}").returncode != 0


def ssh_config() -> Path:
    return locate().ssh / "lab_config"


def wait_for(what: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if what():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds:.0f} s")
