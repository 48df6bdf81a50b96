"""A CMDB of its own for every test, and a small IDC to fill it with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cli import border
from drcloud.cli.main import app
from drcloud.cmdb import importer
from drcloud.cmdb.store import Store

IDC = """\
drcloud: 1
idcs:
  - code: bj1
    name: 北京一号机房
    rooms:
      - {code: r1, name: 东侧, racks: [a01, a02]}
environments: [{name: qa}, {name: prod}]
prefixes:
  - {cidr: 10.90.0.0/24, idc: bj1}
registries:
  - {name: main, host: infra-01, username: drcloud, password: "file:${STATE}/password", ca: "env:CA"}
hosts:
  - name: dk-01
    role: docker
    rack: bj1/r1/a01
    address: 10.90.0.11
    ssh: {user: ops, via: bastion-01}
    block_devices: [{serial: S-1, purpose: docker-data}, {path: /dev/sdb, purpose: spare}]
    serial: SN-1
    attrs: {owner: 张三, note: "{{ lookup('pipe', 'id') }}"}
  - {name: dk-02, role: docker, rack: bj1/r1/a02, address: 10.90.0.12, ssh: {user: ops, via: bastion-01}}
  - {name: lb-01, role: lb, rack: bj1/r1/a01, address: 10.90.0.21}
  - {name: infra-01, role: infra, rack: bj1/r1/a02, address: 10.90.0.31}
  - {name: bastion-01, role: bastion, address: 10.90.0.5, ssh: {user: ops, port: 2222}}
apps:
  - name: demo
    spec: {image: dianrong/demo, port: 8080, env: {A: "1"}, overrides: {prod: {env: {A: "2"}}}}
placements:
  - {app: demo, env: prod, hosts: [dk-02, dk-01], min_in_service: 1, lb_port: 8080, lbs: [lb-01]}
schedules:
  - {name: nightly, playbook: dianrong.cloud.compliance, calendar: "*-*-* 02:30:00"}
"""


@pytest.fixture(scope="session")
def empty_cmdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated CMDB to copy, for migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("cmdb") / "empty.sqlite3"
    Store.create(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(empty_cmdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "cmdb.sqlite3"
    shutil.copy(empty_cmdb, path)
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture
def store(url: str) -> Store:
    return Store.open(url)


@pytest.fixture
def idc(tmp_path: Path) -> Path:
    path = tmp_path / "idc.yml"
    path.write_text(IDC, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def filled_cmdb(empty_cmdb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CMDB with the small IDC in it to copy, for importing takes longer than most tests."""
    folder = tmp_path_factory.mktemp("filled")
    shutil.copy(empty_cmdb, folder / "cmdb.sqlite3")
    (folder / "idc.yml").write_text(IDC, encoding="utf-8")
    importer.import_files(
        Store.open(f"sqlite:///{folder}/cmdb.sqlite3"), importer.Request((folder / "idc.yml",))
    )
    return folder / "cmdb.sqlite3"


@pytest.fixture
def filled(filled_cmdb: Path, url: str) -> Store:
    shutil.copy(filled_cmdb, url.removeprefix("sqlite:///"))
    return Store.open(url)


@pytest.fixture
def drcloud(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> Callable[..., tuple[int, str, str]]:
    """Run commands as the entry point does; return the exit code and what was printed."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["drcloud", *words])
        code = border.guarded(app)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run
