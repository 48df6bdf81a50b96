"""NetBox' objects as far as we use them. Field names are NetBox' own (REST API of NetBox 4.2 to 4.7).

Other objects are named by id only. NetBox writes some moves past ``last_updated`` (a rack that moves takes
its devices along), so whatever can be asked of the object itself is not taken from those that refer to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from drcloud.cmdb.netbox.trouble import NetboxIncompleteError


def _id(value: Any) -> Any:
    """Take a nested object for its id; what we stored ourselves is the id already."""
    return value.get("id") if isinstance(value, Mapping) else value


def _word(value: Any) -> Any:
    """Take a choice (value and label) for its value."""
    return value.get("value") if isinstance(value, Mapping) else value


def _slug(value: Any) -> Any:
    return value.get("slug") if isinstance(value, Mapping) else value


def _ids(value: Any) -> Any:
    return [_id(one) for one in value] if isinstance(value, list) else value


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value))


def _interface(value: str) -> str:
    return str(ipaddress.ip_interface(value))


Id = Annotated[int, Field(strict=True, gt=0)]
Ref = Annotated[Id, BeforeValidator(_id)]
OptionalRef = Annotated[Id | None, BeforeValidator(_id)]
Refs = Annotated[tuple[Id, ...], BeforeValidator(_ids)]
Choice = Annotated[str, BeforeValidator(_word)]
OptionalChoice = Annotated[str | None, BeforeValidator(_word)]
OptionalSlug = Annotated[str | None, BeforeValidator(_slug)]
Name = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """Base of all objects."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    path: ClassVar[str]
    # What tells whether an object that was read before is still the same; empty: all are read every time.
    stamp: ClassVar[tuple[str, ...]] = ()

    id: Id

    @classmethod
    def asked(cls) -> str:
        """Return the value of ``fields=``: what NetBox is to send."""
        return ",".join(cls.model_fields)

    @property
    def source(self) -> str:
        """How the object is named in messages and in what is recorded, as ``dcim/devices/7``."""
        return f"{self.path}/{self.id}"


R = TypeVar("R", bound=Record)


class Site(Record):
    """A site: our IDC."""

    path = "dcim/sites"
    name: Name
    slug: Name


class Location(Record):
    """A place in a site; locations nest."""

    path = "dcim/locations"
    name: Name
    slug: Name
    site: Ref
    parent: OptionalRef


class Rack(Record):
    """A rack."""

    path = "dcim/racks"
    name: Name
    site: Ref
    location: OptionalRef
    u_height: Annotated[int, Field(strict=True, ge=1)]
    starting_unit: Annotated[int, Field(strict=True, ge=1)]


class DeviceRole(Record):
    """A role of devices."""

    path = "dcim/device-roles"
    name: Name
    slug: Name


class Manufacturer(Record):
    """Who makes a model."""

    path = "dcim/manufacturers"
    name: Name
    slug: Name


class DeviceType(Record):
    """A hardware model; its height comes in steps of half a unit."""

    path = "dcim/device-types"
    model: Name
    slug: Name
    manufacturer: Ref
    u_height: Annotated[float, Field(ge=0)]


class Device(Record):
    """A device; ``position`` is the lowest unit it occupies."""

    path = "dcim/devices"
    stamp = ("id", "last_updated")
    last_updated: str | None
    name: str | None
    device_type: Ref
    role: Ref
    site: Ref
    rack: OptionalRef
    position: float | None
    serial: str
    asset_tag: str | None
    primary_ip: OptionalRef
    tags: Refs


class Interface(Record):
    """An interface of a device; ``speed`` is in kbit/s. Its MAC address changes without ``last_updated``."""

    path = "dcim/interfaces"
    stamp = ("id", "last_updated", "mac_address")
    last_updated: str | None
    device: Ref
    name: Name
    type: Choice
    mac_address: str | None
    speed: int | None


class Vrf(Record):
    """A routing domain."""

    path = "ipam/vrfs"
    name: Name


class Prefix(Record):
    """An IP prefix; ``container`` is one that only holds others."""

    path = "ipam/prefixes"
    prefix: Annotated[str, AfterValidator(_network)]
    vrf: OptionalRef
    status: Choice
    role: OptionalSlug
    scope_type: str | None
    scope_id: int | None


class Address(Record):
    """An IP address with the length of its network, perhaps on an interface."""

    path = "ipam/ip-addresses"
    stamp = ("id", "last_updated")
    last_updated: str | None
    address: Annotated[str, AfterValidator(_interface)]
    vrf: OptionalRef
    role: OptionalChoice
    assigned_object_type: str | None
    assigned_object_id: int | None


class Tag(Record):
    """A word that objects are marked with."""

    path = "extras/tags"
    name: Name
    slug: Name


# What refers is read before what it refers to, so that objects made while we read are not missed.
ENDPOINTS: tuple[type[Record], ...] = (
    Address,
    Interface,
    Device,
    Rack,
    Location,
    Site,
    DeviceRole,
    DeviceType,
    Manufacturer,
    Prefix,
    Vrf,
    Tag,
)


def parse(model: type[R], value: Mapping[str, Any], url: str) -> R:
    """Return the object in an answer; what does not look like one is an error that names it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise NetboxIncompleteError(
            f"NetBox {url}: {model.path}/{value.get('id', '?')} makes no sense: {where}: {first['msg']}; "
            "nothing was written"
        ) from error
