"""The whole import file: its sections, and what pydantic finds wrong in words of the file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from drcloud.cmdb import appspec
from drcloud.cmdb.document.apps import (
    AppConfigEntry,
    AppEntry,
    AppSpecVersionEntry,
    ChannelEntry,
    EnvironmentEntry,
    PlacementEntry,
    RegistryEntry,
    ReleaseEntry,
)
from drcloud.cmdb.document.balancing import CertificateEntry, LbPoolEntry, VipEntry
from drcloud.cmdb.document.control import ChangeEntry, ScheduleEntry, WaiverEntry
from drcloud.cmdb.document.machines import HostEntry, PartAttrsEntry, TagEntry
from drcloud.cmdb.document.network import (
    AddressEntry,
    AllocationEntry,
    FirewallZoneEntry,
    PrefixEntry,
    VlanEntry,
    VrfEntry,
)
from drcloud.cmdb.document.places import HardwareModelEntry, IdcEntry
from drcloud.cmdb.document.values import Entry
from drcloud.cmdb.importfile import Problem, Source
from drcloud.errors import InvalidInputError

FORMAT = 1


def _section(value: Any) -> Any:
    """Take a section without entries as an empty one."""
    return () if value is None else value


class Document(Entry):
    """A whole import file."""

    drcloud: Literal[1]
    idcs: Annotated[tuple[IdcEntry, ...], BeforeValidator(_section)] = ()
    environments: Annotated[tuple[EnvironmentEntry, ...], BeforeValidator(_section)] = ()
    hardware_models: Annotated[tuple[HardwareModelEntry, ...], BeforeValidator(_section)] = ()
    vrfs: Annotated[tuple[VrfEntry, ...], BeforeValidator(_section)] = ()
    vlans: Annotated[tuple[VlanEntry, ...], BeforeValidator(_section)] = ()
    firewall_zones: Annotated[tuple[FirewallZoneEntry, ...], BeforeValidator(_section)] = ()
    prefixes: Annotated[tuple[PrefixEntry, ...], BeforeValidator(_section)] = ()
    addresses: Annotated[tuple[AddressEntry, ...], BeforeValidator(_section)] = ()
    registries: Annotated[tuple[RegistryEntry, ...], BeforeValidator(_section)] = ()
    tags: Annotated[tuple[TagEntry, ...], BeforeValidator(_section)] = ()
    hosts: Annotated[tuple[HostEntry, ...], BeforeValidator(_section)] = ()
    apps: Annotated[tuple[AppEntry, ...], BeforeValidator(_section)] = ()
    app_spec_versions: Annotated[tuple[AppSpecVersionEntry, ...], BeforeValidator(_section)] = ()
    app_configs: Annotated[tuple[AppConfigEntry, ...], BeforeValidator(_section)] = ()
    placements: Annotated[tuple[PlacementEntry, ...], BeforeValidator(_section)] = ()
    allocations: Annotated[tuple[AllocationEntry, ...], BeforeValidator(_section)] = ()
    releases: Annotated[tuple[ReleaseEntry, ...], BeforeValidator(_section)] = ()
    channels: Annotated[tuple[ChannelEntry, ...], BeforeValidator(_section)] = ()
    vips: Annotated[tuple[VipEntry, ...], BeforeValidator(_section)] = ()
    certificates: Annotated[tuple[CertificateEntry, ...], BeforeValidator(_section)] = ()
    lb_pools: Annotated[tuple[LbPoolEntry, ...], BeforeValidator(_section)] = ()
    changes: Annotated[tuple[ChangeEntry, ...], BeforeValidator(_section)] = ()
    waivers: Annotated[tuple[WaiverEntry, ...], BeforeValidator(_section)] = ()
    schedules: Annotated[tuple[ScheduleEntry, ...], BeforeValidator(_section)] = ()
    part_attrs: Annotated[tuple[PartAttrsEntry, ...], BeforeValidator(_section)] = ()


def parse(file: Source) -> Document:
    """Return the document in a file; the error lists everything that is wrong with its form."""
    _require_format(file)
    try:
        return Document.model_validate(file.value)
    except ValidationError as error:
        file.fail(_problem(details) for details in error.errors())
        raise


def _require_format(file: Source) -> None:
    begin = f"a CMDB file is a mapping that begins with `drcloud: {FORMAT}`"
    if not isinstance(file.value, Mapping):
        raise InvalidInputError(f"{file.name}:{file.line(())}: {begin}")
    if "drcloud" not in file.value:
        raise InvalidInputError(f"{file.name}:{file.line(())}: drcloud: is missing: {begin}")
    if file.value["drcloud"] != FORMAT or isinstance(file.value["drcloud"], bool):
        where = f"{file.name}:{file.line(('drcloud',))}"
        raise InvalidInputError(
            f"{where}: drcloud: this program reads format {FORMAT}, not {file.value['drcloud']!r}"
        )


def _problem(details: ErrorDetails) -> Problem:
    return Problem(tuple(step for step in details["loc"] if step != "[key]"), sentence(details))


def sentence(details: ErrorDetails) -> str:
    """Return what pydantic finds wrong, in words that follow the name of the field."""
    say = _SENTENCES.get(details["type"])
    return say(details) if say else f"{details['msg'][:1].lower()}{details['msg'][1:]}"


def _instead(wanted: str) -> Callable[[ErrorDetails], str]:
    return lambda details: f"must be {wanted}, not {_shown(details['input'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value) if isinstance(value, (str, int, float)) else f"{value} ({type(value).__name__})"


def _text_instead(details: ErrorDetails) -> str:
    scalar = not isinstance(details["input"], (dict, list, type(None)))
    return _instead("text")(details) + (": put it in quotes" if scalar else "")


def _unknown(details: ErrorDetails) -> str:
    names = _fields_at(details["loc"][:-1])
    close = difflib.get_close_matches(str(details["loc"][-1]), names, n=1)
    return f"there is no such field{f': did you mean {close[0]}?' if close else ''}"


def _fields_at(location: tuple[str | int, ...]) -> list[str]:
    """Return the fields of the entry at a location, by walking the types of the document."""
    model: Any = Document
    for step in location:
        if isinstance(step, str) and hasattr(model, "model_fields"):
            model = _model_in(model.model_fields[step].annotation) if step in model.model_fields else None
    return list(getattr(model, "model_fields", ()))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def _pattern(details: ErrorDetails) -> str:
    """Return which form a text must have; a pattern without words is told as it is."""
    pattern = details["ctx"]["pattern"]
    return _instead(appspec.WORDS.get(pattern, f"of the form {pattern}"))(details)


def _limit(name: str, words: str) -> Callable[[ErrorDetails], str]:
    def say(details: ErrorDetails) -> str:
        limit = details["ctx"][name]
        return _instead(words.format(f"{limit:g}" if isinstance(limit, float) else limit))(details)

    return say


_number = _instead("a number")
_whole_number = _instead("a whole number")
_list = _instead("a list")
_mapping = _instead("a mapping")
_SENTENCES: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": _unknown,
    "value_error": lambda details: str(details["ctx"]["error"]),
    "string_type": _text_instead,
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda details: f"must have at most {details['ctx']['max_length']} characters",
    "string_pattern_mismatch": _pattern,
    "float_type": _number,
    "float_parsing": _number,
    "finite_number": _number,
    "int_type": _whole_number,
    "int_parsing": _whole_number,
    "int_from_float": _whole_number,
    "tuple_type": _list,
    "list_type": _list,
    "bool_type": _instead("true or false"),
    "too_short": lambda _: "must not be empty",
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "invalid-json-value": _instead("text, a number, true, false, null, a list or a mapping"),
    "literal_error": lambda details: _instead(f"one of {details['ctx']['expected']}")(details),
    "greater_than_equal": _limit("ge", "{} or more"),
    "greater_than": _limit("gt", "more than {}"),
    "less_than_equal": _limit("le", "{} or less"),
    "less_than": _limit("lt", "less than {}"),
}
