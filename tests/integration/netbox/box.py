"""A NetBox to be filled over its own API, be it the real one or the stand-in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from drcloud.cmdb.netbox.client import Access

# In this order nothing is in the way of a deletion.
PATHS = (
    "ipam/ip-addresses",
    "dcim/devices",
    "dcim/racks",
    "dcim/locations",
    "ipam/prefixes",
    "ipam/vrfs",
    "ipam/roles",
    "dcim/device-types",
    "dcim/manufacturers",
    "dcim/device-roles",
    "dcim/sites",
    "extras/tags",
)


@dataclass
class Box:
    """A NetBox and a token that may write."""

    url: str
    token: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Token {self.token}"}
        # Without TLS there is nobody to trust, and loading the authorities costs 0.1 s.
        self.http = httpx.Client(base_url=f"{self.url}/api/", headers=headers, timeout=60, verify=False)

    @property
    def access(self) -> Access:
        return Access.make(self.url, self.token)

    def make(self, path: str, **fields: Any) -> int:
        """Make an object and return its id."""
        return int(self._done(self.http.post(f"{path}/", json=fields)).json()["id"])

    def change(self, path: str, number: int, **fields: Any) -> None:
        self._done(self.http.patch(f"{path}/{number}/", json=fields))

    def remove(self, path: str, number: int) -> None:
        self._done(self.http.delete(f"{path}/{number}/"))

    def listed(self, path: str, **params: Any) -> list[dict[str, Any]]:
        return list(self._done(self.http.get(f"{path}/", params={"limit": 1000, **params})).json()["results"])

    def clear(self) -> None:
        """Delete everything."""
        for path in PATHS:
            if known := [{"id": row["id"]} for row in self.listed(path, fields="id")]:
                self._done(self.http.request("DELETE", f"{path}/", json=known))

    @staticmethod
    def _done(response: httpx.Response) -> httpx.Response:
        assert response.is_success, f"{response.request.url}: {response.status_code} {response.text[:500]}"
        return response


@dataclass
class Company:
    """Some objects in the shape of a real company, and their ids."""

    box: Box
    site: int = 0
    room: int = 0
    rack: int = 0
    shelf: int = 0
    docker: int = 0
    model: int = 0
    web: int = 0
    db: int = 0
    eth: int = 0
    ip: int = 0
    prefix: int = 0
    tag: int = 0

    def found(self) -> Company:
        """Make them."""
        make = self.box.make
        self.site = make("dcim/sites", name="北京一号", slug="bj1", status="active")
        building = make("dcim/locations", name="Building 3", slug="b3", site=self.site)
        self.room = make("dcim/locations", name="三层机房", slug="r1", site=self.site, parent=building)
        self.rack = make("dcim/racks", name="A/01", site=self.site, location=self.room, u_height=42)
        self.shelf = make("dcim/racks", name="机柜 02", site=self.site, u_height=24)
        self.docker = make("dcim/device-roles", name="Docker host", slug="docker", color="00ff00")
        maker = make("dcim/manufacturers", name="Dell", slug="dell")
        self.model = make("dcim/device-types", manufacturer=maker, model="R740", slug="r740", u_height=2)
        self.tag = make("extras/tags", name="Core service", slug="core-service")
        make("ipam/prefixes", prefix="10.20.0.0/16", status="container")
        self.prefix = make("ipam/prefixes", prefix="10.20.1.0/24", scope_type="dcim.site", scope_id=self.site)
        self.web = self.device(
            "web-01", rack=self.rack, position=10, face="front", serial="SN1", tags=[self.tag]
        )
        self.eth = self.port(self.web, "eth0", mac_address="52:54:00:AB:CD:01", speed=10_000_000)
        self.ip = self.address("10.20.1.11/24", self.eth, primary_of=self.web)
        self.db = self.device("DB_01", rack=self.shelf, asset_tag="A-77")
        self.address("10.20.1.12/24", self.port(self.db, "eth0"), primary_of=self.db)
        return self

    def device(self, name: str | None, **fields: Any) -> int:
        known = {"site": self.site, "role": self.docker, "device_type": self.model, "status": "active"}
        return self.box.make("dcim/devices", **{**known, "name": name, **fields})

    def port(self, device: int, name: str, **fields: Any) -> int:
        return self.box.make("dcim/interfaces", **{"device": device, "name": name, "type": "other", **fields})

    def address(self, address: str, port: int | None, primary_of: int | None = None, **fields: Any) -> int:
        on_it = {} if port is None else {"assigned_object_type": "dcim.interface", "assigned_object_id": port}
        number = self.box.make("ipam/ip-addresses", address=address, **on_it, **fields)
        if primary_of is not None:
            self.box.change("dcim/devices", primary_of, primary_ip4=number)
        return number
