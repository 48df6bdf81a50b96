# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an instance works: asked from its own host, long enough to believe it.

Over HTTP, by a connection, or by a command in its container.
"""

from __future__ import annotations

import http.client
import socket
import time

QUICK = 0.2
BODY = 200
# Seconds that a connection must outlive before it counts.
SILENCE = 0.2


class UnhealthyError(Exception):
    """The instance did not become healthy; the message says what was seen last."""


def probe(address, port, path, timeout):
    """Return None where the answer is 2xx, else what is wrong with it.

    A redirect is no answer: whoever is asked for health must give it.
    """
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"User-Agent": "drcloud-health"})
        answer = connection.getresponse()
        body = answer.read(BODY)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error or type(error).__name__})"
    finally:
        connection.close()
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return "HTTP {}, a redirect to {}".format(answer.status, answer.headers.get("Location", "nowhere"))
    return "HTTP {} {}".format(answer.status, " ".join(body.decode("utf-8", "replace").split())).strip()


def connects(address, port, timeout):
    """Return None where a connection comes about, else what is wrong with it.

    The engine's port proxy takes connections for a container that listens to none, and ends them at once:
    one that is closed without a word right away is no answer.
    """
    try:
        connection = socket.create_connection((address, port), timeout=timeout)
    except OSError as error:
        return f"no connection ({error})"
    with connection:
        connection.settimeout(min(timeout, SILENCE))
        try:
            closed = connection.recv(1) == b""
        except socket.timeout:
            return None  # it waits for the other side to begin, as most do
        except OSError as error:
            return f"no connection ({error})"
    return "the connection was closed at once" if closed else None


def runs(execute, command, timeout):
    """Return None where a command in the container ends with 0 in time, else what is wrong.

    C(execute) runs it: of (command, timeout) it makes (exit code or None, what it wrote).
    """
    code, output = execute(command, timeout)
    said = " ".join(output.decode("utf-8", "replace").split())[-BODY:]
    if code == 0:
        return None
    ended = f"did not end within {timeout:g} s" if code is None else f"ended with exit code {code}"
    return f"{command[0]} {ended}{': ' if said else ''}{said}"


def ask(health, address, port, execute):
    """Return None where an instance works, else what is wrong; C(health) says which of the ways to go.

    C(execute) runs a command in its container, as C(runs) wants it.
    """
    if health["kind"] == "tcp":
        return connects(address, port, health["timeout"])
    if health["kind"] == "http":
        return probe(address, port, health["path"], health["timeout"])
    return runs(execute, health["command"], health["timeout"])


class Watch:
    """Decides from one observation after the other; knows no clock but the one it is given."""

    def __init__(self, health, started):
        self.health = health
        self.started = started
        self.healthy_since = None
        self.failures = 0
        self.last = "nothing yet"

    @property
    def limit(self):
        """The moment by which an instance that comes and goes has had its chances."""
        health = self.health
        tries = health["retries"] * (health["interval"] + health["timeout"])
        return self.started + health["start_period"] + tries + 2 * health["min_healthy"]

    def see(self, wrong, now):
        """Take in one observation; return True once it is healthy for good, raise UnhealthyError if never."""
        if wrong is None:
            self.failures = 0
            if self.healthy_since is None:
                self.healthy_since = now
            return now - self.healthy_since >= self.health["min_healthy"]
        self.last = wrong
        self.healthy_since = None
        self.failures += 1
        waited = now - self.started
        if (
            waited >= self.health["start_period"] and self.failures >= self.health["retries"]
        ) or now > self.limit:
            raise UnhealthyError(f"not healthy after {waited:.0f} s: {wrong}")
        return False

    def pause(self):
        """Return how long to wait before the next look, in seconds."""
        if self.healthy_since is None:
            return QUICK
        return min(self.health["interval"], max(QUICK, self.health["min_healthy"] / 4))


def wait(state, look, health):
    """Wait until the instance is healthy; UnhealthyError says why it never was.

    C(state) returns None while the container runs, else what happened to it; C(look) returns None where it
    is healthy now, else what is wrong.
    """
    watch = Watch(health, time.monotonic())
    while True:
        gone = state()
        if gone is not None:
            raise UnhealthyError(gone)
        if watch.see(look(), time.monotonic()):
            return
        time.sleep(watch.pause())
