"""Where an app's images are: its registry, and its repository there."""

from __future__ import annotations

from drcloud.cmdb import lookup, snapshot
from drcloud.cmdb.snapshot import AppRow, RegistryRow
from drcloud.cmdb.store import Store


def find(store: Store, name: str) -> tuple[AppRow, RegistryRow]:
    """Return the app and its registry, or say that there is no such app."""
    with store.read() as session:
        lookup.app(session, name)
    seen = snapshot.read(store)
    app = next(row for row in seen.apps if row.name == name)
    return app, next(row for row in seen.registries if row.name == app.registry)
