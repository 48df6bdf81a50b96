"""What a lab host takes over from the controller's apt: Debian's sources, proxies, certificates."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from drcloud.errors import DrcloudError

_FIELDS = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
# How to fetch, never what to keep: caches and hooks of the controller stay there.
_FETCH = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")


def sources() -> str:
    """Return the controller's Debian sources, one line each; third-party ones are left out."""
    lines = _known()
    if not lines:
        # Where a source comes from is said by its index, and a fresh machine has fetched none.
        _run("apt-get", "update", "--quiet")
        lines = _known()
    if not lines:
        raise DrcloudError("apt knows no Debian source: look at /etc/apt/sources.list.d")
    return "".join(f"{line}\n" for line in lines)


def debian_lines(targets: Iterable[str]) -> list[str]:
    """Turn index targets (URI|release|component|origin) of Debian into source lines, in order."""
    components: dict[tuple[str, str], list[str]] = {}
    for target in targets:
        uri, release, component, origin = target.split("|")
        if origin == "Debian" and uri.split(":")[0] in ("http", "https"):
            found = components.setdefault((uri, release), [])
            if component not in found:
                found.append(component)
    return [f"deb {uri} {release} {' '.join(names)}" for (uri, release), names in components.items()]


def for_release(lines: str, own: str, wanted: str) -> str:
    """Return source lines of one release as those of another, ``bookworm-updates`` as ``trixie-updates``."""
    moved = []
    for line in lines.splitlines():
        kind, uri, suite, *components = line.split()
        release, dash, pocket = suite.partition("-")
        suite = f"{wanted if release == own else release}{dash}{pocket}"
        moved.append(" ".join([kind, uri, suite, *components]))
    return "".join(f"{line}\n" for line in moved)


def settings() -> str:
    """Return the controller's settings of how to fetch packages, as an apt.conf file."""
    return fetch_settings(_run("apt-config", "dump").splitlines())


def fetch_settings(dump: Iterable[str]) -> str:
    """Keep the lines of ``apt-config dump`` that say how to fetch and have a value."""
    kept = [line for line in dump if line.startswith(_FETCH) and not line.endswith(' "";')]
    return "".join(f"{line}\n" for line in kept)


def _known() -> list[str]:
    text = _run("apt-get", "indextargets", "--format", _FIELDS, "Created-By: Packages")
    return debian_lines(text.splitlines())


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise DrcloudError(f"{' '.join(command[:2])}: {done.stderr.strip()}")
    return done.stdout
