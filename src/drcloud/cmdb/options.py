"""What an inventory source (``*.cmdb.yml``) asks for, checked once and read by plugin and command alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from drcloud.cmdb import paths
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.paths import Path
from drcloud.cmdb.selection import FILTERS, Selection
from drcloud.errors import InvalidInputError

Duplicates = Literal["error", "qualify", "skip"]

# How to connect: always there, for without them a host cannot be reached as the CMDB says.
CONNECTION = ("ansible_host", "ansible_port", "ansible_user", "ansible_ssh_common_args")
USUAL = (
    "dr_idc",
    "dr_room",
    "dr_rack",
    "dr_role",
    "dr_state",
    "dr_serial",
    "dr_asset_tag",
    "dr_attrs",
    "dr_block_devices",
    "dr_bridges",
    "dr_placements",
    "dr_lb_pools",
    "dr_vips",
)
# Variables that are there only when a source names them.
ON_REQUEST = ("dr_addresses", "dr_model", "dr_name", "dr_rack_unit", "dr_tags")
FIELDS = (*USUAL, *ON_REQUEST)
HOSTNAMES = {
    "name": ("dr_name",),
    "serial": ("dr_serial",),
    "asset_tag": ("dr_asset_tag",),
    "address": ("ansible_host",),
}
BY_NAME: tuple[Path, ...] = (("dr_name",),)


# The options that ``parse`` reads.
NAMES = (
    *FILTERS,
    "where",
    "allow_empty",
    "fields",
    "hostname",
    "duplicates",
    "group_by",
    "as_of",
    "drift",
    "compose",
    "groups",
    "keyed_groups",
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a source that decide which hosts, variables and groups there are."""

    selection: Selection = field(default_factory=Selection)
    where: str | None = None
    fields: tuple[str, ...] = USUAL
    hostname: tuple[Path, ...] = BY_NAME
    duplicates: Duplicates = "error"
    group_by: tuple[tuple[Path, ...], ...] = ()
    as_of: str | None = None
    drift: bool = False
    allow_empty: bool = False
    compose: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)
    keyed_groups: tuple[Any, ...] = ()

    @property
    def needed(self) -> frozenset[str]:
        """The variables that are emitted, or that something in the source reads."""
        read = {path[0] for path in self.hostname if path != BY_NAME[0]}
        read |= {path[0] for levels in self.group_by for path in levels}
        texts = " ".join(_texts([self.where, self.compose, self.groups, self.keyed_groups]))
        mentioned = set(re.findall(r"\w+", texts))
        if "vars" in mentioned:
            mentioned |= set(FIELDS)
        return frozenset(self.fields) | read | mentioned & set(FIELDS)

    @property
    def hidden(self) -> frozenset[str]:
        """The variables that are only read: hosts do not show them."""
        return self.needed - frozenset(self.fields) - frozenset(CONNECTION)


def parse(options: Mapping[str, Any]) -> Options:
    """Return the options of a mapping; InvalidInputError names the option that is wrong."""
    if options.get("as_of") and options.get("drift"):
        raise InvalidInputError(
            "option drift: it compares with what was observed last, and as_of asks for the past; take one out"
        )
    return Options(
        selection=Selection(**{name: _words(options, name) for name in FILTERS}),
        where=_text(options, "where"),
        fields=_fields(options),
        hostname=_hostname(options),
        duplicates=_duplicates(options),
        group_by=_group_by(options),
        as_of=_text(options, "as_of"),
        drift=bool(options.get("drift")),
        allow_empty=bool(options.get("allow_empty")),
        compose=options.get("compose") or {},
        groups=options.get("groups") or {},
        keyed_groups=tuple(_list(options, "keyed_groups")),
    )


def _fields(options: Mapping[str, Any]) -> tuple[str, ...]:
    if options.get("fields") is None:
        return USUAL
    names = tuple(
        name if name.startswith(paths.PREFIX) else paths.PREFIX + name for name in _words(options, "fields")
    )
    for name in names:
        if name not in FIELDS:
            hint = meant(name, FIELDS) or f"known are {', '.join(FIELDS)}"
            raise InvalidInputError(f"option fields: there is no host variable {name!r}: {hint}")
    return names


def _hostname(options: Mapping[str, Any]) -> tuple[Path, ...]:
    words = _words(options, "hostname") or ("name",)
    return tuple(
        HOSTNAMES.get(word) or paths.parse(word, "hostname", {*FIELDS, *CONNECTION, *HOSTNAMES})
        for word in words
    )


def _duplicates(options: Mapping[str, Any]) -> Duplicates:
    value = options.get("duplicates") or "error"
    for known in get_args(Duplicates):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise InvalidInputError(f"option duplicates: {value!r} is none of {', '.join(get_args(Duplicates))}")


def _group_by(options: Mapping[str, Any]) -> tuple[tuple[Path, ...], ...]:
    found = tuple(_levels(entry) for entry in _list(options, "group_by"))
    meant_by: dict[str, Path] = {}
    for path in (path for levels in found for path in levels):
        other = meant_by.setdefault(paths.label(path), path)
        if other != path:
            raise InvalidInputError(
                f"option group_by: groups by {'.'.join(other)} and by {'.'.join(path)} would share names; "
                "take one out"
            )
    return found


def _levels(entry: Any) -> tuple[Path, ...]:
    texts = [entry] if isinstance(entry, str) else entry
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidInputError(
            f"option group_by: {entry!r} is neither a path nor a list of paths, outermost first"
        )
    return tuple(paths.parse(plain(text), "group_by", {*FIELDS, *CONNECTION}) for text in texts)


def _list(options: Mapping[str, Any], name: str) -> list[Any]:
    value = options.get(name) or []
    if not isinstance(value, list):
        raise InvalidInputError(f"option {name}: it is a list, not {value!r}")
    return value


def _words(options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = options.get(name)
    words = [] if value is None else value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidInputError(f"option {name}: it is a name or a list of names, not {value!r}")
    return tuple(dict.fromkeys(plain(word).strip() for word in words))


def _text(options: Mapping[str, Any], name: str) -> str | None:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool | int):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"option {name}: it is a text, not {value!r}")
    return value


def plain(text: str) -> str:
    """Return a text as a plain ``str``: Ansible's carry marks that databases do not know."""
    return str.__str__(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
