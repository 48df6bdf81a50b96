"""``drcloud logs``: what it refuses before a log server is asked, and what it leaves when it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb import importer
from drcloud.cmdb.store import Store

SERVER = """\
drcloud: 1
tags: [{name: log-server}]
hosts: [{name: infra-01, role: infra, address: 10.90.0.31, tags: [log-server]}]
"""
# Says one line, and then nothing, whoever asks it to end.
SSH = """\
#!/bin/sh
trap '' TERM HUP
echo $$ > "$SPOKEN"
echo '{"time": "2026-11-23T00:00:01", "host": "dk-01", "message": "hello"}'
for _ in $(seq 60); do sleep 1; done
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dmeo", "--env", "qa"], "demo"),
        (["demo", "--env", "nowhere"], "nowhere"),
        (["demo"], "--env prod"),
        ([], "--host"),
        (["--host", "dk-99"], "dk-99"),
        (["--host", "dk-01", "--env", "qa"], "--env goes with an app"),
        (["demo", "--env", "qa", "--since", "soon"], "is no moment"),
    ],
)
def test_what_cannot_be_read_is_bad_usage(
    filled: Store, drcloud: Callable[..., tuple[int, str, str]], arguments: list[str], message: str
) -> None:
    code, shown, said = drcloud("logs", *arguments)
    assert (code, shown) == (2, "")
    assert message in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_following_leaves_neither_ssh_nor_its_configuration(
    filled: Store, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "server.yml").write_text(SERVER, encoding="utf-8")
    importer.import_files(filled, importer.Request((tmp_path / "server.yml",)))
    programs, temporary, spoken = tmp_path / "bin", tmp_path / "tmp", tmp_path / "pid"
    programs.mkdir()
    temporary.mkdir()
    (programs / "ssh").write_text(SSH, encoding="utf-8")
    (programs / "ssh").chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_INVENTORY")},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "SPOKEN": str(spoken),
    }
    # Whatever started the tests may ignore SIGHUP, as nohup does, and the command respects that.
    default = ["env", f"--default-signal={number.name.removeprefix('SIG')}"]
    command = [*default, sys.executable, "-m", "drcloud", "logs", "--host", "dk-01", "--follow"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as following:  # type: ignore[call-overload]
        assert following.stdout is not None
        assert "hello" in following.stdout.readline()
        assert len(list(temporary.glob("drcloud-logs-*"))) == 1
        following.send_signal(number)
        try:
            assert following.communicate(timeout=30) == ("", "")
        finally:
            following.kill()
    assert following.returncode == 0
    assert list(temporary.iterdir()) == []
    deadline = time.monotonic() + 20
    while Path(f"/proc/{spoken.read_text().strip()}/cmdline").exists():
        assert time.monotonic() < deadline, "ssh is still there"
        time.sleep(0.05)
