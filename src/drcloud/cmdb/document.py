"""The import file: its sections and fields, and what pydantic finds wrong in words of the file.

A field that the file leaves out is left alone in the CMDB; ``null`` empties an optional one.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.importfile import Problem, Source
from drcloud.errors import InvalidInputError

FORMAT = 1


def _matching(pattern: str, longest: int, what: str) -> AfterValidator:
    known = re.compile(pattern)

    def check(value: str) -> str:
        if len(value) > longest or not known.fullmatch(value):
            raise ValueError(f"{value!r} is no {what} of at most {longest} characters")
        return value

    return AfterValidator(check)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address") from None


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        try:
            meant = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is no IP prefix like 10.90.0.0/24") from None
        raise ValueError(f"{value!r} is an address in a prefix: write {meant}") from None


def _reference(value: str) -> str:
    if not re.fullmatch(r"(env|file):\S.*", value):
        raise ValueError("must be a reference, env:NAME or file:PATH, never the secret itself")
    return value


Text = Annotated[str, Field(min_length=1, max_length=255)]
Short = Annotated[str, Field(min_length=1, max_length=64)]
Code = Annotated[str, _matching(r"[^\W_][\w.-]*", 32, "code (letters, digits, - _ .)")]
HostName = Annotated[str, _matching(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", 64, "host name (a-z, 0-9, - .)")]
AppName = Annotated[str, _matching(r"[a-z]([a-z0-9-]*[a-z0-9])?", 64, "app name (a-z, 0-9, -)")]
EnvName = Annotated[str, _matching(r"[a-z]([a-z0-9-]*[a-z0-9])?", 32, "environment name (a-z, 0-9, -)")]
Word = Annotated[str, _matching(r"[a-z][a-z0-9_-]*", 32, "word (a-z, 0-9, - _)")]
RackPath = Annotated[str, _matching(r"[^/]+/[^/]+/[^/]+", 98, "rack: write idc/room/rack")]
Account = Annotated[str, _matching(r"[a-z_][a-z0-9_.-]*\$?", 32, "user name")]
IpAddress = Annotated[str, AfterValidator(_address)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Reference = Annotated[str, Field(max_length=255), AfterValidator(_reference)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Digest = Annotated[str, _matching(r"sha256:[0-9a-f]{64}", 71, "digest (sha256:…)")]
Attrs = dict[str, JsonValue]
KeyType = Annotated[str, _matching(r"[a-z0-9@.-]+", 64, "type of an SSH key, as ssh-ed25519")]
HostState = Literal["planned", "provisioning", "active", "maintenance", "quarantined", "retired"]


class Entry(BaseModel):
    """Base of all entries: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def said(self, *names: str) -> dict[str, Any]:
        """Return the fields that the file names, of those given."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class RoomEntry(Entry):
    """A room and the codes of its racks."""

    code: Code
    name: Text = ""
    racks: tuple[Code, ...] = ()
    attrs: Attrs = {}


class IdcEntry(Entry):
    """A data centre."""

    code: Code
    name: Text = ""
    rooms: tuple[RoomEntry, ...] = ()
    attrs: Attrs = {}


class EnvironmentEntry(Entry):
    """An environment."""

    name: EnvName
    attrs: Attrs = {}


class PrefixEntry(Entry):
    """An IP prefix."""

    cidr: Cidr
    idc: Code | None = None
    purpose: Word = "management"
    attrs: Attrs = {}


class RegistryEntry(Entry):
    """An image registry: on a host of the CMDB, or elsewhere by its endpoint."""

    name: Word
    host: HostName | None = None
    endpoint: Text | None = None
    port: Port = 5000
    username: Short | None = None
    password: Reference | None = None
    ca: Reference | None = None
    attrs: Attrs = {}


class SshEntry(Entry):
    """How a host is reached; ``via`` names the bastion."""

    user: Account = "root"
    port: Port = 22
    via: HostName | None = None


class BlockDeviceEntry(Entry):
    """A raw disk by serial, WWN or path."""

    path: Annotated[str, _matching(r"/dev/\S+", 255, "path below /dev")] | None = None
    serial: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    wwn: Short | None = None
    purpose: Literal["docker-data", "app-volume", "raw", "spare"]
    attrs: Attrs = {}


class HostEntry(Entry):
    """A host. ``state`` is where it begins; the CMDB never goes back to ``planned`` because of a file."""

    name: HostName
    role: Word
    rack: RackPath | None = None
    state: HostState = "planned"
    address: IpAddress
    ssh: SshEntry = SshEntry()
    block_devices: tuple[BlockDeviceEntry, ...] = ()
    host_keys: dict[KeyType, Annotated[str, Field(min_length=1, max_length=2048)]] = {}
    serial: Short | None = None
    asset_tag: Short | None = None
    attrs: Attrs = {}


class AppEntry(Entry):
    """An app; ``registry`` may be left out where there is only one."""

    name: AppName
    registry: Word | None = None
    spec: AppSpec
    attrs: Attrs = {}


class PlacementEntry(Entry):
    """Where an app runs in an environment, and how a roll may proceed."""

    app: AppName
    env: EnvName
    hosts: Annotated[tuple[HostName, ...], Field(min_length=1)]
    min_in_service: Count = 0
    batch: Annotated[int, Field(strict=True, ge=1)] = 1
    lb_port: Port | None = None
    lbs: tuple[HostName, ...] = ()
    attrs: Attrs = {}


class AllocationEntry(Entry):
    """A number that belongs to an owner; export writes them, so that ports stay what they are."""

    pool: Annotated[str, Field(min_length=1, max_length=128)]
    owner: Annotated[str, Field(min_length=1, max_length=128)]
    value: Count


class ReleaseEntry(Entry):
    """A built image of an app."""

    app: AppName
    tag: Annotated[str, Field(min_length=1, max_length=128)]
    digest: Digest
    git_ref: Text | None = None
    build: Text | None = None
    attrs: Attrs = {}


class ChannelEntry(Entry):
    """A moving tag and the digest it points at."""

    app: AppName
    tag: Annotated[str, Field(min_length=1, max_length=128)]
    release: Annotated[str, Field(min_length=1, max_length=128)]
    digest: Digest


class ScheduleEntry(Entry):
    """A playbook that runs by the calendar."""

    name: Word
    playbook: Text
    calendar: Annotated[str, Field(min_length=1, max_length=128)]
    inventory: Text | None = None
    attrs: Attrs = {}


def _section(value: Any) -> Any:
    """Take a section without entries as an empty one."""
    return () if value is None else value


class Document(Entry):
    """A whole import file."""

    drcloud: Literal[1]
    idcs: Annotated[tuple[IdcEntry, ...], BeforeValidator(_section)] = ()
    environments: Annotated[tuple[EnvironmentEntry, ...], BeforeValidator(_section)] = ()
    prefixes: Annotated[tuple[PrefixEntry, ...], BeforeValidator(_section)] = ()
    registries: Annotated[tuple[RegistryEntry, ...], BeforeValidator(_section)] = ()
    hosts: Annotated[tuple[HostEntry, ...], BeforeValidator(_section)] = ()
    apps: Annotated[tuple[AppEntry, ...], BeforeValidator(_section)] = ()
    placements: Annotated[tuple[PlacementEntry, ...], BeforeValidator(_section)] = ()
    allocations: Annotated[tuple[AllocationEntry, ...], BeforeValidator(_section)] = ()
    releases: Annotated[tuple[ReleaseEntry, ...], BeforeValidator(_section)] = ()
    channels: Annotated[tuple[ChannelEntry, ...], BeforeValidator(_section)] = ()
    schedules: Annotated[tuple[ScheduleEntry, ...], BeforeValidator(_section)] = ()
    lb_pools: Annotated[tuple[()], BeforeValidator(_section)] = ()


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


_whole_number = _instead("a whole number")
_list = _instead("a list")
_mapping = _instead("a mapping")
_SENTENCES: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": _unknown,
    "value_error": lambda details: str(details["ctx"]["error"]),
    "string_type": _text_instead,
    "string_too_short": lambda _: "must not be empty",
    "int_type": _whole_number,
    "int_parsing": _whole_number,
    "int_from_float": _whole_number,
    "tuple_type": _list,
    "list_type": _list,
    "too_long": lambda _: "are derived from placements: leave them out",
    "too_short": lambda _: "must not be empty",
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "invalid-json-value": _instead("text, a number, true, false, null, a list or a mapping"),
    "literal_error": lambda details: _instead(f"one of {details['ctx']['expected']}")(details),
    "greater_than_equal": lambda details: _instead(f"{details['ctx']['ge']} or more")(details),
    "less_than_equal": lambda details: _instead(f"{details['ctx']['le']} or less")(details),
}
