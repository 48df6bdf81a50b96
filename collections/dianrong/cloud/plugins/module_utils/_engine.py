# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Engine API over its Unix socket: small, standard library only, and it starts in no time.

The Docker SDK for Python costs a quarter of a second of CPU to import; a roll calls a module three
times per host.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import struct
import time
from urllib.parse import quote, urlencode

from ansible_collections.dianrong.cloud.plugins.module_utils._unix_http import UnixConnection

SOCKET = "/var/run/docker.sock"
TIMEOUT = 60
PULL_SILENCE = 120
LOG_LINES = 20
# How many lines back the end of an instance is looked for that was started again since.
REACH = 2000
# Bytes of what a command writes that are kept.
OUTPUT = 4096
# What the engine says for a port that is published on all addresses.
EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, never bound
FRAME = struct.Struct(">BxxxL")


class EngineError(Exception):
    """The engine refused or did not answer; ``status`` is the HTTP status, 0 without an answer."""

    def __init__(self, message, status=0):
        super().__init__(message)
        self.status = status


class RegistryError(Exception):
    """The engine could not get an image from its registry."""


class Engine:
    """One engine. Each method is one request; errors are EngineError with the engine's own words."""

    def __init__(self, path=SOCKET):
        self.path = path

    def info(self):
        """Return what the engine says of itself, its effective configuration included."""
        return self._json("GET", "/info")

    def version(self):
        """Return the engine's versions."""
        return self._json("GET", "/version")

    def containers(self, label):
        """Return all containers that carry a label, inspected; stopped ones too."""
        query = {"all": "1", "filters": json.dumps({"label": [label]})}
        listed = self._json("GET", "/containers/json", query)
        inspected = (self.inspect(entry["Id"]) for entry in listed)
        return [container for container in inspected if container is not None]

    def running(self):
        """Return all containers that run, anybody's, inspected."""
        inspected = (self.inspect(entry["Id"]) for entry in self._json("GET", "/containers/json"))
        return [container for container in inspected if container is not None]

    def everybody(self):
        """Return all containers of anybody, stopped ones too, inspected."""
        listed = self._json("GET", "/containers/json", {"all": "1"})
        inspected = (self.inspect(entry["Id"]) for entry in listed)
        return [container for container in inspected if container is not None]

    def image(self, image):
        """Return an image, inspected, or None where it has gone."""
        try:
            return self._json("GET", f"/images/{quote(image)}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def network_list(self):
        """Return all networks, as the engine lists them."""
        return self._json("GET", "/networks")

    def published(self):
        """Return who publishes which host port: a list of (container name, address, port)."""
        return [
            (entry["Names"][0].lstrip("/"), port.get("IP") or EVERYWHERE, port["PublicPort"])
            for entry in self._json("GET", "/containers/json")
            for port in entry.get("Ports") or []
            if port.get("PublicPort")
        ]

    def inspect(self, container):
        """Return the container, or None where it has gone."""
        try:
            return self._json("GET", f"/containers/{quote(container)}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def has_image(self, image):
        """Tell whether this image, named by digest, is on the host."""
        return self.image(image) is not None

    def layers(self):
        """Return the digests of the contents of all layers that are on the host."""
        images = self._json("GET", "/images/json", {"all": "1"})
        inspected = (self._json("GET", "/images/{}/json".format(quote(image["Id"]))) for image in images)
        return {layer for image in inspected for layer in (image.get("RootFS") or {}).get("Layers") or ()}

    def ask_registry(self, image, credentials):
        """Ask the image's registry whether this host may have it, and pull nothing; RegistryError if not."""
        path = f"/distribution/{quote(image)}/json"
        try:
            with self._response("GET", path, headers=_auth(credentials)) as answer:
                answer.read()
        except (EngineError, OSError, http.client.HTTPException) as error:
            raise RegistryError(f"could not pull {image}: {error}") from error

    def pull(self, image, credentials):
        """Pull an image named by digest; RegistryError where that fails."""
        repository, _at, digest = image.partition("@")
        query = {"fromImage": repository, "tag": digest}
        try:
            with self._response(
                "POST", "/images/create", query, headers=_auth(credentials), timeout=PULL_SILENCE
            ) as answer:
                for line in answer:
                    progress = json.loads(line)
                    if "error" in progress:
                        raise RegistryError("cannot pull {}: {}".format(image, progress["error"]))
        except (EngineError, OSError, http.client.HTTPException) as error:
            raise RegistryError(f"cannot pull {image}: {error}") from error

    def create(self, name, payload):
        """Create a container and return its id."""
        return self._json("POST", "/containers/create", {"name": name}, payload)["Id"]

    def start(self, container):
        """Start a container."""
        self._done("POST", f"/containers/{quote(container)}/start")

    def stay_stopped(self, container):
        """Have a container that is stopped not be started again with the engine."""
        policy = {"RestartPolicy": {"Name": "unless-stopped"}}
        self._json("POST", f"/containers/{quote(container)}/update", None, policy)

    def stop(self, container, grace):
        """Stop a container: its stop signal, then SIGKILL after C(grace) seconds."""
        path = f"/containers/{quote(container)}/stop"
        self._done("POST", path, {"t": int(grace)}, timeout=TIMEOUT + grace)

    def remove(self, container):
        """Remove a container, running or not; gone already is as good."""
        try:
            self._done("DELETE", f"/containers/{quote(container)}", {"force": "1"})
        except EngineError as error:
            if error.status != 404:
                raise

    def execute(self, container, command, timeout):
        """Run a command in a container; return its exit code and what it wrote, None where time ran out.

        What does not end within C(timeout) seconds is killed, for the next look comes soon.
        """
        wanted = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        made = self._json("POST", f"/containers/{quote(container)}/exec", body=wanted)["Id"]
        path = f"/exec/{quote(made)}"
        try:
            with self._response(
                "POST", f"{path}/start", body={"Detach": False, "Tty": False}, timeout=timeout
            ) as answer:
                output = unframe(_until(answer, time.monotonic() + timeout))
        except OSError:
            self._kill(path)
            return None, b""
        return self._exit_code(path), output

    def _exit_code(self, path):
        """Return how a command ended; its output ends a moment earlier."""
        for _look in range(20):
            state = self._json("GET", f"{path}/json")
            if not state.get("Running") and state.get("ExitCode") is not None:
                break
            time.sleep(0.05)
        return state.get("ExitCode")

    def _kill(self, path):
        """Kill a command; the engine tells its number on the host, and has no request for that."""
        state = self._json("GET", f"{path}/json")
        if state.get("Running") and state.get("Pid"):
            with contextlib.suppress(OSError):
                os.kill(state["Pid"], signal.SIGKILL)

    def logs(self, container, lines=LOG_LINES, before=""):
        """Return the last lines that a container wrote; none where its log driver keeps none.

        With C(before), a time as the engine tells it (RFC 3339, UTC), those that are older, if any is.
        """
        query = {"stdout": "1", "stderr": "1", "tail": str(REACH if before else lines)}
        if before:
            query["timestamps"] = "1"
        try:
            with self._response("GET", f"/containers/{quote(container)}/logs", query) as answer:
                found = unframe(answer.read()).decode("utf-8", "replace").splitlines()
        except (EngineError, OSError, http.client.HTTPException):
            return []
        return (older(found, before) if before else found)[-lines:]

    def _json(self, method, path, query=None, body=None):
        with self._response(method, path, query, body) as answer:
            return json.loads(answer.read().decode("utf-8"))

    def _done(self, method, path, query=None, timeout=TIMEOUT):
        with self._response(method, path, query, timeout=timeout) as answer:
            answer.read()

    def _response(self, method, path, query=None, body=None, headers=None, timeout=TIMEOUT):
        connection = UnixConnection(self.path, timeout)
        headers = dict(headers or {})
        data = None
        if body is not None:
            data = json.dumps(body).encode("utf-8")
            headers["Content-Type"] = "application/json"
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise EngineError(f"the engine behind {self.path} does not answer: {error}") from error
        if response.status >= 400:
            raise EngineError(_said(response), response.status)
        return response


def _auth(credentials):
    if not credentials:
        return {}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()}


def _until(answer, deadline):
    """Return the end of a stream; TimeoutError where it goes on after the deadline."""
    found = b""
    while True:
        part = answer.read1(65536)
        if not part:
            return found
        found += part
        if len(found) > 16 * OUTPUT:
            raise TimeoutError("it writes without end")
        if time.monotonic() > deadline:
            raise TimeoutError("it does not end")


def _said(response):
    text = response.read().decode("utf-8", "replace")
    try:
        return json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        return text.strip() or f"HTTP status {response.status}"


def older(lines, before):
    """Return the lines that begin with an older time, without it; all of them where none does. Pure."""
    stamped = [line.partition(" ") for line in lines]
    # A fraction of a second may have fewer digits on one side: without the zone, texts compare as times do.
    found = [text for stamp, _blank, text in stamped if stamp.rstrip("Z") < before.rstrip("Z")]
    return found or [text for _stamp, _blank, text in stamped]


def unframe(stream):
    """Return the text of a log stream: frames of an 8-byte header and their content."""
    out, position = [], 0
    while position + FRAME.size <= len(stream):
        _kind, length = FRAME.unpack_from(stream, position)
        position += FRAME.size
        out.append(stream[position : position + length])
        position += length
    return b"".join(out)


def credentials(config_file, image):
    """Return the credentials for an image's registry from a Docker C(config.json), or None."""
    endpoint = image.partition("/")[0]
    try:
        with open(config_file, "rb") as file:
            entry = json.loads(file.read().decode("utf-8")).get("auths", {}).get(endpoint)
    except FileNotFoundError:
        return None
    if not entry or "auth" not in entry:
        return None
    username, _colon, password = base64.b64decode(entry["auth"]).decode("utf-8").partition(":")
    return {"username": username, "password": password, "serveraddress": endpoint}
