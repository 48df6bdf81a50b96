"""Entries of hosts and what is part of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.document.values import (
    Account,
    AddressKey,
    Attrs,
    Entry,
    HostName,
    HostState,
    IpAddress,
    Json,
    KeyType,
    Label,
    MacAddress,
    Port,
    RackPath,
    Reference,
    Short,
    Unit,
    Word,
    _matching,
)

NicName = Annotated[str, _matching(r"\S+", 64, "name of a network port")]


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
    attrs: Attrs


class NicEntry(Entry):
    """A network port; ``speed_mbps`` in megabits a second."""

    name: NicName
    mac: MacAddress | None = None
    speed_mbps: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None
    attrs: Attrs


class BmcEntry(Entry):
    """The management controller; its address becomes one of the host."""

    address: AddressKey
    type: Literal["ipmi", "redfish"] = "redfish"
    credential: Reference | None = None
    attrs: Attrs


class HostAddressEntry(Entry):
    """A further address of a host, and the port that carries it."""

    address: IpAddress
    vrf: Label | None = None
    purpose: Word
    nic: NicName | None = None
    attrs: Attrs

    @field_validator("purpose")
    @classmethod
    def _is_further(cls, purpose: str) -> str:
        if purpose == PRIMARY:
            raise ValueError("a host has one management address: write it as `address` of the host")
        return purpose


class PartAttrsEntry(Entry):
    """Free fields of a part that stands in a file as a single word; export writes those there are."""

    kind: Literal["rack_slot", "host_tag", "host_key", "placement_host", "placement_lb"]
    key: Annotated[str, Field(min_length=1, max_length=512)]
    attrs: Json


class TagEntry(Entry):
    """A word that hosts are marked with."""

    name: Short
    description: Annotated[str, Field(max_length=255)] = ""
    attrs: Attrs


class HostEntry(Entry):
    """A host. ``state`` is where it begins; the CMDB never goes back to ``planned`` because of a file.

    ``unit`` is the lowest unit of the rack; the model says how many it takes. ``units`` lists them.
    ``nic`` carries the management ``address``; a host that has none yet says ``address: null``.
    """

    name: HostName
    role: Word
    model: Short | None = None
    rack: RackPath | None = None
    unit: Unit | None = None
    units: tuple[Unit, ...] = ()
    state: HostState = "planned"
    address: AddressKey | None
    nic: NicName | None = None
    addresses: tuple[HostAddressEntry, ...] = ()
    nics: tuple[NicEntry, ...] = ()
    bmc: BmcEntry | None = None
    ssh: SshEntry = SshEntry()
    block_devices: tuple[BlockDeviceEntry, ...] = ()
    host_keys: dict[KeyType, Annotated[str, Field(min_length=1, max_length=2048)]] = Field(
        default_factory=dict
    )
    tags: tuple[Short, ...] = ()
    serial: Short | None = None
    asset_tag: Short | None = None
    attrs: Attrs

    @field_validator("units")
    @classmethod
    def _one_way(cls, units: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if units and info.data.get("unit") is not None:
            raise ValueError("say either unit, the lowest one, or units, all of them")
        return units
