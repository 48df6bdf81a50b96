"""The CMDB: it must answer and be of this program's schema."""

from __future__ import annotations

from collections.abc import Iterator

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, fine, problem, warning
from drcloud.errors import DrcloudError

CHECK = "cmdb"


def cmdb(context: Context) -> Iterator[Finding]:
    """Open the CMDB and read what the other checks look at."""
    try:
        store = Store.open(context.site.url)
        rows = snapshot.read(store)
    except DrcloudError as error:
        message, _, advice = str(error).rpartition(": ")
        yield problem(CHECK, context.site.name, message or str(error), advice, error.exit_code)
        return
    context.snapshot = rows
    yield fine(CHECK, store.label, f"{len(rows.hosts)} hosts, change {rows.seq}")
    if not rows.hosts:
        advice = "drcloud cmdb import FILE; inventories/idc/idc.yml is a file to begin with"
        yield warning(CHECK, store.label, "holds no hosts", advice)
