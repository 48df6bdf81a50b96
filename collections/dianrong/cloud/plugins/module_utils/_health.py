# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an instance works: asked over HTTP from its own host, long enough to believe it."""

from __future__ import annotations

import http.client
import time

QUICK = 0.2
BODY = 200


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


def wait(state, target, health):
    """Wait until the instance is healthy; UnhealthyError says why it never was.

    C(state) returns None while the container runs, else what happened to it; C(target) is (address, port).
    """
    watch = Watch(health, time.monotonic())
    while True:
        gone = state()
        if gone is not None:
            raise UnhealthyError(gone)
        if watch.see(probe(target[0], target[1], health["path"], health["timeout"]), time.monotonic()):
            return
        time.sleep(watch.pause())
