"""A host on a terminal: its card in parts, each a line or a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from drcloud.cli.table import plain
from drcloud.cmdb.capacity import Capacity, Disk, Share
from drcloud.cmdb.hostcard import HostCard, Placed
from drcloud.cmdb.observations import SURVEY
from drcloud.delivery import status as statuses

# Days before its end that a certificate is told in yellow.
SOON = 30
SIZES = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def size(number: float | None) -> str:
    """Return bytes as people read them: ``7.6 GiB``; ``?`` where nobody knows."""
    if number is None:
        return "?"
    for unit, name in SIZES:
        if abs(number) >= unit:
            return f"{number / unit:.4g} {name}"
    return f"{number:g} B"


def parts(card: HostCard) -> Iterator[RenderableType]:
    """Yield what is told of a host, the most important first."""
    yield Text.assemble((card.name, "bold"), f"  {card.role}, {card.state}")
    yield from _lines(card)
    yield from _capacity(card.capacity, known=card.facts is not None)
    yield from _section(
        "Placed here", ("app", "cpus", "memory", "is", "runs", "since"), map(_placed, card.placed)
    )
    yield from _section(
        "Runs here, but no placement says so",
        ("app", "slot", "runs", "status"),
        ((f"{one['app']}@{one['env']}", one["slot"], _image(one), one["status"]) for one in card.unplaced),
    )
    yield from _section(
        "Somebody else's, when it was adopted",
        ("container", "was", "image", "publishes"),
        (_foreign(one) for one in _survey(card).get("containers", ()) if not one["ours"]),
    )
    yield from _section(
        "Disks",
        ("disk", "purpose", "size", "file system", "mounted", "app", "uuid"),
        map(_disk, card.capacity.disks),
    )
    yield from _section(
        "Bridges",
        ("bridge", "mode", "nic", "containers", "mtu"),
        ((one["name"], one["mode"], one["nic"], one["containers"], one["mtu"]) for one in card.bridges),
    )
    yield from _section(
        "Certificates", ("certificate", "for", "expires", "days left"), map(_certificate, card.certificates)
    )
    yield from _section(
        "Pinned host keys", ("type", "fingerprint"), ((one.type, one.fingerprint) for one in card.keys)
    )


def _certificate(one: Mapping[str, Any]) -> tuple[Any, ...]:
    left = Text(str(one["days"]), style=_urgency(one["days"]))
    return one["name"], one["purpose"], one["not_after"], left


def _survey(card: HostCard) -> Mapping[str, Any]:
    return dict((card.facts or {}).get(SURVEY) or {})


def _foreign(one: Mapping[str, Any]) -> tuple[Any, ...]:
    published = [f"{port['host']}->{port['container']}/{port['protocol']}" for port in one["ports"]]
    return one["name"], one["status"], one["image"], ", ".join(published)


def _lines(card: HostCard) -> Iterator[Text]:
    place, facts = card.place, card.facts or {}
    ssh = f"{card.ssh['user']}, port {card.ssh['port']}"
    if card.ssh["via"]:
        ssh += f", through {card.ssh['via']}"
    engine = facts.get("engine") or {}
    system = " ".join(
        filter(
            None, ((facts.get("distribution") or {}).get("name"), (facts.get("kernel") or {}).get("release"))
        )
    )
    units = ", ".join(map(str, place["units"]))
    told = {
        "rack": (place["rack"] or "") + (f", units {units}" if units else ""),
        "hardware": ", ".join(filter(None, (place["model"], place["serial"], place["asset_tag"]))),
        "addresses": ", ".join(f"{one['address']} ({one['purpose']})" for one in card.addresses),
        "reached": f"as {ssh}",
        "tags": ", ".join(card.tags),
        "registries": ", ".join(card.serves["registries"]),
        "VIPs": ", ".join(card.serves["vips"]),
        "balances": ", ".join(card.serves["placements"]),
        "system": system,
        "engine": ", ".join(filter(None, (engine.get("version"), engine.get("storage_driver")))),
        "facts of": f"{card.facts_at:%Y-%m-%d %H:%M} UTC" if card.facts_at else "never: provision it first",
        "seen at": f"{card.observed_at:%Y-%m-%d %H:%M} UTC" if card.observed_at else "",
    }
    for name, value in told.items():
        if value:
            yield Text.assemble((f"  {name:<11}", "dim"), value)


def _capacity(found: Capacity, *, known: bool) -> Iterator[RenderableType]:
    if not known:
        return
    rows = [
        ("processors", found.cpus, lambda number: f"{number:g}"),
        ("memory", found.memory, size),
    ]
    yield from _section(
        "Capacity",
        ("", "has", "promised", "left", "for a roll", "without a limit"),
        (_share(name, share, told) for name, share, told in rows),
    )


def _share(name: str, share: Share, told: Any) -> tuple[Any, ...]:
    total, left = ("?" if value is None else told(value) for value in (share.total, share.left))
    style = "red" if share.left is not None and share.left < share.roll else ""
    return (
        name,
        total,
        told(share.promised),
        Text(left, style=style),
        told(share.roll),
        ", ".join(share.unlimited),
    )


def _placed(one: Placed) -> tuple[Any, ...]:
    style = "green" if one.state == "ok" else "red" if one.state in statuses.BAD else "dim"
    since = one.seen.started_at if one.seen else None
    return (
        f"{one.app}@{one.env}",
        "no limit" if one.cpus is None else f"{one.cpus:g}",
        "no limit" if one.memory is None else size(one.memory),
        Text(one.state, style=style),
        _image({"tag": one.seen.tag, "digest": one.seen.digest}) if one.seen else "",
        f"{since:%m-%d %H:%M}" if since else "",
    )


def _image(seen: dict[str, Any]) -> str:
    return f"{seen['tag']} {seen['digest'].removeprefix('sha256:')[:7]}"


def _disk(one: Disk) -> tuple[Any, ...]:
    if one.declared is None:
        return f"/dev/{one.name}", Text("not declared", style="dim"), size(one.size), "", "", "", ""
    disk = one.declared
    known = disk["path"] or (f"/dev/{one.name}" if one.name else "")
    name = " ".join(filter(None, (disk["serial"] or disk["wwn"], known)))
    return (
        name,
        disk["purpose"],
        size(one.size),
        disk["filesystem"],
        disk["mount"],
        disk["app"],
        disk["uuid"],
    )


def _urgency(days: int) -> str:
    return "red" if days < 0 else "yellow" if days < SOON else ""


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[RenderableType]:
    """Yield a table under its title; nothing where it has no rows."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(value if isinstance(value, Text) else Text(plain(value)) for value in row))
    if table.row_count:
        yield Text(f"\n{title}", style="bold")
        yield table
