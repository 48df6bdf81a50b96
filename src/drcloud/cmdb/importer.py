"""Import of CMDB files: read, plan, apply; all of it in one transaction or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from drcloud.cmdb import csvfile, exporter, foreseen, joined, ports, remembered, yamlfile
from drcloud.cmdb import plan as plans
from drcloud.cmdb import state as states
from drcloud.cmdb.csvfile import CsvFile
from drcloud.cmdb.document import Document
from drcloud.cmdb.importfile import Source
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.cmdb.writer import Writer
from drcloud.errors import InvalidInputError

NOT_PRUNED = "{what} is not pruned: {table} tells of it in {count}; leave it in the file"


@dataclass(frozen=True, slots=True)
class Request:
    """Which files to import, and how.

    ``kind`` is what CSV files list, where their names do not tell; ``prune`` removes the objects that
    the files' sections do not name; ``agreed`` are the removals that somebody agreed to: when others
    turn out to be needed, nothing is done.
    """

    paths: tuple[Path | str, ...]
    kind: str | None = None
    prune: bool = False
    agreed: frozenset[tuple[str, str]] | None = None


def import_files(
    store: Store,
    request: Request,
    *,
    dry_run: bool = False,
    reason: str | None = None,
    ticket: str | None = None,
) -> tuple[Change, ...]:
    """Bring the CMDB to what all files together say, in one transaction; return what changed.

    With ``dry_run`` nothing does, and the changes are those that would be made. Objects the files do not
    name stay as they are. ``InvalidInputError`` lists everything that is wrong, by file, line and field;
    ``DeniedError`` names what needs an open change, in a dry run too.
    """
    names = ", ".join(Path(path).name for path in request.paths)
    return import_sources(
        store,
        [_read(path, request.kind) for path in request.paths],
        request,
        dry_run=dry_run,
        reason=reason or f"import of {names}",
        ticket=ticket,
    )


def import_sources(
    store: Store,
    sources: Sequence[Source],
    request: Request | None = None,
    *,
    dry_run: bool = False,
    reason: str = "import",
    ticket: str | None = None,
) -> tuple[Change, ...]:
    """Bring the CMDB to what sources together say; as ``import_files``, of what was read already."""
    request = request or Request(())
    if dry_run:
        with store.read() as session:
            loaded = states.known(session)
            changes = _planned(session, sources, request, loaded)
            foreseen.enforce(session, loaded, changes, ticket)
            return changes
    with store.write(reason=reason, ticket=ticket) as session:
        loaded = states.known(session)
        changes = _planned(session, sources, request, loaded)
        _require_agreed(changes, request)
        apply(session, loaded, changes)
    return changes


def removals(changes: Iterable[Change]) -> frozenset[tuple[str, str]]:
    """Return the objects that changes delete."""
    return frozenset((change.kind, change.key) for change in changes if change.action == "delete")


def _read(path: Path | str, kind: str | None) -> Source:
    if Path(path).suffix.lower() == csvfile.SUFFIX:
        return csvfile.read(path, kind)
    return yamlfile.read(path)


def _planned(
    session: Session, sources: Sequence[Source], request: Request, loaded: states.Loaded
) -> tuple[Change, ...]:
    if any(isinstance(source, CsvFile) for source in sources):
        present = exporter.build(loaded.documents)
        sources = [one.completed(present) if isinstance(one, CsvFile) else one for one in sources]
    whole = joined.join(sources)
    plan = plans.make(whole.document, loaded.documents, prune=request.prune)
    whole.fail(plan.problems)
    if request.prune:
        remembered.refuse(session, loaded, plan.changes, NOT_PRUNED)
    return (*plan.changes, *_unused_ports(session, whole.document, loaded, plan.changes))


def _unused_ports(
    session: Session, document: Document, loaded: states.Loaded, changes: Iterable[Change]
) -> Iterator[Change]:
    """Yield the removal of ports that hosts which left the file's placements need no more."""
    placements = {f"{entry.app}@{entry.env}" for entry in document.placements}
    named = {f"{entry.pool}/{entry.owner}" for entry in document.allocations}
    kept = named | {key for kind, key in removals(changes) if kind == "allocation"}
    back = {one.key: one.after for one in changes if (one.kind, one.action) == ("placement_host", "create")}
    state = {
        **loaded.documents,
        "placement_host": {**loaded.documents["placement_host"], **back},
    }
    for key in ports.unused(session, state, placements):
        if key not in kept:
            yield Change("allocation", key, "delete", state["allocation"][key], {})


def _require_agreed(changes: tuple[Change, ...], request: Request) -> None:
    if request.agreed is not None and (more := removals(changes) - request.agreed):
        kind, key = min(more)
        raise InvalidInputError(
            f"the CMDB changed since the removals were shown: {kind} {key} would go now too; look again"
        )


def apply(session: Session, loaded: states.Loaded, changes: Iterable[Change]) -> None:
    """Write changes; what goes makes room first."""
    Writer(session, loaded).write(changes)
