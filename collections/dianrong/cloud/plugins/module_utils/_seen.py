# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on a host, as the engine tells it and not as labels claim; and whether it works."""

from __future__ import annotations

from urllib.parse import quote

from ansible_collections.dianrong.cloud.plugins.module_utils import _health, _hook, _instance, _record
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import Engine, EngineError

NOT_FOUND = 404


class ImageEngine(Engine):
    """An engine that is asked for its images too."""

    def all_containers(self):
        """Return all containers of the host, whoever made them, as the engine lists them."""
        return self._json("GET", "/containers/json", {"all": "1"})

    def remove_stopped(self, container):
        """Remove a container that does not run; gone already is as good.

        The engine refuses (409) one that was started meanwhile; nothing is forced.
        """
        try:
            self._done("DELETE", f"/containers/{quote(container)}")
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise

    def images(self):
        """Return all images; ``RepoDigests`` and ``RepoTags`` are what they are called."""
        return self._json("GET", "/images/json")

    def remove_image(self, name):
        """Take a name off an image, and the image away with its last name; gone already is as good.

        The engine refuses (409) what a container still uses; nothing is forced.
        """
        try:
            self._done("DELETE", f"/images/{quote(name)}")
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise


def digest_of(container, label, digests):
    """Return the digest of the image that a container was made of. Pure.

    A name by digest is the answer. Otherwise somebody made the container by hand: C(digests) are those that
    its image is known by on this host; the one on the label if it is among them, else any, else the image's
    id.
    """
    name = (container.get("Config") or {}).get("Image") or ""
    _repository, at, digest = name.partition("@")
    if at:
        return digest
    known = sorted(one.partition("@")[2] for one in digests)
    if label in known:
        return label
    return known[0] if known else container["Image"]


def look(engine, probes):
    """Return all instances of ours on a host with the digest of their images and their health."""
    found = []
    for container in engine.containers(_instance.MARK):
        entry = _instance.describe(container)
        if entry is not None:
            entry["image_digest"] = digest_of(container, entry["digest"], _digests(engine, container))
            entry["health"] = _probed(engine, entry, probes)
            entry["differs"] = _record.differing(container)
            found.append(entry)
    return sorted(found, key=lambda entry: entry["name"])


def strangers(engine):
    """Return the names of containers that run here and are no instances of ours, nor their hooks."""
    found = [
        _name(container)
        for container in engine.all_containers()
        if container.get("State") in _instance.LIVE and _is_strange(container.get("Labels") or {})
    ]
    return sorted(found)


def _is_strange(labels):
    return not _instance.is_ours(labels) and _hook.MARK not in labels


def _name(container):
    """Return the name of a listed container; others that it is linked to by have a second slash."""
    names = container.get("Names") or ["/" + container["Id"]]
    return min(names, key=lambda name: name.count("/")).lstrip("/")


def _digests(engine, container):
    """Return by which digests a container's image is known; asked only where its name does not say."""
    if "@" in ((container.get("Config") or {}).get("Image") or ""):
        return []
    image = engine.image(container["Image"])
    return (image or {}).get("RepoDigests") or []


def _probed(engine, entry, probes):
    """Return the health of an instance: asked where it runs and somebody told how, else as it was."""
    for probe in probes:
        asked = (probe["app"], probe["env"]) == (entry["app"], entry["env"])
        if asked and entry["status"] == "running" and entry["slot"] in probe["slots"]:
            port = int(probe["slots"][entry["slot"]])
            return "healthy" if _wrong(engine, entry, probe, port) is None else "unhealthy"
    return entry["health"]


def _wrong(engine, entry, probe, port):
    try:
        return _health.ask(
            probe,
            probe["address"],
            port,
            lambda command, timeout: engine.execute(entry["id"], command, timeout),
        )
    except EngineError as error:
        return str(error)
