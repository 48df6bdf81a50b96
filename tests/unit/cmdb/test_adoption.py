"""What of a host that somebody else set up becomes declared, and what is only told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from drcloud.cmdb import adoption, importer, observations
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import ChangeLog, HostFact
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

UUID = "0b8a3c1e-2f1d-4b7e-9a55-6d7f3e2c1b00"
ENGINE = {"version": "20.10.24", "data_root": "/var/lib/docker", "live_restore": True, "swarm": False}


def network(name: str = "shop", **fields: Any) -> dict[str, Any]:
    plain = {"driver": "bridge", "bridge": name, "subnets": ["172.30.0.0/16"], "mtu": None}
    return {"name": name, **plain, "internal": False, "ipv6": False, "containers": [], "nics": [], **fields}


def disk(path: str = "/dev/sdb", **fields: Any) -> dict[str, Any]:
    plain = {"serial": None, "wwn": None, "size": 10**12, "filesystem": None, "uuid": None, "mounts": []}
    return {"path": path, **plain, "system": False, "partitions": [], "uses": [], **fields}


def container(name: str = "web", **fields: Any) -> dict[str, Any]:
    plain = {"ours": False, "image": "nginx:1.27", "status": "running", "ports": [], "mounts": []}
    return {"name": name, **plain, "network_mode": "bridge", "privileged": False, **fields}


def survey(**fields: Any) -> dict[str, Any]:
    return {"engine": ENGINE, "networks": [], "containers": [], "disks": [], **fields}


def test_a_network_whose_bridge_has_its_name_is_declared_as_it_is() -> None:
    found = adoption.plan(survey(networks=[network(), network("jumbo", mtu=9000)]))
    assert found.bridges == (
        {"name": "shop", "mode": "nat"},
        {"name": "jumbo", "mode": "nat", "mtu": 9000},
    )
    assert found.notes == ()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"bridge": "br-0123456789ab"}, "its Linux bridge is called br-0123456789ab"),
        ({"driver": "macvlan", "bridge": None}, "its driver is macvlan"),
        ({"nics": ["eth1"]}, "its bridge shop carries eth1"),
        ({"internal": True}, "it is internal"),
        ({"ipv6": True}, "it has IPv6"),
    ],
)
def test_a_network_that_cannot_be_had_as_it_is_is_told_of(fields: dict[str, Any], why: str) -> None:
    found = adoption.plan(survey(networks=[network(**fields)]))
    assert found.bridges == ()
    assert len(found.notes) == 1
    assert why in found.notes[0]


def test_disks_are_what_they_are_used_as() -> None:
    disks = [
        disk("/dev/sda", system=True, partitions=["sda1"]),
        disk(serial="D1", filesystem="xfs", uuid=UUID, mounts=["/var/lib/docker"]),
        disk(wwn="0x5000", filesystem="ext4", uuid=UUID, mounts=["/srv/shop"]),
        disk("/dev/sdd", filesystem="ext4", uuid=UUID, mounts=["/a", "/b"]),
        disk("/dev/sde", partitions=["sde1"], uses=["held by dm-0"]),
        disk("/dev/sdf"),
    ]
    found = adoption.plan(survey(disks=disks))
    ours = {"filesystem": "xfs", "uuid": UUID}
    assert found.block_devices == (
        {"serial": "D1", "purpose": "docker-data", **ours},
        {"wwn": "0x5000", "purpose": "app-volume", "mount": "/srv/shop", **ours, "filesystem": "ext4"},
        {"path": "/dev/sdd", "purpose": "spare"},
        {"path": "/dev/sde", "purpose": "spare"},
        {"path": "/dev/sdf", "purpose": "spare"},
    )
    assert found.notes == (
        "disk /dev/sdd: declared spare, never touched (ext4 file system)",
        "disk /dev/sde: declared spare, never touched (held by dm-0, partition sde1)",
        "disk /dev/sda: it carries the operating system and is not declared",
    )


def test_what_is_declared_is_not_declared_twice() -> None:
    seen = survey(networks=[network()], disks=[disk(serial="D1"), disk("/dev/sdc")])
    known = [{"serial": "D1", "purpose": "raw"}, {"path": "/dev/sdc", "purpose": "raw"}]
    assert adoption.plan(seen, [{"name": "shop", "mode": "nat"}], known) == adoption.Adoption()


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (None, "no Docker Engine answers there"),
        ({**ENGINE, "live_restore": False}, "1 containers are restarted with it (web)"),
        ({**ENGINE, "data_root": "/data/docker"}, "docker_engine_extra_options to {data-root: /data/docker}"),
        ({**ENGINE, "swarm": True}, "docker swarm leave"),
    ],
)
def test_what_provisioning_would_do_to_the_engine_is_told(engine: Any, why: str) -> None:
    first, *_rest = adoption.plan(survey(engine=engine, containers=[container()])).notes
    assert why in first


def test_containers_are_told_of() -> None:
    one = container(
        ports=[{"container": 80, "protocol": "tcp", "address": "0.0.0.0", "host": 8080}],
        mounts=[{"target": "/data"}],
        privileged=True,
        network_mode="host",
    )
    found = adoption.plan(survey(containers=[one, container("ours", ours=True)]))
    assert found.notes == (
        "container web: running, nginx:1.27; publishes 8080->80/tcp; uses the host's own network; "
        "is privileged; mounts /data",
    )


@pytest.fixture
def declared(store: Store, tmp_path: Path) -> Store:
    document = {
        "drcloud": 1,
        "hosts": [
            {
                "name": "web-07",
                "role": "docker",
                "address": None,
                "block_devices": [{"path": "/dev/sdz", "purpose": "raw"}],
            },
            {"name": "lb-07", "role": "lb", "address": None},
            {"name": "dk-07", "role": "docker", "address": None, "state": "active"},
        ],
    }
    file = tmp_path / "idc.yml"
    file.write_text(yaml.safe_dump(document))
    importer.import_files(store, importer.Request((file,)))
    return store


def test_adopting_adds_to_what_is_declared_and_a_second_time_nothing(declared: Store) -> None:
    seen = survey(networks=[network()], disks=[disk(filesystem="xfs", uuid=UUID, mounts=["/var/lib/docker"])])
    foretold = adoption.adopt(declared, "web-07", seen, reason="moves in", dry_run=True)
    done = adoption.adopt(declared, "web-07", seen, reason="moves in")
    assert foretold.outcome.changes == done.outcome.changes
    assert sorted((one.kind, one.action) for one in done.outcome.changes) == [
        ("block_device", "create"),
        ("bridge", "create"),
    ]
    with declared.read() as session:
        host = session.scalars(select(Host).where(Host.name == "web-07")).one()
        assert sorted(one.purpose for one in host.block_devices) == ["docker-data", "raw"]
        assert session.scalars(select(ChangeLog.reason).order_by(ChangeLog.id.desc())).first() == "moves in"
    assert adoption.adopt(declared, "web-07", seen, reason="again").outcome.changes == ()


@pytest.mark.parametrize(
    ("host", "error", "why"),
    [
        ("lb-07", InvalidInputError, "only Docker hosts are adopted"),
        ("dk-07", InvalidInputError, "host dk-07 is active"),
        ("web-99", NotFoundError, "web-99"),
    ],
)
def test_who_cannot_be_adopted_is_told_why(
    declared: Store, host: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        adoption.adopt(declared, host, survey(), reason="test")


def test_a_survey_outlives_later_facts(declared: Store) -> None:
    observations.record_facts(declared, "web-07", {"hostname": "web-07"})
    observations.record_survey(declared, "web-07", survey(notes=["see to it"]))
    observations.record_facts(declared, "web-07", {"hostname": "other"})
    with declared.read() as session:
        facts = session.scalars(select(HostFact.facts)).one()
    assert facts["hostname"] == "other"
    assert facts["survey"]["notes"] == ["see to it"]
