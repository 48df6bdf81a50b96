"""Entries of hosts and what is part of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.document.values import (
    Account,
    AddressKey,
    AppName,
    Attrs,
    Cidr,
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
# What Linux takes as the name of an interface: 15 bytes (IFNAMSIZ), no slash, colon or space.
LinkName = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9_.-]*", 15, "name of a network interface")]
MountPoint = Annotated[str, _matching(r"(/[A-Za-z0-9_.@+-]+)+", 255, "absolute path without spaces")]
FsUuid = Annotated[str, _matching(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", 36, "UUID in small letters")]


class SshEntry(Entry):
    """How a host is reached; ``via`` names the bastion."""

    user: Account = "root"
    port: Port = 22
    via: HostName | None = None


class BlockDeviceEntry(Entry):
    """A raw disk by serial, WWN or path, and what is made of it.

    ``uuid`` is recorded when the file system is made, or a raw disk handed over; ``mount`` is where an app's
    volume is mounted.
    """

    path: Annotated[str, _matching(r"/dev/\S+", 255, "path below /dev")] | None = None
    serial: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    wwn: Short | None = None
    purpose: Literal["docker-data", "app-volume", "raw", "spare"]
    filesystem: Literal["xfs", "ext4"] | None = None
    mount: MountPoint | None = None
    uuid: FsUuid | None = None
    app: AppName | None = None
    attrs: Attrs

    @field_validator("mount")
    @classmethod
    def _has_no_way_up(cls, mount: str | None) -> str | None:
        if mount and {".", ".."} & set(mount.split("/")):
            raise ValueError(f"{mount!r} goes up or nowhere: write the path without . and ..")
        return mount


class BridgeEntry(Entry):
    """A bridge for containers; one of ``uplink`` takes over ``nic``; ``mtu`` in bytes.

    ``containers`` is the aggregate that the host's subnet of ``length`` is carved from.
    """

    name: LinkName
    mode: Literal["nat", "uplink"]
    nic: LinkName | None = None
    containers: Cidr | None = None
    length: Annotated[int, Field(strict=True, ge=1, le=128)] | None = None
    mtu: Annotated[int, Field(strict=True, ge=68, le=65535)] | None = None
    ipv6: Cidr | None = None
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

    kind: Literal["rack_slot", "host_tag", "host_key", "placement_host", "placement_lb", "vip_lb"]
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
    bridges: tuple[BridgeEntry, ...] = ()
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
