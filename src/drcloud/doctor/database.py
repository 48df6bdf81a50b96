"""The CMDB: it must answer and be of this program's schema, and have the hosts that the source asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from drcloud.cmdb import assembly, inventory
from drcloud.cmdb.assembly import Wanted
from drcloud.cmdb.construction import NeedsAnsibleError
from drcloud.cmdb.options import FIELDS
from drcloud.cmdb.selection import GONE
from drcloud.cmdb.snapshot import Snapshot
from drcloud.cmdb.sourcefile import SourceFile
from drcloud.cmdb.store import Store
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, counted, fine, problem, warning
from drcloud.errors import DrcloudError

CHECK = "cmdb"


def cmdb(context: Context) -> Iterator[Finding]:
    """Open the CMDB and read what the other checks look at: the hosts of the source, and what they need."""
    source = context.site.source
    try:
        store = Store.open(context.site.url)
        rows, exact = _selected(store, source)
    except DrcloudError as error:
        message, _, advice = str(error).rpartition(": ")
        yield problem(CHECK, context.site.name, message or str(error), advice, error.exit_code)
        return
    context.snapshot = rows
    yield fine(CHECK, store.label, f"{counted(len(rows.hosts), 'host')}, change {rows.seq}")
    if not rows.hosts and not source.options.allow_empty:
        advice = "drcloud cmdb import FILE; inventories/idc/idc.yml is a file to begin with"
        yield warning(CHECK, store.label, "holds no hosts", advice)
    if not exact:
        message = "only Ansible can tell what `where` means, so hosts that it leaves out are looked at too"
        yield warning(CHECK, context.site.name, message, f"ansible-inventory -i {context.site.name} --graph")


def _selected(store: Store, source: SourceFile) -> tuple[Snapshot, bool]:
    """Return the rows of the source's hosts, and whether all of its filters could be heeded.

    A host that ``where`` leaves out may still be a bastion of others.
    """
    asked = bool(source.options.where or any(source.options.selection.given()))
    allow_empty = source.options.allow_empty or not asked
    options = replace(source.options, fields=FIELDS, drift=False, allow_empty=allow_empty)
    keep, exact = source.rules().keep(), True
    with store.read() as session:
        # With a directory, the host keys are read too.
        rows = assembly.picture(session, Wanted(options, ssh_directory=Path()))
    try:
        found = inventory.build(rows, options=options, keep=keep)
    except NeedsAnsibleError:
        found, exact = inventory.build(rows, options=options), False
    stays = [row.name in found.labels or row.state == GONE for row in rows.hosts]
    left = tuple(row for row, stay in zip(rows.hosts, stays, strict=True) if not stay)
    kept = tuple(row for row, stay in zip(rows.hosts, stays, strict=True) if stay)
    return replace(rows, hosts=kept, others=(*rows.others, *left)), exact
