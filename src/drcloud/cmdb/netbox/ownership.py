"""Which rows are a pull's own: those whose ``attrs.netbox`` names this NetBox and their object in it."""

from __future__ import annotations

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.netbox import names
from drcloud.cmdb.netbox.mapping import Choice
from drcloud.cmdb.netbox.picture import Picture
from drcloud.cmdb.netbox.records import ENDPOINTS, Site
from drcloud.cmdb.state import State

Key = tuple[str, str]

MARK = "netbox"
# In the order in which they are written: what is referred to comes first.
MANAGED = (
    "idc",
    "room",
    "rack",
    "hardware_model",
    "tag",
    "vrf",
    "prefix",
    "host",
    "nic",
    "address",
    "rack_slot",
    "host_tag",
)
# Rows that say something of a host and go as they come.
PARTS = frozenset({"rack_slot", "host_tag"})
RETIRED = "retired"


def mark(url: str, source: str) -> Fields:
    """Return what a row's ``attrs`` hold when it comes from an object of a NetBox."""
    return {MARK: {"url": url, "object": source}}


def source_of(fields: Fields, url: str) -> str | None:
    """Return the object of this NetBox that a row comes from; None for a row of somebody else."""
    found = (fields.get("attrs") or {}).get(MARK)
    if not isinstance(found, dict) or found.get("url") != url:
        return None
    source = found.get("object")
    words = source.split("/") if isinstance(source, str) else []
    return "/".join(words) if len(words) >= 3 and words[2].isdigit() else None


def vanished(picture: Picture, state: State, url: str, choice: Choice) -> tuple[Key, ...]:
    """Return own rows whose objects NetBox has no longer; of chosen sites what surely belongs to them."""
    known = {model.path: picture.of(model) for model in ENDPOINTS}
    idcs = {names.code(site.slug) for site in picture.of(Site).values()} if choice.sites else None
    found = []
    for kind in (kind for kind in MANAGED if kind not in PARTS):
        for key, fields in state[kind].items():
            source = source_of(fields, url)
            if source is None or (kind == "host" and fields["state"] == RETIRED):
                continue
            app, model, number, *_ = source.split("/")
            if int(number) in known.get(f"{app}/{model}", {}):
                continue
            if idcs is None or _idc_of(kind, key, state) in idcs:
                found.append((kind, key))
    return tuple(found)


def _idc_of(kind: str, key: str, state: State) -> str | None:
    """Return the IDC that a row stands in, by what it refers to."""
    if kind == "idc":
        return key
    fields = state[kind][key]
    for name in ("idc", "room", "rack", "host"):
        if fields.get(name) is not None:
            return _idc_of(name, fields[name], state)
    return None
