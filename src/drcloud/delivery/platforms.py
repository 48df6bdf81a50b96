"""Which hosts an image cannot run on. Pure: from what its manifest says and what the hosts said.

An image that does not say what it is for, and a host that was never asked, are let through: what is not
known is no reason to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drcloud.errors import InvalidInputError

# `uname -m` as the architectures of images (https://go.dev/doc/install/source#environment) that a kernel
# of it runs, its own first.
MACHINES: dict[str, tuple[str, ...]] = {
    "x86_64": ("amd64", "386"),
    "i386": ("386",),
    "i686": ("386",),
    "aarch64": ("arm64", "arm"),
    "arm64": ("arm64", "arm"),
    "armv7l": ("arm",),
    "armv6l": ("arm",),
    "ppc64le": ("ppc64le",),
    "s390x": ("s390x",),
    "riscv64": ("riscv64",),
    "loongarch64": ("loong64",),
}
# What buildkit files under an index beside its images: attestations.
NO_PLATFORM = ("", "unknown")
HOST_OS = "linux"
SHOWN = 3


class WrongPlatformError(InvalidInputError):
    """The image is for machines other than the hosts that it shall run on."""


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """What an image is built for, as ``linux/arm64``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def of_index(document: Mapping[str, Any]) -> tuple[Platform, ...]:
    """Return the platforms that an index has images for; nothing where it does not say."""
    entries = document.get("manifests")
    found = [entry.get("platform") for entry in entries or () if isinstance(entry, Mapping)]
    return tuple(sorted({one for platform in found for one in _platform(platform)}))


def of_config(document: Mapping[str, Any]) -> tuple[Platform, ...]:
    """Return the platform that an image's configuration names; nothing where it does not say."""
    return tuple(_platform(document))


def _platform(fields: Any) -> Iterable[Platform]:
    if not isinstance(fields, Mapping):
        return
    words = [fields.get(name) or "" for name in ("os", "architecture", "variant")]
    if all(isinstance(word, str) for word in words) and words[1] not in NO_PLATFORM:
        yield Platform(words[0] or HOST_OS, words[1], words[2])


def unable(platforms: Sequence[Platform], machines: Mapping[str, str]) -> dict[str, str]:
    """Return the hosts that can run none of the platforms, each with its own architecture.

    ``machines`` maps hosts to what ``uname -m`` says there.
    """
    if not platforms:
        return {}
    offered = {one.architecture for one in platforms if one.os == HOST_OS}
    known = {host: MACHINES[machine] for host, machine in machines.items() if machine in MACHINES}
    return {host: runs[0] for host, runs in sorted(known.items()) if not offered.intersection(runs)}


def refuse(image: str, platforms: Sequence[Platform], machines: Mapping[str, str]) -> None:
    """Raise WrongPlatformError where some of the hosts cannot run the image."""
    hosts = unable(platforms, machines)
    if not hosts:
        return
    named = [f"{host} ({HOST_OS}/{runs})" for host, runs in list(hosts.items())[:SHOWN]]
    more = f" and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else ""
    raise WrongPlatformError(
        f"{image} is an image for {', '.join(map(str, platforms))}, which "
        f"{'host' if len(hosts) == 1 else 'hosts'} {', '.join(named)}{more} cannot run: "
        "push one for that architecture, or an index of both, under the tag"
    )
