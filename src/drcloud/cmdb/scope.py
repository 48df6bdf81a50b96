"""The scope of a change: what a ticket covers, as patterns by environment, app, host and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from drcloud.cmdb.lookup import meant
from drcloud.errors import InvalidInputError

FIELDS = ("environment", "app", "host", "kind")


@dataclass(frozen=True, slots=True)
class Touch:
    """An object's part in an environment: the apps and hosts of that environment that it concerns."""

    environment: str
    apps: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()


def check(name: str, scope: Mapping[str, Any]) -> None:
    """Refuse a scope of another form than lists of patterns by known fields, naming the change."""
    for field, patterns in scope.items():
        if field not in FIELDS:
            hint = meant(field, FIELDS) or f"it has {', '.join(FIELDS)}"
            raise InvalidInputError(f"the scope of change {name} has no field {field!r}: {hint}")
        words = patterns if isinstance(patterns, Sequence) and not isinstance(patterns, str) else ()
        if not words or not all(isinstance(word, str) and word for word in words):
            raise InvalidInputError(
                f"the scope of change {name} is wrong at {field}: write a list of names, as [prod]"
            )


def covers(scope: Mapping[str, Sequence[str]], kind: str, touch: Touch) -> bool:
    """Tell whether a scope covers an object's part in an environment.

    ``environment`` has to be there and to match. Every other field narrows the scope: all apps
    and all hosts that the object concerns have to match, and an object that concerns none is
    not covered by a scope that names some. ``*`` stands for any characters.
    """
    concerned = {"environment": {touch.environment}, "app": touch.apps, "host": touch.hosts, "kind": {kind}}
    return "environment" in scope and all(_all_match(concerned[field], scope[field]) for field in scope)


def _all_match(names: Iterable[str], patterns: Iterable[str]) -> bool:
    found = [any(fnmatchcase(name, pattern) for pattern in patterns) for name in names]
    return bool(found) and all(found)


def words(scope: Mapping[str, Sequence[str]]) -> str:
    """Return a scope in words, for a message."""
    return ", ".join(f"{field} {' '.join(patterns)}" for field, patterns in scope.items()) or "nothing"
