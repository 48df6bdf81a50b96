"""The declared disks, looked at on the hosts: what is mounted where, and what nobody touched."""

from __future__ import annotations

import json

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

DISKS = {
    row.name: row.block_devices
    for row in snapshot.read(Store.open()).hosts
    if row.block_devices and row.state != "retired"
}
testinfra_hosts = [f"ssh://{name}" for name in DISKS]
JOURNAL = "/var/lib/drcloud/storage/devices.json"


def declared(host, purpose):
    """Return the disks of a host that have a purpose."""
    found = [disk for disk in DISKS[host.backend.get_hostname()] if disk["purpose"] == purpose]
    if not found:
        pytest.skip(f"no disk for {purpose}")
    return found


def carried(host, disk, tag):
    """Return what blkid reads on a disk, empty for nothing."""
    return host.run(f"blkid --probe --match-tag {tag} --output value {disk['path']}").stdout.strip()


def test_the_engines_data_lies_on_its_disk(host):
    [disk] = declared(host, "docker-data")
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    mount = host.mount_point(info["DockerRootDir"])
    assert mount.exists
    assert mount.filesystem == disk["filesystem"] == carried(host, disk, "TYPE")
    assert disk["uuid"] == carried(host, disk, "UUID")
    assert ["Supports d_type", "true"] in info["DriverStatus"]


def test_the_engine_waits_for_its_disk_at_boot(host):
    declared(host, "docker-data")
    shown = host.check_output("systemctl show docker.service --property=Requires,After")
    assert all("var-lib-docker.mount" in line for line in shown.splitlines())
    unit = host.service("var-lib-docker.mount")
    assert unit.is_running
    assert unit.is_enabled


def test_a_volume_is_mounted_for_its_app(host):
    for disk in declared(host, "app-volume"):
        mount = host.mount_point(disk["mount"])
        assert mount.exists
        assert mount.filesystem == carried(host, disk, "TYPE")
        assert disk["uuid"] == carried(host, disk, "UUID")


def test_a_raw_disk_is_on_record_and_not_mounted(host):
    for disk in declared(host, "raw"):
        assert json.loads(host.file(JOURNAL).content_string)[disk["path"]]["step"] == "handed over"
        assert disk["uuid"]
        assert disk["path"] not in [mount.device for mount in host.mount_point.get_mountpoints()]


def test_a_spare_disk_is_blank(host):
    for disk in declared(host, "spare"):
        assert host.run(f"blkid --probe {disk['path']}").rc == 2
        assert host.run(f"cmp --bytes=67108864 {disk['path']} /dev/zero").succeeded
