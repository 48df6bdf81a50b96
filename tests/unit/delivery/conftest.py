"""A CMDB with one app on six hosts behind two load balancers."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from drcloud.cmdb import importer
from drcloud.cmdb.snapshot import RegistryRow
from drcloud.cmdb.store import Store
from drcloud.delivery import target
from drcloud.delivery.registry import Registry

LAYER = f"sha256:{'e' * 64}"
CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [LAYER]}}).encode()
MANIFEST = json.dumps(
    {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"},
        "layers": [{"digest": f"sha256:{'f' * 64}", "size": 5_000_000}],
    }
).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
HOSTS = "".join(
    f"  - {{name: dk-0{n}, role: docker, rack: lab/r1/a0{(n + 1) // 2}, state: active, "
    f"address: 10.90.0.1{n}}}\n"
    for n in range(1, 7)
)
IDC = textwrap.dedent("""\
    drcloud: 1
    idcs:
      - {code: lab, name: Lab, rooms: [{code: r1, racks: [a01, a02, a03]}]}
    environments: [{name: qa}, {name: prod}]
    prefixes: [{cidr: 10.90.0.0/24, idc: lab}]
    registries:
      - {name: main, endpoint: "registry.test:5000", username: drcloud, password: "env:REGISTRY_PASSWORD"}
    hosts:
      - {name: lb-01, role: lb, state: active, address: 10.90.0.21}
      - {name: lb-02, role: lb, state: active, address: 10.90.0.22}
    #HOSTS
    apps:
      - name: demo
        spec: {image: dianrong/demo, port: 8080, env: {A: "1"}, overrides: {prod: {env: {A: "2"}}}}
    placements:
      - app: demo
        env: prod
        hosts: [dk-01, dk-02, dk-03, dk-04, dk-05, dk-06]
        min_in_service: 4
        batch: 2
        lb_port: 8080
        lbs: [lb-01, lb-02]
    """)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a CMDB that holds the placement."""
    url = f"sqlite:///{tmp_path}/cmdb.sqlite3"
    monkeypatch.setenv("DRCLOUD_CMDB_URL", url)
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret")
    store = Store.create(url)
    file = tmp_path / "idc.yml"
    file.write_text(IDC.replace("#HOSTS\n", HOSTS), encoding="utf-8")
    importer.import_files(store, importer.Request((file,)))
    return store


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return what puts a registry of one small image, up or silent, in the place of that of the CMDB."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = {
            f"manifests/{DIGEST}": MANIFEST,
            f"blobs/sha256:{hashlib.sha256(CONFIG).hexdigest()}": CONFIG,
        }
        known = {f"/v2/dianrong/demo/{name}": content for name, content in found.items()}
        if request.url.path not in known:
            return httpx.Response(404)
        return httpx.Response(200, content=known[request.url.path])

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    def place(up: bool) -> None:
        def of(row: RegistryRow, *, quick: bool = False) -> Registry:
            return Registry(row.name, row.endpoint, transport=httpx.MockTransport(answer if up else silent))

        monkeypatch.setattr(target.Registry, "of", of)

    return place
