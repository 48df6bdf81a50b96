"""``drcloud init`` and ``drcloud cmdb``: create, fill, show and export the CMDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy.orm import Session

from drcloud.cli import backup, files, history, names, objects, sync
from drcloud.cli.history import require_kind
from drcloud.cli.table import plain, print_json, print_table
from drcloud.cmdb import history as past
from drcloud.cmdb import nearby, networks, schema
from drcloud.cmdb import state as states
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")]
Ticket = Annotated[str | None, typer.Option("--ticket", help="The change ticket, for the change log.")]
app.command("set")(objects.set_)
app.command("delete")(objects.delete)
app.command("import")(files.import_)
app.command("export")(files.export)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("upgrade")(backup.upgrade)
app.command("log")(history.log)
app.command("diff")(history.diff)
app.add_typer(sync.app, name="sync", help="Pull from another source of truth, as NetBox.")


def init() -> None:
    """Create the CMDB that DRCLOUD_CMDB_URL names; where it exists, bring its schema up to date."""
    store = Store.at(missing_ok=True)
    if store.revision() in (None, schema.revisions()[-1]):
        store.upgrade()
    else:
        backup.upgrade_store(store)
    Console().print(Text(f"CMDB ready: {store.label}"), soft_wrap=True)


@app.command("show")
def show(
    kind: Annotated[
        str | None, typer.Argument(help="What to list, as `host`.", autocompletion=names.kinds)
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="Which one to show.", autocompletion=names.objects)
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help=f"As it was then: {history.WHEN}")] = None,
    as_json: Json = False,
) -> None:
    """Count what the CMDB holds, list a kind, or show one object; now, or as it was."""
    require_kind(kind)
    with Store.open().read() as session:
        state = _state(session, as_of)
        of_now = as_of is None and kind == "prefix" and name in state["prefix"]
        derived = _usage(session, str(name)) if of_now else {}
        if kind is not None and name is not None and as_of is None:
            derived |= _version(session, kind, name)
    if kind is None:
        _show_counts(state, as_json)
    elif name is None:
        _show_list(kind, _listed(kind, state), as_json)
    else:
        _show_one(kind, name, state, derived, as_json)


def _state(session: Session, as_of: str | None) -> states.State:
    if as_of is None:
        return states.read(session)
    return past.documents(session, past.resolve_known(session, as_of))


def _show_counts(state: states.State, as_json: bool) -> None:
    counts = {kind: len(rows) for kind, rows in state.items()}
    if as_json:
        print_json(counts)
    else:
        print_table(("kind", "count"), counts.items())


def _show_list(kind: str, rows: Mapping[str, Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json([{"key": key, **fields} for key, fields in rows.items()])
        return
    # A document inside of a table would only be unreadable; `show KIND NAME` has it.
    names = [name for name in next(iter(rows.values()), {}) if name not in ("attrs", "document", "key")]
    names = [name for name in names if any(fields[name] not in (None, "") for fields in rows.values())]
    print_table(names, ([fields[name] for name in names] for _, fields in sorted(rows.items())))


def _listed(kind: str, state: states.State) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of a kind; hosts with their address, which is what one looks for."""
    if kind != "host":
        return state[kind]
    managed = (fields for fields in state["address"].values() if fields["purpose"] == PRIMARY)
    addresses = {fields["host"]: fields["address"] for fields in managed}
    return {
        name: {"name": name, "address": addresses.get(name), **fields} for name, fields in state[kind].items()
    }


def _usage(session: Session, name: str) -> dict[str, Any]:
    """Return a prefix's place in the tree and how full it is; no field says so, for it follows."""
    usage = networks.usage(session, networks.find(session, name))
    return {**usage._asdict(), "children": list(usage.children), "free": usage.free}


def _version(session: Session, kind: str, name: str) -> dict[str, Any]:
    """Return how often an object was written, which is what ``--if-version`` asks for."""
    row: Any = nearby.find(session, kind, name)
    return {} if row is None else {"version": row.version}


def _show_one(kind: str, name: str, state: states.State, derived: Mapping[str, Any], as_json: bool) -> None:
    fields = state[kind].get(name)
    if fields is None:
        hint = meant(name, list(state[kind])) or f"`drcloud cmdb show {kind}` lists what is known"
        raise NotFoundError(f"there is no {kind} {name!r} in the CMDB: {hint}")
    parts = {
        other: [{"key": key, **row} for key, row in state[other].items() if row[field] == name]
        for other, field in _parts(kind).items()
    }
    document = {**fields, **derived, **{other: rows for other, rows in parts.items() if rows}}
    if as_json:
        print_json({"key": name, **document})
    else:
        print_table(("field", "value"), ((key, plain(value)) for key, value in document.items()))


def _parts(kind: str) -> dict[str, str]:
    """Return the kinds whose rows belong to a row of this kind, and the field that names it."""
    named_after = {
        name: kind
        for name, other in kinds().items()
        if other.natural.parts[0] == kind and len(other.natural.parts) > 1
    }
    return named_after | dict(nearby.parts_of(kind))
