"""Which lab belongs to this checkout, and where its state lies."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import drcloud
from drcloud.errors import InvalidInputError

# An interface name has at most 15 characters, and the bridge is called "drc-<id>".
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,10}")


@dataclass(frozen=True)
class Lab:
    """One lab: an id, the checkout that describes it, and the directories that hold it."""

    id: str
    checkout: Path
    state: Path
    cache: Path

    @property
    def name(self) -> str:
        """Name of everything on the machine that is one of a kind: bridge, network, cgroup."""
        return f"drc-{self.id}"

    @property
    def record(self) -> Path:
        """What the lab remembers between two commands (``lab.json``)."""
        return self.state / "lab.json"

    @property
    def declaration(self) -> Path:
        """The import file with this lab's own addresses."""
        return self.state / "idc.yml"

    @property
    def source(self) -> Path:
        """The import file of the repository."""
        return self.checkout / "inventories" / "lab" / "idc.yml"

    @property
    def ssh(self) -> Path:
        """Key, configuration and known hosts of the controller."""
        return self.state / "ssh"

    @property
    def engine(self) -> Path:
        """Data root, exec root, pid file and log of an engine that the lab started."""
        return self.state / "engine"

    @property
    def socket(self) -> Path:
        """Socket of an engine that the lab started."""
        return self.state / "docker.sock"

    @property
    def cmdb_url(self) -> str:
        """The embedded CMDB of this lab."""
        return f"sqlite:///{self.state / 'cmdb.sqlite3'}"


def locate(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Lab:
    """Return the lab of the checkout that holds ``start``, else of the one drCloud runs from."""
    env = os.environ if environ is None else environ
    checkout = find_checkout(start or Path.cwd())
    identifier = env.get("DRCLOUD_LAB_ID") or identify(checkout)
    if not _ID.fullmatch(identifier):
        raise InvalidInputError(
            f"DRCLOUD_LAB_ID {identifier!r} is not a lab id: use up to 11 lower-case letters, digits, hyphens"
        )
    home = Path(env.get("HOME") or "~").expanduser()
    state_home = Path(env.get("XDG_STATE_HOME") or home / ".local" / "state")
    cache_home = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
    return Lab(
        id=identifier,
        checkout=checkout,
        state=state_home / "drcloud" / f"lab-{identifier}",
        cache=cache_home / "drcloud",
    )


def identify(checkout: Path) -> str:
    """Return the id of a checkout: six hex digits of its real path's SHA-256."""
    return hashlib.sha256(str(checkout.resolve()).encode()).hexdigest()[:6]


def find_checkout(start: Path) -> Path:
    """Return the nearest checkout above ``start``, else the one this package lies in."""
    package = Path(drcloud.__file__).resolve()
    for directory in (start.resolve(), *start.resolve().parents, *package.parents):
        if (directory / "roles" / "lab_hosts" / "tasks" / "main.yml").is_file():
            return directory
    raise InvalidInputError(
        "drcloud lab works only in a checkout of drCloud: clone the repository and run it there"
    )
