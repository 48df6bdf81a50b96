"""What somebody asks for: one playbook, on which hosts, with which variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drcloud.errors import InvalidInputError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
MAX_VERBOSITY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One execution of one playbook; checked when it is made.

    ``playbook`` is a path or a collection name (``dianrong.cloud.deploy``). ``inventory`` is one
    source or several; none means the default (see ``drcloud.runs.inventory``). Values of
    ``extra_vars`` are recorded only for the names in ``recorded``, because a variable may be a secret.
    ``pass_env`` names environment variables that the playbook may read beside the usual ones.
    """

    playbook: str
    inventory: str | Sequence[str] | None = None
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    vars_files: Sequence[str] = ()
    recorded: Sequence[str] = ()
    limit: str | None = None
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    check: bool = False
    diff: bool = False
    verbosity: int = 0
    forks: int | None = None
    pass_env: Sequence[str] = ()
    source: str = "cli"

    def __post_init__(self) -> None:
        """Refuse what ansible-playbook would only stumble over later."""
        if not self.playbook.strip():
            raise InvalidInputError("no playbook given: name a file or a collection playbook")
        if self.limit is not None and not self.limit.strip():
            raise InvalidInputError("the limit is empty: name hosts or groups, or leave --limit away")
        if not 0 <= self.verbosity <= MAX_VERBOSITY:
            raise InvalidInputError(f"verbosity {self.verbosity} is not between 0 and {MAX_VERBOSITY}")
        if self.forks is not None and self.forks < 1:
            raise InvalidInputError(f"forks {self.forks} is not at least 1")
        for name in self.extra_vars:
            if not _VARIABLE.match(name):
                raise InvalidInputError(f"{name!r} is not a variable name: use letters, digits and _")

    def sources(self) -> tuple[str, ...]:
        """Return the inventory sources as given, none when the default is wanted."""
        if self.inventory is None:
            return ()
        return (self.inventory,) if isinstance(self.inventory, str) else tuple(self.inventory)

    def record(self) -> dict[str, Any]:
        """Return what the runs table keeps of the request: no value that was not declared harmless."""
        return {
            "inventory": list(self.sources()),
            "extra_vars": sorted(self.extra_vars),
            "values": {name: self.extra_vars[name] for name in self.recorded if name in self.extra_vars},
            "vars_files": list(self.vars_files),
            "limit": self.limit,
            "tags": list(self.tags),
            "skip_tags": list(self.skip_tags),
            "check": self.check,
            "diff": self.diff,
            "forks": self.forks,
        }
