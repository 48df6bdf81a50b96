"""The values of an import file: how names, addresses and times look, and what to say where they do not."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from drcloud import secrets
from drcloud.cmdb.declared import mac_address, moment, moment_text


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
    return secrets.require_reference(value)


def _address_key(value: str) -> str:
    address, mark, vrf = value.partition("@")
    if mark and not vrf:
        raise ValueError(f"{value!r} names no VRF: write ADDRESS or ADDRESS@VRF")
    return f"{_address(address)}{mark}{vrf}"


def _time(value: Any) -> Any:
    return moment_text(moment(value)) if isinstance(value, str) else value


def _fingerprint(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(f"{value!r} is no SHA-256 fingerprint: 64 hexadecimal digits")
    return digits


def _batch(value: Any) -> int | str:
    """Return a number of hosts, or a share of them as it is written."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})(%?)", str(value))
    if isinstance(value, bool) or found is None or (found[2] and int(found[1]) > WHOLE):
        raise ValueError(f"{value!r} is neither a number of hosts, as 2, nor a share of them, as 25%")
    return found[0] if found[2] else int(found[1])


WHOLE = 100
Batch = Annotated[int | str, BeforeValidator(_batch)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
Short = Annotated[str, Field(min_length=1, max_length=64)]
Label = Annotated[str, _matching(r"[^\W_][\w.-]*", 64, "name (letters, digits, - _ .)")]
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
VlanPath = Annotated[str, _matching(r"[^/]+/[0-9]+", 37, "VLAN: write idc/number")]
Digest = Annotated[str, _matching(r"sha256:[0-9a-f]{64}", 71, "digest (sha256:…)")]
Json = dict[str, JsonValue]
Attrs = Annotated[Json, Field(default_factory=dict)]
KeyType = Annotated[str, _matching(r"[a-z0-9@.-]+", 64, "type of an SSH key, as ssh-ed25519")]
HostState = Literal["planned", "provisioning", "active", "maintenance", "quarantined", "retired"]
AddressKey = Annotated[str, AfterValidator(_address_key)]
MacAddress = Annotated[str, AfterValidator(mac_address)]
Time = Annotated[str, AfterValidator(_time)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Ticket = Annotated[str, _matching(r"\S+", 64, "ticket without spaces")]
VrrpId = Annotated[int, Field(strict=True, ge=1, le=255)]
Unit = Annotated[int, Field(strict=True, ge=1, le=100)]
Truth = Annotated[bool, Field(strict=True)]
Service = Literal["ssh", "registry", "log", "time", "api", "apps", "lb", "lb_admin", "vrrp", "ping"]
ChangeState = Literal["draft", "approved", "open", "closed", "cancelled"]


class Entry(BaseModel):
    """Base of all entries: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def said(self, *names: str) -> dict[str, Any]:
        """Return the fields that the file names, of those given."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}
