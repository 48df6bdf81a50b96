"""The log servers, and a line to each: the program goes there over SSH, and what it reads comes back."""

from __future__ import annotations

import heapq
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from drcloud.cmdb.snapshot import Snapshot
from drcloud.errors import DrcloudError, NothingMatchedError, UnreachableError
from drcloud.logs import program
from drcloud.logs.request import Request

TAG = "log-server"
SOURCE = Path(program.__file__).read_text(encoding="utf-8")
SSH_FAILED = 255
NOTE = "note: "
CAUSE = "ssh: "
# The remote shell sees a length and nothing else; what a user gave travels as data on standard input.
COMMAND = "sudo -n python3 -I -c 'import sys; exec(sys.stdin.buffer.read({}).decode())'"


def named(snapshot: Snapshot) -> list[str]:
    """Return the names of the log servers, which are the hosts of a tag."""
    found = sorted(row.name for row in snapshot.hosts if TAG in row.tags)
    if not found:
        raise NothingMatchedError(
            f"the CMDB has no log server: give a host `tags: [{TAG}]` in its file, import and provision it"
        )
    return found


def bastions(snapshot: Snapshot) -> dict[str, str]:
    """Return the host that each host is reached through, of those that have one."""
    return {row.name: row.ssh_via for row in (*snapshot.hosts, *snapshot.others) if row.ssh_via}


class Line:
    """A connection to one log server."""

    def __init__(self, server: str, config: Path, bastion: str | None = None) -> None:
        """Connect; the fleet's configuration says how long the server may take to answer."""
        self.server = server
        self._way = f" through bastion {bastion}" if bastion else ""
        # What the server says of itself, known when the answer has ended.
        self.note = ""
        self.hung_up = False
        sent = SOURCE.encode()
        words = ["ssh", "-F", str(config), "-o", "BatchMode=yes", server, COMMAND.format(len(sent))]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        self._sent = sent

    def ask(self, request: Request) -> Iterator[dict[str, Any]]:
        """Yield the records that come back; raises what the server's answer means when it ends."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None  # noqa: S101 - for mypy; Popen was told so
        assert stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):  # ssh says why, when it ends
            stdin.write(self._sent + request.text().encode())
            stdin.flush()
        for line in stdout:
            yield record(line, self.server)
        self._ended(request)

    def _ended(self, request: Request) -> None:
        code = self.process.wait()
        # A way in that ssh gave up waiting for holds its standard error open for as long as TCP tries.
        self._end_the_ways_in()
        said = self.process.stderr.read().decode(errors="replace") if self.process.stderr else ""
        self.note = next((line[len(NOTE) :] for line in said.splitlines() if line.startswith(NOTE)), "")
        words = _reason([line.strip() for line in said.splitlines() if line.strip()])
        what = f"{request.app} in {request.env}" if not request.app.startswith("_") else "these hosts"
        match code:
            case 0:
                return
            case program.NOTHING:
                raise NothingMatchedError(f"log server {self.server} has never heard of {what}")
            case program.NO_SERVER:
                raise NothingMatchedError(
                    f"host {self.server} is tagged {TAG} but keeps no log yet: "
                    f"drcloud run dianrong.cloud.provision --limit {self.server}"
                )
            case code if code == SSH_FAILED:
                raise UnreachableError(f"log server {self.server} does not answer{self._way}: {words}")
            case code:
                raise DrcloudError(
                    f"log server {self.server} cannot read its files (exit code {code}): {words}"
                )

    def close(self) -> None:
        """Hang up; the program there ends with its input.

        ssh and the ways in that it started are ended first: over a dead connection nothing else ends them,
        and closing a pipe waits for the thread that reads it.
        """
        self.hung_up = True
        self._end_the_ways_in()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _end_the_ways_in(self) -> None:
        """End ssh and what it started; they are a process group of their own."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _reason(said: list[str]) -> str:
    """Return why a line broke: behind a bastion, the first ssh knows, and the last one only that it ended."""
    why = next((line for line in said if line.startswith(CAUSE)), None)
    return why or (said[-1] if said else "it says nothing")


def record(line: bytes, server: str) -> dict[str, Any]:
    """Return a line as a record; one that is damaged becomes its own message."""
    text = line.decode("utf-8", "replace").rstrip("\n")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": text, "host": server, "damaged": True}


@contextmanager
def connected(
    servers: list[str], config: Path, through: Mapping[str, str] | None = None
) -> Iterator[list[Line]]:
    """Have a line to each server for a while; ``through`` names the bastions of those behind one."""
    with ExitStack() as stack:
        lines = []
        for server in servers:
            line = Line(server, config, (through or {}).get(server))
            stack.callback(line.close)
            lines.append(line)
        yield lines


def read(lines: list[Line], request: Request) -> Iterator[dict[str, Any]]:
    """Yield what all servers have, in the order of time; with follow, as it comes.

    A server that fails is told of after what the others have. That one of several never heard of the app
    is no failure.
    """
    failures: list[DrcloudError] = []
    streams = [_until_failure(line, request, failures) for line in lines]
    if request.follow:
        yield from _as_it_comes(streams)
    else:
        merged = heapq.merge(*streams, key=lambda found: str(found.get("time", "")))
        yield from merged
    serious = [one for one in failures if not isinstance(one, NothingMatchedError)]
    if serious or len(failures) == len(lines):
        raise (serious or failures)[0]


def _until_failure(line: Line, request: Request, failures: list[DrcloudError]) -> Iterator[dict[str, Any]]:
    try:
        yield from line.ask(request)
    except DrcloudError as error:
        failures.append(error)
    except ValueError:
        # A pipe was closed under the thread that reads it: nobody wants the rest.
        if not line.hung_up:
            raise


def _as_it_comes(streams: list[Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield from all streams at once; ends when one of them does, for then something is missing."""
    arrived: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=1000)

    def carry(stream: Iterator[dict[str, Any]]) -> None:
        for found in stream:
            arrived.put(found)
        arrived.put(None)

    for stream in streams:
        threading.Thread(target=carry, args=(stream,), daemon=True).start()
    while (found := arrived.get()) is not None:
        yield found
