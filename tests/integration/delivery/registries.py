"""A real registry of Debian's package on loopback, with TLS of its own authority and accounts."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.integration.doctor.conftest import Authority

from ansible_collections.dianrong.cloud.plugins.modules.registry_users import new_hash

USER, PASSWORD = "drcloud", "correct horse"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
PROGRAM = "docker-registry"


class RealRegistry:
    """A registry process; ``start`` and ``stop`` it as often as wanted, it keeps port and images."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.authority = authority
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.endpoint = f"127.0.0.1:{probe.getsockname()[1]}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        trust = ssl.create_default_context(cafile=str(authority.ca))
        self.http = httpx.Client(
            base_url=f"https://{self.endpoint}", verify=trust, auth=(USER, PASSWORD), trust_env=False
        )

    def start(self, *, read_only: bool = False) -> None:
        """Start it and wait until it answers."""
        if shutil.which(PROGRAM) is None:
            pytest.fail("these tests need a registry: apt-get install docker-registry")
        self._configure(read_only)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", PROGRAM, "serve", str(self._directory / "config.yml")],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the registry does not start: {(self._directory / 'log').read_text('utf-8')}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; its images stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def image(self, repository: str, name: str, tag: str | None, architecture: str = "amd64") -> str:
        """Push an image of one layer and return its digest."""
        content = name.encode() * 100
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]}
        document = {"os": "linux", "architecture": architecture, "rootfs": rootfs}
        config = self._blob(repository, json.dumps(document).encode())
        layer = self._blob(repository, content)
        return self.manifest(repository, tag, {"config": config, "layers": [layer]}, IMAGE)

    def index(self, repository: str, name: str, tag: str, *architectures: str) -> tuple[str, bytes]:
        """Push an index made by hand, odd white space included; return its digest and its bytes."""
        entries = [
            {
                "mediaType": IMAGE,
                "digest": self.image(repository, f"{name} {one}", None, one),
                "size": 1,
                "platform": {"os": "linux", "architecture": one},
            }
            for one in architectures
        ]
        for entry in entries:
            entry["size"] = len(self.get(repository, str(entry["digest"])).content)
        body = json.dumps({"manifests": entries, "mediaType": INDEX, "schemaVersion": 2}, indent=7).encode()
        return self._put(repository, tag, body, INDEX), body

    def manifest(self, repository: str, tag: str | None, document: dict[str, Any], kind: str) -> str:
        """Push a manifest and return its digest."""
        return self._put(
            repository, tag, json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode(), kind
        )

    def get(self, repository: str, reference: str) -> httpx.Response:
        """Ask for a manifest."""
        return self.http.get(
            f"/v2/{repository}/manifests/{reference}", headers={"Accept": f"{IMAGE}, {INDEX}"}
        )

    def serves(self, repository: str, tag: str) -> str | None:
        """Return the digest that a tag names, None without one."""
        answer = self.get(repository, tag)
        return None if answer.status_code == httpx.codes.NOT_FOUND else digest(answer.content)

    def log(self) -> str:
        """Return what it wrote so far."""
        return (self._directory / "log").read_text("utf-8")

    def _put(self, repository: str, tag: str | None, body: bytes, kind: str) -> str:
        place = f"/v2/{repository}/manifests/{tag or digest(body)}"
        self.http.put(place, content=body, headers={"Content-Type": kind}).raise_for_status()
        return digest(body)

    def _blob(self, repository: str, content: bytes) -> dict[str, Any]:
        begun = self.http.post(f"/v2/{repository}/blobs/uploads/")
        begun.raise_for_status()
        place = httpx.URL(begun.headers["Location"]).copy_add_param("digest", digest(content))
        self.http.put(place, content=content).raise_for_status()
        return {"mediaType": "application/octet-stream", "size": len(content), "digest": digest(content)}

    def _answers(self) -> bool:
        try:
            return self.http.get("/v2/").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _configure(self, read_only: bool) -> None:
        users = self._directory / "htpasswd"
        if not users.exists():
            users.write_text(f"{USER}:{new_hash(PASSWORD)}\n", encoding="utf-8")
        served = str(self.authority.served)
        config = {
            "version": 0.1,
            "storage": {
                "filesystem": {"rootdirectory": str(self._directory / "images")},
                "maintenance": {"readonly": {"enabled": read_only}},
            },
            "http": {"addr": self.endpoint, "tls": {"certificate": served, "key": served}},
            "auth": {"htpasswd": {"realm": "test", "path": str(users)}},
        }
        (self._directory / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")


def digest(content: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
