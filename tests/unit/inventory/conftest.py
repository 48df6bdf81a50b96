"""Rows of a small fleet, as the snapshot gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from drcloud.cmdb.snapshot import AppRow, HostKeyRow, HostRow, PlacementRow, RegistryRow, Snapshot

HOST = HostRow(
    name="dk-01",
    role="docker",
    state="active",
    idc="lab",
    room="r1",
    rack="lab/r1/a01",
    address="10.90.0.11",
    ssh_user="ops",
    ssh_port=22,
    ssh_via="bastion-01",
    serial=None,
    asset_tag=None,
    attrs={},
    block_devices=({"path": "/dev/sdb", "serial": None, "wwn": None, "purpose": "spare"},),
)


@pytest.fixture
def host() -> Callable[..., HostRow]:
    """Make a host row like dk-01 with some fields changed; an unracked one with rack=None."""

    def make(**fields: object) -> HostRow:
        rack = fields.get("rack", HOST.rack)
        idc, room, _ = rack.split("/") if isinstance(rack, str) else (None, None, None)
        return replace(HOST, **{"idc": idc, "room": room, **fields})

    return make


@pytest.fixture
def fleet(host: Callable[..., HostRow]) -> Snapshot:
    """Two Docker hosts behind a bastion and a load balancer, and one app."""
    return Snapshot(
        seq=7,
        hosts=(
            host(name="bastion-01", role="bastion", address="10.90.0.5", ssh_via=None, ssh_port=2222),
            host(),
            host(name="dk-02", address="10.90.0.12", rack="lab/r2/b01"),
            host(name="lb-01", role="lb", address="10.90.0.21"),
        ),
        host_keys=(
            HostKeyRow("dk-01", "ecdsa-sha2-nistp256", "AAAAE2VjZHNh"),
            HostKeyRow("dk-01", "ssh-ed25519", "AAAAC3NzaC1l"),
        ),
        registries=(
            RegistryRow("main", "10.90.0.31:5000", "drcloud", "file:/secrets/registry", "file:/ca.pem"),
        ),
        apps=(
            AppRow(
                "demo",
                "main",
                3,
                {
                    "image": "dianrong/demo",
                    "port": 8080,
                    "overrides": {"prod": {"health": {"path": "/ready", "interval": 5}}},
                },
            ),
        ),
        placements=(
            PlacementRow(
                app="demo",
                env="prod",
                min_in_service=1,
                batch=1,
                lb_port=80,
                hosts=("dk-02", "dk-01"),
                lbs=("lb-01",),
                ports={"dk-01": {"a": 20000, "b": 20001}, "dk-02": {"a": 20002, "b": 20003}},
            ),
        ),
        environments=("qa", "prod"),
    )
