"""Facts from recorded texts of hosts."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.dianrong.cloud.plugins.modules import host_facts as facts

OS_RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
# comment=1
ID=debian
"""
CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC 9354\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 9354\n"
ADDRESSES = [
    {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {
        "ifname": "eth0",
        "address": "02:42:0a:5a:00:0b",
        "mtu": 1500,
        "addr_info": [
            {"local": "10.90.0.11", "prefixlen": 24, "scope": "global"},
            {"local": "fe80::42:aff:fe5a:b", "prefixlen": 64, "scope": "link"},
        ],
    },
    {"ifname": "veth12ab", "addr_info": []},
]


def test_the_distribution():
    assert facts.distribution(OS_RELEASE) == {
        "id": "debian",
        "version": "12",
        "codename": "bookworm",
        "name": "Debian GNU/Linux 12 (bookworm)",
    }
    assert facts.distribution(None)["id"] is None


def test_processors_and_memory():
    assert facts.processors(CPUINFO) == {"model": "AMD EPYC 9354", "count": 2}
    assert facts.memory("MemTotal:       65766784 kB\nMemFree: 1 kB\n") == {"total": 67345186816}
    assert facts.memory(None) == {"total": None}


def test_interfaces_that_come_and_go_with_containers_are_no_facts():
    assert facts.interfaces(ADDRESSES) == [
        {"name": "eth0", "mac": "02:42:0a:5a:00:0b", "mtu": 1500, "addresses": ["10.90.0.11/24"]}
    ]


def test_disks_are_read_from_sysfs(tmp_path):
    for name, files in {
        "sda": {
            "size": "937703088",
            "device/serial": "S3Z8NB0K",
            "device/model": "SSD",
            "queue/rotational": "0",
        },
        "loop0": {"size": "0"},
        "ram0": {"size": "8192"},
    }.items():
        for file, content in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(content + "\n")
    assert facts.disks(str(tmp_path), str(tmp_path / "dev")) == [
        {
            "name": "sda",
            "paths": [],
            "size": 480103981056,
            "serial": "S3Z8NB0K",
            "wwn": None,
            "model": "SSD",
            "rotational": False,
        }
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes block devices")
def test_disks_tell_their_stable_paths(tmp_path):
    dev = tmp_path / "dev"
    for folder in ("disk/by-id", "disk/by-diskseq"):
        (dev / folder).mkdir(parents=True)
    os.mknod(dev / "sda", stat.S_IFBLK, os.makedev(8, 0))
    os.mknod(dev / "drc-data", stat.S_IFBLK, os.makedev(8, 0))
    os.mknod(dev / "sdb", stat.S_IFBLK, os.makedev(8, 16))
    (dev / "tty").write_text("")
    (dev / "disk/by-id/ata-SSD").symlink_to(dev / "sda")
    (dev / "disk/by-id/gone").symlink_to(dev / "sdz")
    (dev / "disk/by-diskseq/7").symlink_to(dev / "sda")
    assert facts.device_paths(str(dev)) == {
        "8:0": [f"{dev}/drc-data", f"{dev}/sda", f"{dev}/disk/by-id/ata-SSD"],
        "8:16": [f"{dev}/sdb"],
    }


def test_host_keys_by_type(tmp_path):
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAAC3Nz root@dk-01\n")
    (tmp_path / "ssh_host_broken_key.pub").write_text("")
    assert facts.host_keys(str(tmp_path / "ssh_host_*_key.pub")) == {"ssh-ed25519": "AAAAC3Nz"}
