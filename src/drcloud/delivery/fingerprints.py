"""The secrets of an app at deploy: read by reference, told apart by fingerprints that give nothing away.

A revision has to change with a secret, on any controller alike, and stands in the CMDB and on the hosts. So
a fingerprint is no plain hash, which would give a short secret away to whoever tries all of them, but
scrypt (RFC 7914) of 16 MiB and some 50 ms a try, salted with app, environment and name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from drcloud import secrets
from drcloud.cmdb.appspec import AppSpec
from drcloud.errors import InvalidInputError

COST, BLOCK, LANES = 2**14, 8, 1
LENGTH = 32
ROOM = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Taken:
    """A secret as a roll carries it: where it is, how the app gets it, and its fingerprint."""

    source: str
    expose: str
    fingerprint: str

    @property
    def mark(self) -> str:
        """What of it goes into the revision: where it is read from does not, for the value decides."""
        return f"{self.expose}:{self.fingerprint}"


def take(spec: AppSpec, app: str, env: str) -> dict[str, Taken]:
    """Read the secrets of a specification for an environment; the values are not kept.

    ``InvalidInputError`` names the app, the secret and the reference that does not resolve.
    """
    return {
        name: Taken(
            secret.source, secret.expose, fingerprint(app, env, name, value(app, env, name, secret.source))
        )
        for name, secret in sorted(spec.secrets.items())
    }


def value(app: str, env: str, name: str, source: str) -> str:
    """Return a secret; ``InvalidInputError`` names everything but the value."""
    try:
        found = secrets.resolve(source)
    except InvalidInputError as error:
        raise InvalidInputError(f"app {app} in {env}: secret {name} does not resolve: {error}") from error
    if "\0" in found:
        raise InvalidInputError(f"app {app} in {env}: secret {name} ({source}) holds a NUL character")
    return found


def unchanged(app: str, env: str, name: str, taken: Taken) -> str:
    """Return a secret that is still what its roll began with; ``InvalidInputError`` where it is not."""
    found = value(app, env, name, taken.source)
    if fingerprint(app, env, name, found) != taken.fingerprint:
        raise InvalidInputError(
            f"app {app} in {env}: secret {name} ({taken.source}) changed since this roll began: deploy again"
        )
    return found


def fingerprint(app: str, env: str, name: str, text: str) -> str:
    """Return the fingerprint of a secret, hexadecimal."""
    salt = f"drcloud/{app}/{env}/{name}".encode()
    digest = hashlib.scrypt(text.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, maxmem=ROOM, dklen=LENGTH)
    return digest.hex()
