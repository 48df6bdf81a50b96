"""A scratch PostgreSQL from Debian's packages, and a CMDB on either engine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drcloud.cmdb.store import Store


def _binaries() -> Path:
    """Return the directory of the newest server; fail without one, for a skipped test looks passed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("these tests need PostgreSQL: apt-get install postgresql")
    return found[-1].parent


def _as_postgres(*command: str | Path) -> list[str]:
    """Return the command for a user that PostgreSQL accepts (it refuses root); it dies with this process."""
    words = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() == 0:
        words += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [*words, *(str(word) for word in command)]


def _serves(port: int) -> bool:
    """Tell whether the server takes connections: it listens before it does."""
    import psycopg

    try:
        psycopg.connect(f"postgresql://drcloud@127.0.0.1:{port}/postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def _server(binaries: Path, directory: Path) -> Iterator[int]:
    """Run a server on a new cluster in the directory; give its port once it takes connections."""
    data, log = directory / "data", directory / "log"
    initdb = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "drcloud",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "-A",
        "trust",
        "--no-sync",
    ]
    with log.open("w") as output:
        subprocess.run(_as_postgres(*initdb), cwd="/", stdout=output, stderr=output, check=True, timeout=120)
        # Chosen last: for as long as nobody listens there, others may take it.
        port = _free_port()
        settings = f"listen_addresses=127.0.0.1 port={port} fsync=off max_connections=200".split()
        options = [word for setting in settings for word in ("-c", setting)]
        server = subprocess.Popen(
            _as_postgres(binaries / "postgres", "-D", data, "-k", directory, *options),
            cwd="/",
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 60
            while not _serves(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL does not start: {log.read_text('utf-8')}")
                time.sleep(0.1)
            yield port
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server() -> Iterator[str]:
    """Give the URL of a scratch server on loopback, without its database."""
    with tempfile.TemporaryDirectory(prefix="drcloud-pg-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        with _server(_binaries(), directory) as port:
            yield f"postgresql://drcloud@127.0.0.1:{port}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Give the URL of a scratch server on loopback, without its database."""
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def cmdb_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a new, empty CMDB on each engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/cmdb.sqlite3"
    else:
        url = new_database(request.getfixturevalue("postgresql"))
    Store.create(url)
    return url


def new_database(server: str) -> str:
    """Return the URL of a new, empty database of a server."""
    import psycopg

    name = f"cmdb_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server}/{name}"
