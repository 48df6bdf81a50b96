# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages: parse what dpkg says and plan (pure) what apt has to install."""

from __future__ import annotations

import re
from dataclasses import dataclass

QUERY_FORMAT = "${Package}\\t${Version}\\t${db:Status-Status}\\t${Recommends}\\n"
# apt.conf(5): what says where package lists come from, for what, and how they are fetched.
FETCHING = re.compile(r"\b(?:Acquire|Dir|Architectures?)\b", re.IGNORECASE)
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
# In the words of apt-get, and of dpkg then and now.
LOCKED = re.compile(r"Could not get lock |(?:is|was) locked by another process")


class PackageError(Exception):
    """A package is asked for in a way that cannot be understood."""


@dataclass(frozen=True)
class Plan:
    """What to install (as apt arguments), and whether dpkg was interrupted before."""

    install: tuple[str, ...]
    repair: bool
    before: dict[str, str | None]
    after: dict[str, str | None]


def parse_installed(output):
    """Return ``{package: (version, status)}`` from ``dpkg-query`` in our format."""
    return {name: (version, status) for name, version, status, _recommends in _rows(output)}


def parse_recommended(output):
    """Return the names that installed packages recommend, from ``dpkg-query`` in our format."""
    lists = [recommends for _name, _version, status, recommends in _rows(output) if status == "installed"]
    return {
        match[0] for text in lists for part in re.split("[,|]", text) if (match := NAME.match(part.strip()))
    }


def _rows(output):
    return [line.split("\t") for line in output.splitlines() if line.count("\t") == 3]


def split(wanted):
    """Return name and version (or None) of ``name`` or ``name=version``."""
    name, separator, version = wanted.partition("=")
    if not NAME.fullmatch(name) or (separator and not version):
        raise PackageError(f"package {wanted!r}: expected a name or name=version")
    return name, version or None


def plan(wanted, installed):
    """Return what makes the installed packages the wanted ones; pure."""
    install, before, after = [], {}, {}
    for item in wanted:
        name, version = split(item)
        have, status = installed.get(name, (None, "not-installed"))
        have = have if status == "installed" else None
        if have is None or (version is not None and have != version):
            install.append(item)
            before[name], after[name] = have, version or "newest"
    interrupted = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
    repair = any(status in interrupted for _version, status in installed.values())
    return Plan(tuple(install), repair, before, after)


def locked(errors):
    """Return whether apt-get or dpkg failed because another one is at work; pure."""
    return bool(LOCKED.search(errors))


def fetches(configuration):
    """Return whether a file of apt.conf.d can change what package lists are fetched; pure.

    Most do not: when updates install themselves, and which packages never do, changes no list.
    """
    lines = (line.strip() for line in configuration.splitlines())
    return any(FETCHING.search(line) for line in lines if not line.startswith("//"))


def complaint(output, errors):
    """Return the lines in which apt says what went wrong."""
    lines = [line.strip() for line in (errors + "\n" + output).splitlines()]
    said = [line for line in lines if line.startswith(("E:", "dpkg: error", "Err:"))]
    return " ".join(said) or " ".join(line for line in lines[-3:] if line) or "apt-get said nothing"
