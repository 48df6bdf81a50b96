"""What a host with containers of somebody else's tells, and what it never does."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _host_survey as survey
from ansible_collections.dianrong.cloud.plugins.module_utils._disk_uses import Mount
from ansible_collections.dianrong.cloud.plugins.module_utils._disks import Disk

IMAGE = {
    "RepoDigests": ["shop@sha256:1"],
    "Config": {"Env": ["PATH=/bin"], "Cmd": ["run"], "Entrypoint": None},
}
INSPECTED = {
    "Name": "/shop",
    "Id": "c" * 64,
    "Config": {
        "Image": "shop:1",
        "Env": ["PATH=/bin", "DB_PASSWORD=hunter2"],
        "Cmd": ["run", "--token", "hunter2"],
        "Entrypoint": None,
        "User": "",
        "Labels": {"note": "hunter2"},
    },
    "HostConfig": {
        "PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "80"}], "53/udp": None},
        "RestartPolicy": {"Name": "always"},
        "NetworkMode": "default",
        "NanoCpus": 1_500_000_000,
        "Memory": 0,
    },
    "State": {"Status": "running", "Running": True},
    "Mounts": [{"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": False}],
    "NetworkSettings": {"Networks": {"bridge": {}}},
}


def test_a_container_is_told_without_anything_that_may_be_secret():
    found = survey.container(INSPECTED, IMAGE)
    assert "hunter2" not in json.dumps(found)
    assert found["env"] == ["DB_PASSWORD"]
    assert (found["own_command"], found["own_entrypoint"]) == (True, False)
    assert found["ports"] == [{"container": 8080, "protocol": "tcp", "address": "0.0.0.0", "host": 80}]
    assert found["mounts"][0]["read_only"]
    assert (found["ours"], found["restart"], found["cpus"], found["memory"]) == (False, "always", 1.5, None)


def test_a_container_whose_image_is_gone_is_told_too():
    found = survey.container(INSPECTED, None)
    assert (found["digests"], found["own_command"]) == ([], False)
    assert found["env"] == ["DB_PASSWORD", "PATH"]


@pytest.mark.parametrize(
    ("options", "bridge"), [({}, "br-0123456789ab"), ({survey.BRIDGE: "shop"}, "shop")], ids=str
)
def test_a_network_has_the_bridge_that_its_engine_gave_it(options, bridge):
    listed = {"Name": "shop", "Id": "0123456789abcdef", "Driver": "bridge", "Options": options}
    found = survey.network(listed, ["b", "a"], {bridge: ["eth1", "veth12"]})
    assert (found["bridge"], found["nics"], found["containers"]) == (bridge, ["eth1"], ["a", "b"])


def test_users_are_counted_by_network():
    assert survey.users([INSPECTED]) == {"bridge": ["shop"]}


def disk(name, numbers="8:16", parts=()):
    return Disk(name, numbers, 10**12, None, None, parts=tuple(parts))


@pytest.mark.parametrize(
    ("name", "paths", "counts"),
    [
        ("sda", ["/dev/sda"], True),
        ("sda", [], False),
        ("loop3", ["/dev/loop3"], False),
        ("loop3", ["/dev/loop3", "/dev/data"], True),
        ("dm-0", ["/dev/dm-0"], False),
        ("md0", ["/dev/md0"], False),
        ("sr0", ["/dev/sr0"], False),
    ],
)
def test_only_disks_of_the_host_count(name, paths, counts):
    assert survey.is_disk(disk(name), paths) is counts


def test_a_disk_is_found_again_by_what_udev_or_somebody_called_it():
    by_id = "/dev/disk/by-id/"
    assert survey.stable(["/dev/sda", f"{by_id}ata-1", f"{by_id}wwn-2"]) == f"{by_id}wwn-2"
    assert survey.stable(["/dev/sda", f"{by_id}ata-1"]) == f"{by_id}ata-1"
    assert survey.stable(["/dev/loop3", "/dev/data"]) == "/dev/data"
    assert survey.stable(["/dev/loop3"]) == "/dev/loop3"


def test_a_disk_with_the_root_on_a_partition_is_the_systems():
    root = Mount("8:1", "/", "/", "ext4", "/dev/sda1")
    data = Mount("8:16", "/", "/srv", "xfs", "/dev/sdb")
    system = disk("sda", "8:0", [disk("sda1", "8:1")])
    xfs = SimpleNamespace(name="xfs", uuid="u")
    assert survey.disk(system, ["/dev/sda"], None, [root, data], [])["system"]
    found = survey.disk(disk("sdb"), ["/dev/sdb"], xfs, [root, data], ["mounted on /srv"])
    assert (found["system"], found["mounts"], found["filesystem"]) == (False, ["/srv"], "xfs")
