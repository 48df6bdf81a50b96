"""Entries of IPAM."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from drcloud.cmdb.document.values import (
    Attrs,
    Cidr,
    Code,
    Count,
    Entry,
    IpAddress,
    Label,
    Service,
    Truth,
    VlanPath,
    Word,
)

Description = Annotated[str, Field(max_length=255)]


class VrfEntry(Entry):
    """A routing table of its own."""

    name: Label
    description: Description = ""
    attrs: Attrs


class FirewallZoneEntry(Entry):
    """A zone of the firewall, and the services that are open to it."""

    name: Label
    description: Description = ""
    allows: tuple[Service, ...] = ()
    attrs: Attrs


class VlanEntry(Entry):
    """A VLAN of an IDC."""

    idc: Code
    vid: Annotated[int, Field(strict=True, ge=1, le=4094)]
    name: Annotated[str, Field(max_length=64)] = ""
    attrs: Attrs


class PrefixEntry(Entry):
    """An IP prefix; one that contains others says ``aggregate: true``."""

    cidr: Cidr
    vrf: Label | None = None
    aggregate: Truth = False
    idc: Code | None = None
    vlan: VlanPath | None = None
    zone: Label | None = None
    purpose: Word = "management"
    attrs: Attrs


class AddressEntry(Entry):
    """An address that no host has yet or ever: of a VIP, of a gateway, reserved."""

    address: IpAddress
    vrf: Label | None = None
    purpose: Word
    attrs: Attrs


class AllocationEntry(Entry):
    """A number that belongs to an owner; export writes them, so that ports stay what they are."""

    pool: Annotated[str, Field(min_length=1, max_length=128)]
    owner: Annotated[str, Field(min_length=1, max_length=128)]
    value: Count
    attrs: Attrs
