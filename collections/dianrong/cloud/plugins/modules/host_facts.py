#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: Read what a host says of itself, in one pass
version_added: 0.1.0
description:
  - Reads distribution, kernel, processors, memory, network interfaces, disks, Docker Engine and SSH host
    keys.
  - Holds only what stays the same until somebody changes the host, so two readings can be compared.
  - Changes nothing and needs nothing but Python's standard library and C(ip).
options: {}
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: What is this host?
  dianrong.cloud.host_facts:
  register: host
"""

RETURN = r"""
facts:
  description: The facts. Sizes are bytes. A value that the host does not tell is null.
  returned: success
  type: dict
  sample:
    hostname: dk-01
    distribution: {id: debian, version: '12', codename: bookworm, name: Debian GNU/Linux 12 (bookworm)}
    kernel: {release: 6.1.0-28-amd64, machine: x86_64}
    cpu: {model: AMD EPYC 9354, count: 32}
    memory: {total: 67345186816}
    nics: [{name: eth0, mac: '02:42:0a:5a:00:0b', mtu: 1500, addresses: [10.90.0.11/24]}]
    block_devices:
      - name: sda
        paths: [/dev/sda, /dev/disk/by-id/ata-SSD_S3Z8NB0K]
        size: 480103981056
        serial: S3Z8NB0K
        wwn: null
        model: SSD
        rotational: false
    engine: {version: 20.10.24+dfsg1, api_version: '1.41', storage_driver: overlay2, live_restore: true}
    ssh_host_keys: {ssh-ed25519: AAAAC3NzaC1lZDI1NTE5AAAA}
"""

import glob
import json
import os
import platform
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _engine
from ansible_collections.dianrong.cloud.plugins.module_utils._nodes import device_paths

SECTOR = 512
PASSING_NICS = ("veth", "lo")
PASSING_DISKS = ("ram", "zram", "nbd", "sr", "fd")


def text(path):
    """Return a file's text without the line end, None when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def parse_assignments(content):
    """Return the pairs of an os-release file."""
    rows = [line.partition("=") for line in content.splitlines() if "=" in line and not line.startswith("#")]
    return {key.strip(): value.strip().strip("\"'") for key, _equals, value in rows}


def distribution(content):
    """Return what os-release says."""
    release = parse_assignments(content or "")
    names = {"id": "ID", "version": "VERSION_ID", "codename": "VERSION_CODENAME", "name": "PRETTY_NAME"}
    return {ours: release.get(theirs) for ours, theirs in names.items()}


def processors(content):
    """Return model and number of the processors in /proc/cpuinfo."""
    rows = [line.partition(":") for line in (content or "").splitlines()]
    models = [value.strip() for key, _colon, value in rows if key.strip() in ("model name", "Processor")]
    count = sum(1 for key, _colon, _value in rows if key.strip() == "processor")
    return {"model": models[0] if models else None, "count": count or os.cpu_count()}


def memory(content):
    """Return the size of the memory in /proc/meminfo."""
    for line in (content or "").splitlines():
        if line.startswith("MemTotal:"):
            return {"total": int(line.split()[1]) * 1024}
    return {"total": None}


def interfaces(described):
    """Return the interfaces that stay, from ``ip -json address``."""
    return [
        {
            "name": nic["ifname"],
            "mac": nic.get("address"),
            "mtu": nic.get("mtu"),
            "addresses": [
                f"{entry['local']}/{entry['prefixlen']}"
                for entry in nic.get("addr_info", [])
                if entry.get("scope") == "global" and "local" in entry
            ],
        }
        for nic in described
        if not nic.get("ifname", "lo").startswith(PASSING_NICS)
    ]


def disk(directory, paths):
    """Return one disk as sysfs describes it; ``paths`` are those of its device number."""
    size = text(os.path.join(directory, "size"))
    return {
        "name": os.path.basename(directory),
        "paths": paths.get(text(os.path.join(directory, "dev")), []),
        "size": int(size or 0) * SECTOR,
        "serial": text(os.path.join(directory, "device/serial")) or text(os.path.join(directory, "serial")),
        "wwn": text(os.path.join(directory, "device/wwid")) or text(os.path.join(directory, "wwid")),
        "model": text(os.path.join(directory, "device/model")),
        "rotational": text(os.path.join(directory, "queue/rotational")) == "1",
    }


def disks(root="/sys/block", devices="/dev"):
    """Return the disks that have a size."""
    paths = device_paths(devices)
    found = [disk(path, paths) for path in sorted(glob.glob(os.path.join(root, "*")))]
    return [one for one in found if one["size"] and not one["name"].startswith(PASSING_DISKS)]


def engine():
    """Return the engine that answers on the host's own socket, None without one."""
    try:
        info, version = _engine.Engine().info(), _engine.Engine().version()
    except _engine.EngineError:
        return None
    return {
        "version": version.get("Version"),
        "api_version": version.get("ApiVersion"),
        "storage_driver": info.get("Driver"),
        "data_root": info.get("DockerRootDir"),
        "cgroup": f"{info.get('CgroupDriver')} v{info.get('CgroupVersion')}",
        "live_restore": info.get("LiveRestoreEnabled"),
    }


def host_keys(pattern="/etc/ssh/ssh_host_*_key.pub"):
    """Return the public host keys by type."""
    words = [(text(path) or "").split() for path in sorted(glob.glob(pattern))]
    return {parts[0]: parts[1] for parts in words if len(parts) >= 2}


def gather(module):
    """Return all facts."""
    code, output, _errors = module.run_command(["ip", "-json", "address"])
    return {
        "hostname": platform.node(),
        "distribution": distribution(text("/etc/os-release")),
        "kernel": {"release": platform.release(), "machine": platform.machine()},
        "cpu": processors(text("/proc/cpuinfo")),
        "memory": memory(text("/proc/meminfo")),
        "nics": interfaces(json.loads(output)) if code == 0 and output.strip() else [],
        "block_devices": disks(),
        "engine": engine(),
        "ssh_host_keys": host_keys(),
    }


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, facts=gather(module))


if __name__ == "__main__":
    main()
