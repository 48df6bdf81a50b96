"""A scratch PostgreSQL from Debian's packages, and a CMDB on either engine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drcloud.cmdb.store import Store


def _binaries() -> Path:
    """Return the directory of the newest server; fail without one, for a skipped test looks passed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("these tests need PostgreSQL: apt-get install postgresql")
    return found[-1].parent


def _as_postgres(*command: str | Path) -> None:
    """Run a command as a user that PostgreSQL accepts: it refuses root."""
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
    # Files, not pipes: the server inherits them and would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(words, cwd="/", stdout=output, stderr=output, check=False, timeout=120)
        output.seek(0)
        if done.returncode:
            pytest.fail(f"{words[-1]} failed: {output.read()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Give the URL of a scratch server on loopback, without its database."""
    binaries = _binaries()
    directory = Path(tempfile.mkdtemp(prefix="drcloud-pg-"))
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    data, port = directory / "data", _free_port()
    try:
        _as_postgres(
            binaries / "initdb", "-D", data, "-U", "drcloud", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"
        )
        settings = (
            f"-c listen_addresses=127.0.0.1 -p {port} -k {directory} -c fsync=off -c max_connections=100"
        )
        _as_postgres(binaries / "pg_ctl", "-D", data, "-w", "-l", directory / "log", "-o", settings, "start")
        yield f"postgresql://drcloud@127.0.0.1:{port}"
    finally:
        if (data / "postmaster.pid").exists():
            _as_postgres(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def cmdb_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a new, empty CMDB on each engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/cmdb.sqlite3"
    else:
        url = _new_database(request.getfixturevalue("postgresql"))
    Store.create(url)
    return url


def _new_database(server: str) -> str:
    import psycopg

    name = f"cmdb_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server}/{name}"
