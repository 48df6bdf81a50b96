"""A real NetBox on loopback: its own PostgreSQL database and Redis, its migrated database kept in a cache."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[3]
TOKEN = "0123456789abcdef0123456789abcdef01234567"
USER = "drcloud-test"
# NetBox itself lies in the user's cache, whatever a test makes of these variables.
ENVIRONMENT = dict(os.environ)
# PostgreSQL stops its children itself; these two must not outlive a killed test run.
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
CONFIGURATION = """
ALLOWED_HOSTS = ["*"]
DATABASES = {{"default": {{"NAME": "netbox", "USER": "{user}", "PASSWORD": "", "HOST": "127.0.0.1",
                           "PORT": "{port}", "CONN_MAX_AGE": 300}}}}
REDIS = {{use: {{"HOST": "127.0.0.1", "PORT": {redis}, "PASSWORD": "", "DATABASE": number, "SSL": False}}
         for number, use in enumerate(("tasks", "caching"))}}
SECRET_KEY = "for-tests-only-" * 5
API_TOKEN_PEPPERS = {{1: "for-tests-only-" * 5}}
RELEASE_CHECK_URL = None
CENSUS_REPORTING_ENABLED = False
ENFORCE_GLOBAL_UNIQUE = False
LOGGING = {{"version": 1, "disable_existing_loggers": True}}
"""
ACCOUNT = f"""
from users.models import Token, User
user = User.objects.create_superuser({USER!r}, password={TOKEN!r})
Token.objects.create(user=user, version=1, token={TOKEN!r})
"""


@contextmanager
def running(postgresql: str, objects: str = "") -> Iterator[str]:
    """Give the URL of a NetBox on a PostgreSQL server of ours; Python in ``objects`` fills it first."""
    installed = subprocess.run(
        ROOT / "scripts/netbox", env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.fail(installed.stderr.strip(), pytrace=False)
    with tempfile.TemporaryDirectory(prefix="drcloud-netbox-") as name, _redis(Path(name)) as redis:
        box = _Box(Path(installed.stdout.strip()), postgresql, Path(name))
        box.configure(redis)
        box.restore()
        if objects:
            box.execute(objects)
        with box.serving() as url:
            yield url


class _Box:
    """An installed NetBox, its configuration and its database."""

    def __init__(self, venv: Path, postgresql: str, directory: Path) -> None:
        self._venv, self._directory = venv, directory
        self._server = urlsplit(postgresql)
        tools = sorted(
            Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), key=lambda path: int(path.parts[-3])
        )
        self._tools = tools[-1].parent
        self._dump = venv.parent / f"{self._version()}-postgresql-{tools[-1].parts[-3]}.sql.gz"

    def _version(self) -> str:
        done = subprocess.run(
            [self._venv / "bin/netbox", "version"], capture_output=True, text=True, check=True
        )
        return done.stdout.strip().replace(" ", "-")

    def configure(self, redis: int) -> None:
        text = CONFIGURATION.format(user=self._server.username, port=self._server.port, redis=redis)
        (self._directory / "netbox_for_tests.py").write_text(text, "utf-8")

    def restore(self) -> None:
        """Fill the database: from the cache in seconds, else by NetBox' own migrations in minutes."""
        self._sql("postgres", "CREATE DATABASE netbox")
        if self._dump.exists():
            self._sql("netbox", gzip.decompress(self._dump.read_bytes()).decode())
            return
        self._manage("migrate", "--no-input")
        self._manage("shell", "-c", ACCOUNT)
        dumped = subprocess.run(
            [self._tools / "pg_dump", *self._connection("netbox"), "--no-owner"],
            capture_output=True,
            check=True,
        )
        new = self._dump.with_suffix(f".{os.getpid()}")
        new.write_bytes(gzip.compress(dumped.stdout))
        new.replace(self._dump)

    def execute(self, code: str) -> None:
        """Run Python inside of NetBox: how many objects are made fast."""
        self._manage("shell", "-c", code)

    @contextmanager
    def serving(self) -> Iterator[str]:
        port = free_port()
        log = self._directory / "log"
        # No shell in between: setpriv binds the server's life to ours.
        command = [*DIES_WITH_US, self._venv / "bin/netbox", "runserver", f"127.0.0.1:{port}"]
        with log.open("w") as output:
            server = subprocess.Popen(
                [*command, "--insecure", "--noreload"], env=self._environment(), stdout=output, stderr=output
            )
            try:
                url = f"http://127.0.0.1:{port}"
                _wait(server, url, log)
                yield url
            finally:
                server.kill()
                server.wait(30)

    def _manage(self, *words: str) -> None:
        # Six CPU-minutes of migrations give way to everything else on the machine.
        done = subprocess.run(
            ["nice", "-n", "19", *DIES_WITH_US, self._venv / "bin/netbox", *words],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(
                f"netbox {words[0]} failed: {done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False
            )

    def _environment(self) -> dict[str, str]:
        added = {"PYTHONPATH": str(self._directory), "NETBOX_CONFIGURATION": "netbox_for_tests"}
        return {**ENVIRONMENT, **added}

    def _sql(self, database: str, text: str) -> None:
        command = [self._tools / "psql", *self._connection(database), "-q", "-v", "ON_ERROR_STOP=1"]
        subprocess.run(command, input=text, capture_output=True, text=True, check=True)

    def _connection(self, database: str) -> list[str]:
        server = self._server
        return ["-h", str(server.hostname), "-p", str(server.port), "-U", str(server.username), database]


@contextmanager
def _redis(directory: Path) -> Iterator[int]:
    port = free_port()
    options = f"--port {port} --bind 127.0.0.1 --appendonly no --dir {directory}".split()
    server = subprocess.Popen(
        [*DIES_WITH_US, "redis-server", *options, "--save", ""], stdout=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        server.kill()
        server.wait(30)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    request = Request(f"{url}/api/status/", headers={"Authorization": f"Token {TOKEN}"})
    deadline = time.monotonic() + 180
    while True:
        try:
            with urlopen(request, timeout=30):
                return
        except URLError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(
                    f"NetBox does not serve: {error}: {log.read_text('utf-8')[-4000:]}", pytrace=False
                )
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
