"""The table of checks, and a visit that goes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from drcloud.doctor.balancers import balancers
from drcloud.doctor.context import Context
from drcloud.doctor.database import cmdb
from drcloud.doctor.finding import Finding
from drcloud.doctor.reach import hosts
from drcloud.doctor.registries import registries
from drcloud.doctor.roles import roles
from drcloud.doctor.versions import collection, core, required

Check = Callable[[Context], Iterator[Finding]]

# In this order: the CMDB tells what else to look at, SSH who can be asked further.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("ansible-core", core),
    ("collection", collection),
    ("required collections", required),
    ("CMDB", cmdb),
    ("roles", roles),
    ("SSH", hosts),
    ("registries", registries),
    ("load balancers", balancers),
)


def visit(context: Context) -> Iterator[Finding]:
    """Yield what all checks find, as they find it."""
    for title, check in CHECKS:
        context.watch(title)
        yield from check(context)
