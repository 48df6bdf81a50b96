"""Entries of what stands in front of placements."""

from __future__ import annotations

from typing import Literal

from drcloud.cmdb.document.values import (
    AddressKey,
    Attrs,
    Entry,
    Fingerprint,
    HostName,
    Label,
    Port,
    Reference,
    Text,
    Time,
    VrrpId,
    Word,
)


class VipEntry(Entry):
    """An address that moves between load balancers; the first of ``lbs`` has it while it is well."""

    name: Label
    address: AddressKey
    vrrp_id: VrrpId | None = None
    lbs: tuple[HostName, ...] = ()
    attrs: Attrs


class CertificateEntry(Entry):
    """A TLS certificate, without its key: ``private_key`` says where that is, ``pem`` where it is itself.

    ``host`` is the one it was made for, ``purpose`` what it serves there, or ``ca``.
    """

    name: Label
    subject: Text
    issuer: Text
    not_after: Time
    fingerprint: Fingerprint
    private_key: Reference | None = None
    pem: Reference | None = None
    host: HostName | None = None
    purpose: Word | None = None
    attrs: Attrs


class LbPoolEntry(Entry):
    """A port of a VIP, and the placement (``app@env``) that answers there."""

    name: Label
    vip: Label
    port: Port
    mode: Literal["http", "tcp"] = "http"
    placement: Text | None = None
    certificate: Label | None = None
    attrs: Attrs
