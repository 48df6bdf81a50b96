"""Roles of hosts: one that is nearly ``docker`` or ``lb`` gets neither an engine nor HAProxy."""

from __future__ import annotations

from collections.abc import Iterator

from drcloud.cmdb import hostroles
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, warning

CHECK = "role"


def roles(context: Context) -> Iterator[Finding]:
    """Tell of the hosts whose role looks misspelt; a role of one's own is nothing to tell of."""
    for row in context.hosts():
        if said := hostroles.doubt(row.role):
            advice = f"drcloud cmdb set host {row.name} role={hostroles.nearest(row.role)}"
            yield warning(CHECK, row.name, said, advice)
