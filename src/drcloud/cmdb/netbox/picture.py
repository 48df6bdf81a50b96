"""A whole NetBox at once: read completely or not at all, with no object that refers to a missing one.

Devices, interfaces and addresses are many. Of these NetBox is asked for ids and stamps (``last_updated``),
and only what is new or has another stamp is fetched; everything else comes from the cache. A mark in time
("all changes since …") would be less to ask for, but would miss deletions, and changes of a transaction
that began before the mark and committed after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from drcloud.cmdb.lookup import meant
from drcloud.cmdb.netbox import listing
from drcloud.cmdb.netbox.cache import Cache
from drcloud.cmdb.netbox.client import Client
from drcloud.cmdb.netbox.records import (
    ENDPOINTS,
    Address,
    Device,
    DeviceRole,
    DeviceType,
    Interface,
    Location,
    Manufacturer,
    Prefix,
    R,
    Rack,
    Record,
    Site,
    Tag,
    Vrf,
    parse,
)
from drcloud.cmdb.netbox.trouble import NetboxIncompleteError, ShiftedError
from drcloud.errors import NotFoundError

OLDEST = (4, 2)
READINGS = 3
# With more changes than this share, reading all is less work than asking for single objects.
MANY = 0.25
REFERENCES: tuple[tuple[type[Record], str, type[Record]], ...] = (
    (Location, "site", Site),
    (Location, "parent", Location),
    (Rack, "site", Site),
    (Rack, "location", Location),
    (DeviceType, "manufacturer", Manufacturer),
    (Device, "device_type", DeviceType),
    (Device, "role", DeviceRole),
    (Device, "site", Site),
    (Device, "rack", Rack),
    (Device, "primary_ip", Address),
    (Device, "tags", Tag),
    (Interface, "device", Device),
    (Prefix, "vrf", Vrf),
    (Address, "vrf", Vrf),
)
# What NetBox can pick by site; all else is read whole.
BY_SITE = (Location, Rack, Device, Interface)


class Picture:
    """All objects by endpoint and id."""

    def __init__(self, records: Mapping[type[Record], Mapping[int, Record]]) -> None:
        self._records = records

    def of(self, model: type[R]) -> Mapping[int, R]:
        """Return the objects of an endpoint by id."""
        return cast(Mapping[int, R], self._records[model])

    def counts(self) -> dict[str, int]:
        """Return how many objects each endpoint has."""
        return {model.path: len(self._records[model]) for model in reversed(ENDPOINTS)}

    def dangling(self) -> Iterator[str]:
        """Yield the references to objects that are not in the picture, as sentences."""
        for model, name, target in REFERENCES:
            known = self._records[target]
            for record in self._records[model].values():
                value = getattr(record, name)
                for one in value if isinstance(value, tuple) else (value,):
                    if one is not None and one not in known:
                        yield f"{record.source} refers to {target.path}/{one}"


def read(client: Client, cache: Cache, sites: Sequence[str] = (), *, full: bool = False) -> Picture:
    """Read a NetBox, or the chosen sites of it; ``full`` takes nothing from the cache."""
    _require_version(client)
    if sites:
        _require_sites(client, sites)
    for reading in range(READINGS):
        try:
            picture = _read(client, cache if reading == 0 and not full else Cache(None), sites)
        except ShiftedError:
            if reading == READINGS - 1:
                raise
            continue
        wrong = next(picture.dangling(), None)
        if wrong is None:
            cache.keep({model: picture.of(model).values() for model in ENDPOINTS})
            return picture
    raise NetboxIncompleteError(
        f"NetBox {client.url}: {wrong}, which is not there: the token may not view it, or NetBox changes all "
        "the time; nothing was written"
    )


def _read(client: Client, cache: Cache, sites: Sequence[str]) -> Picture:
    return Picture({model: _endpoint(client, cache, model, sites) for model in ENDPOINTS})


def _endpoint(client: Client, cache: Cache, model: type[Record], sites: Sequence[str]) -> dict[int, Record]:
    filters: dict[str, Sequence[str]] = {}
    if sites and model is Site:
        filters = {"slug": sites}
    elif sites and model in BY_SITE:
        filters = {"site": sites}
    known = cache.of(model) if model.stamp else {}
    if not known:
        rows = listing.whole(client, model.path, model.asked(), filters)
        return {row["id"]: parse(model, row, client.url) for row in rows}
    stamps = listing.whole(client, model.path, ",".join(model.stamp), filters)
    changed = [row["id"] for row in stamps if not _is_fresh(known.get(row["id"]), row, model.stamp)]
    if len(changed) > MANY * len(stamps) and len(changed) > listing.CHOSEN:
        rows = listing.whole(client, model.path, model.asked(), filters)
        return {row["id"]: parse(model, row, client.url) for row in rows}
    rows = listing.chosen(client, model.path, model.asked(), changed)
    new = {row["id"]: parse(model, row, client.url) for row in rows}
    return {row["id"]: new.get(row["id"]) or known[row["id"]] for row in stamps}


def _is_fresh(record: Record | None, row: Mapping[str, Any], stamp: tuple[str, ...]) -> bool:
    if record is None or row.get("last_updated") is None:
        return False
    return all(row.get(name) == getattr(record, name) for name in stamp)


def _require_version(client: Client) -> None:
    text = client.get("status").get("netbox-version")
    parts = str(text).split("-")[0].split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        raise NetboxIncompleteError(f"{client.url} is no NetBox: its status names no netbox-version")
    if (int(parts[0]), int(parts[1])) < OLDEST:
        raise NetboxIncompleteError(
            f"NetBox {client.url} is version {text}: {OLDEST[0]}.{OLDEST[1]} or newer is needed"
        )


def _require_sites(client: Client, sites: Sequence[str]) -> None:
    known = [str(row.get("slug")) for row in listing.whole(client, Site.path, "id,slug", {})]
    for slug in sites:
        if slug not in known:
            hint = meant(slug, known) or f"it has {', '.join(known) or 'none'}"
            raise NotFoundError(f"NetBox {client.url} has no site {slug!r}: {hint}")
