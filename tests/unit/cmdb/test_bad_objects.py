"""What is wrong with racks, networks, changes and so on is told by line, field, object and way out."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from tests.unit.cmdb.test_whole import WHOLE, State, after, empty

from drcloud.cmdb import document as documents
from drcloud.cmdb import plan
from drcloud.cmdb.yamlfile import read
from drcloud.errors import InvalidInputError

BMC = "{address: 10.90.0.66@oob, credential: secret}"
CASES = {
    "a unit that is taken": (
        "hosts: [{name: n-1, role: x, address: null, rack: bj1/r1/a01, unit: 13}]",
        "2: hosts[0].unit: unit 13 of rack bj1/r1/a01 belongs to host dk-01 already",
    ),
    "a unit twice in a file": (
        "hosts:\n  - {name: n-1, role: x, address: null, rack: bj1/r1/a02, units: [3, 4]}\n"
        "  - {name: n-2, role: x, address: null, rack: bj1/r1/a02, unit: 4}",
        "4: hosts[1]: rack slot bj1/r1/a02/4 is declared twice, first in hosts[0]",
    ),
    "a unit above the rack": (
        "hosts: [{name: n-1, role: x, address: null, rack: bj1/r1/a01, unit: 43}]",
        "2: hosts[0].unit: rack bj1/r1/a01 has 42 units, unit 43 lies above them",
    ),
    "a tall model above the rack": (
        "hosts: [{name: n-1, role: x, address: null, rack: bj1/r1/a01, unit: 42, "
        "model: PowerEdge R740xd / 2U}]",
        "2: hosts[0].unit: rack bj1/r1/a01 has 42 units, unit 43 lies above them",
    ),
    "a unit without a rack": (
        "hosts: [{name: n-1, role: x, address: null, unit: 4}]",
        "2: hosts[0].unit: host n-1 stands in no rack: give it one as idc/room/rack",
    ),
    "unit and units": (
        "hosts: [{name: n-1, role: x, address: null, unit: 4, units: [4]}]",
        "2: hosts[0].units: say either unit, the lowest one, or units, all of them",
    ),
    "a rack that is too low": (
        "idcs: [{code: bj1, rooms: [{code: r1, racks: [{code: a01, units: 16}]}]}]",
        "2: idcs[0].rooms[0].racks[0].units: unit 17 of rack bj1/r1/a01 is occupied: it cannot have only 16",
    ),
    "a rack without a code": (
        "idcs: [{code: bj1, rooms: [{code: r1, racks: [{units: 16}]}]}]",
        "2: idcs[0].rooms[0].racks[0].code: is missing",
    ),
    "an unknown model": (
        "hosts: [{name: dk-01, role: docker, address: 10.90.0.11, model: PowerEdge}]",
        "2: hosts[0].model: there is no hardware model 'PowerEdge' in the file or the CMDB: ",
    ),
    "a network address": (
        "hosts: [{name: n-1, role: x, address: 10.90.0.0}]",
        "2: hosts[0].address: 10.90.0.0 is the network address of prefix 10.90.0.0/24: "
        "give host n-1 another one",
    ),
    "a broadcast address": (
        "hosts: [{name: n-1, role: x, address: null, addresses: [{address: 10.90.0.255, purpose: x}]}]",
        "2: hosts[0].addresses[0].address: 10.90.0.255 is the broadcast address of prefix 10.90.0.0/24: "
        "give host n-1 another one",
    ),
    "a VIP on a broadcast address": (
        "addresses: [{address: 10.90.0.255, purpose: vip}]\nvips: [{name: v, address: 10.90.0.255}]",
        "3: vips[0].address: 10.90.0.255 is the broadcast address of prefix 10.90.0.0/24: "
        "give VIP v another one",
    ),
    "an image with a tag": (
        "apps: [{name: a, spec: {image: 'Team/shop:v1', port: 80}}]",
        "2: apps[0].spec.image: must be a repository without registry and tag, of a-z, 0-9 and . _ / - "
        "between them, as team/shop, not 'Team/shop:v1'",
    ),
    "a variable with a hyphen": (
        "apps: [{name: a, spec: {image: a, port: 80, env: {A-B: x}}}]",
        "2: apps[0].spec.env.A-B: must be the name of a variable, of letters, digits and _, "
        "with no digit first, not 'A-B'",
    ),
    "memory in a unit that nobody knows": (
        "apps: [{name: a, spec: {image: a, port: 80, resources: {memory: 2GB}}}]",
        "2: apps[0].spec.resources.memory: must be bytes with a suffix k, m or g or none, as 512m, not '2GB'",
    ),
    "no processors": (
        "apps: [{name: a, spec: {image: a, port: 80, resources: {cpus: 0}}}]",
        "2: apps[0].spec.resources.cpus: must be more than 0, not 0",
    ),
    "a word for a number": (
        "apps: [{name: a, spec: {image: a, port: 80, health: {interval: soon}}}]",
        "2: apps[0].spec.health.interval: must be a number, not 'soon'",
    ),
    "a long text": (
        "tags: [{name: " + "x" * 65 + "}]",
        "2: tags[0].name: must have at most 64 characters",
    ),
    "a prefix inside": (
        "prefixes: [{cidr: 10.90.1.128/25}]",
        "2: prefixes[0].cidr: prefix 10.90.1.128/25 overlaps 10.90.1.0/24: where 10.90.1.0/24 shall contain "
        "others, make it an aggregate",
    ),
    "a prefix around": (
        "prefixes: [{cidr: 10.88.0.0/13}]",
        "2: prefixes[0].cidr: prefix 10.88.0.0/13 overlaps 10.90.0.0/16: where 10.88.0.0/13 shall contain ",
    ),
    "a prefix inside of a VRF": (
        "prefixes: [{cidr: 10.90.0.0/25, vrf: oob}]",
        "2: prefixes[0].cidr: prefix 10.90.0.0/25@oob overlaps 10.90.0.0/24@oob: ",
    ),
    "an aggregate with addresses": (
        "prefixes: [{cidr: 10.90.1.0/24, aggregate: true}]",
        "2: prefixes[0].aggregate: address 10.90.1.100 would lie in an aggregate only: ",
    ),
    "a VLAN of another IDC": (
        "vlans: [{idc: sh1, vid: 5}]\nprefixes: [{cidr: 10.90.0.0/24, vlan: sh1/5}]",
        "3: prefixes[0].vlan: VLAN sh1/5 is one of IDC sh1, the prefix is in bj1",
    ),
    "a VLAN in other words": (
        "prefixes: [{cidr: 10.90.0.0/24, vlan: 100}]",
        "2: prefixes[0].vlan: must be text, not 100: put it in quotes",
    ),
    "an unknown VRF": (
        "addresses: [{address: 10.90.0.9, purpose: x, vrf: obb}]",
        "2: addresses[0].address: 10.90.0.9@obb lies in no prefix of the file or the CMDB",
    ),
    "an address in an aggregate only": (
        "addresses: [{address: 10.90.7.7, purpose: x}]",
        "2: addresses[0].address: 10.90.7.7 lies in no prefix of the file or the CMDB: add its prefix under",
    ),
    "a second management address": (
        "hosts: [{name: dk-01, role: docker, address: 10.90.0.11, "
        "addresses: [{address: 10.90.1.9, purpose: management}]}]",
        "2: hosts[0].addresses[0].purpose: a host has one management address: write it as `address` ",
    ),
    "a nic that the host has not": (
        "hosts: [{name: dk-02, role: docker, address: 10.90.0.12, nic: eth7}]",
        "2: hosts[0].nic: there is no nic 'dk-02/eth7' in the file or the CMDB: ",
    ),
    "no MAC address": (
        'hosts: [{name: dk-02, role: docker, address: 10.90.0.12, nics: [{name: eth0, mac: "52:54:00"}]}]',
        "2: hosts[0].nics[0].mac: '52:54:00' is no MAC address like 52:54:00:ab:cd:ef",
    ),
    "a MAC address of another host": (
        "hosts: [{name: dk-02, role: docker, address: 10.90.0.12, "
        'nics: [{name: eth0, mac: "5254.00ab.cd01"}]}]',
        "2: hosts[0].nics[0].mac: MAC address 52:54:00:ab:cd:01 belongs to nic dk-01/Ethernet1/1 already",
    ),
    "a secret in the place of its reference": (
        f"hosts: [{{name: dk-02, role: docker, address: 10.90.0.12, bmc: {BMC}}}]",
        "2: hosts[0].bmc.credential: must be a reference, env:NAME or file:PATH or vault:FILE#KEY, never the "
        "secret itself",
    ),
    "an unknown tag": (
        "hosts: [{name: dk-02, role: docker, address: 10.90.0.12, tags: [gpus]}]",
        "2: hosts[0].tags[0]: there is no tag 'gpus' in the file or the CMDB: did you mean gpu?",
    ),
    "an address of two VIPs": (
        "vips: [{name: other, address: 10.90.1.100}]",
        "2: vips[0].address: address 10.90.1.100 belongs to vip www already",
    ),
    "a port of a VIP twice": (
        "lb_pools: [{name: other, vip: www, port: 443}]",
        "2: lb_pools[0].port: port 443 of VIP www belongs to lb_pool www-tls already",
    ),
    "a fingerprint of another kind": (
        "certificates: [{name: c, subject: s, issuer: i, not_after: 2027-01-01T00:00:00Z, "
        "fingerprint: ABCD}]",
        "2: certificates[0].fingerprint: 'ABCD' is no SHA-256 fingerprint: 64 hexadecimal digits",
    ),
    "a time without a zone": (
        "waivers: [{name: w, control: c, owner: o, reason: r, ticket: t, expires_at: 2027-01-01}]",
        "2: waivers[0].expires_at: '2027-01-01' says no zone: write a time like 2026-01-31T22:00:00+08:00",
    ),
    "a waiver for ever": (
        "waivers: [{name: w, control: c, owner: o, reason: r, ticket: t}]",
        "2: waivers[0].expires_at: is missing",
    ),
    "a change that goes back": (
        "changes: [{ticket: CHG-1, state: approved}]",
        "2: changes[0].state: change CHG-1 is open and cannot become approved: "
        "from there it can become closed or cancelled",
    ),
    "half a window": (
        "changes: [{ticket: CHG-2, window_start: 2026-12-01T00:00:00Z}]",
        "2: changes[0].window_end: a window has two ends: window_end is missing",
    ),
    "a window backwards": (
        "changes: [{ticket: CHG-9, window_start: 2026-12-01T00:00:00Z, "
        "window_end: 2026-12-01T01:00:00+02:00}]",
        "2: changes[0].window_end: the window ends at 2026-11-30T23:00:00Z, before it begins at 2026-12-01",
    ),
    "a scope of something else": (
        "changes: [{ticket: CHG-9, scope: {hosts: [x]}}]",
        "2: changes[0].scope.hosts: must be one of 'environment', 'app', 'host' or 'kind', not 'hosts'",
    ),
    "another specification of a number": (
        "app_spec_versions: [{app: demo, number: 1, document: {image: other, port: 1}}]",
        "2: app_spec_versions[0].document: specification demo/1 is another one and never changes: ",
    ),
    "another configuration of a number": (
        "app_configs: [{app: demo, env: prod, number: 2, document: {}}]",
        "2: app_configs[0].document: configuration demo/prod/2 is another one and never changes: ",
    ),
    "free fields of nothing": (
        "part_attrs: [{kind: host_tag, key: dk-02/gpu, attrs: {a: 1}}]",
        "2: part_attrs[0].key: there is no host tag dk-02/gpu in the file or the CMDB: name it where its",
    ),
    "a host state out of turn": (
        "hosts: [{name: dk-01, role: docker, address: 10.90.0.11, state: retired}]",
        "2: hosts[0].state: host dk-01 is active and cannot become retired: "
        "from there it can become maintenance or quarantined",
    ),
    "a service that no firewall knows": (
        "firewall_zones: [{name: dmz, allows: [shh]}]",
        "2: firewall_zones[0].allows[0]: must be one of ",
    ),
    "a VIP on a Docker host": (
        "vips: [{name: www, address: 10.90.1.100, lbs: [dk-01]}]",
        "2: vips[0].lbs[0]: host dk-01 has the role docker: a VIP needs the role lb",
    ),
    "a VIP without a router's number": (
        "addresses: [{address: 10.90.1.101, purpose: vip}]\n"
        "vips: [{name: www2, address: 10.90.1.101, lbs: [lb-01]}]",
        "3: vips[0].vrrp_id: VIP www2 has load balancers and needs vrrp_id",
    ),
    "a pool of another mode": (
        "lb_pools: [{name: x, vip: www, port: 81, mode: tcp, placement: demo@prod}]",
        "2: lb_pools[0].mode: the pools of placement demo@prod must have one mode, http or tcp",
    ),
    "a certificate of an unknown host": (
        "certificates: [{name: www, subject: a, issuer: b, not_after: 2027-01-01T00:00:00Z, "
        f"host: lb-07, fingerprint: '{'1' * 64}'}}]",
        "2: certificates[0].host: there is no host 'lb-07' in the file or the CMDB: did you mean ",
    ),
}
DISK = "block_devices: [{path: /dev/sdz, "
TO = "containers: 10.91.0.0/16"
# Parts of dk-01, and what is said of them.
PARTS = {
    "a mount that is no app's": (
        DISK + "purpose: raw, mount: /srv/a}]",
        "block_devices[0].mount: only an app-volume is mounted where the CMDB says, "
        "dk-01:/dev/sdz has the purpose raw",
    ),
    "a mount without a root": (
        DISK + "purpose: app-volume, mount: srv}]",
        "block_devices[0].mount: 'srv' is no absolute path without spaces of at most 255 characters",
    ),
    "a mount that goes up": (
        DISK + "purpose: app-volume, mount: /srv/../etc}]",
        "block_devices[0].mount: '/srv/../etc' goes up or nowhere: write the path without . and ..",
    ),
    "a mount that is taken": (
        DISK + "purpose: app-volume, mount: /a}, {path: /dev/sdy, purpose: app-volume, mount: /a}]",
        "block_devices[1].mount: mount point /a of host dk-01 belongs to block_device dk-01:/dev/sdz already",
    ),
    "a file system on a spare disk": (
        DISK + "purpose: spare, filesystem: xfs}]",
        "block_devices[0].filesystem: a disk of the purpose spare gets no file system, "
        "as dk-01:/dev/sdz would",
    ),
    "a file system of another kind": (
        DISK + "purpose: docker-data, filesystem: btrfs}]",
        "block_devices[0].filesystem: must be one of 'xfs' or 'ext4', not 'btrfs'",
    ),
    "a disk for an unknown app": (
        DISK + "purpose: app-volume, app: redsi}]",
        "block_devices[0].app: there is no app 'redsi' in the file or the CMDB: did you mean redis?",
    ),
    "a uuid that is none": (
        DISK + "purpose: docker-data, uuid: A-B}]",
        "block_devices[0].uuid: 'A-B' is no UUID in small letters of at most 36 characters",
    ),
    "an uplink without a nic": (
        f"bridges: [{{name: br1, mode: uplink, {TO}}}]",
        "bridges[0].nic: bridge dk-01/br1 is an uplink: say which nic it takes over",
    ),
    "an uplink without addresses": (
        "bridges: [{name: br1, mode: uplink, nic: eth1}]",
        "bridges[0].containers: bridge dk-01/br1 is an uplink: say which aggregate its containers' "
        "addresses come from",
    ),
    "a nic of a nat bridge": (
        "bridges: [{name: br1, mode: nat, nic: eth1}]",
        "bridges[0].nic: bridge dk-01/br1 is of mode nat and takes over no nic",
    ),
    "a nic in two bridges": (
        f"bridges: [{{name: b1, mode: uplink, nic: e0, {TO}}}, {{name: b2, mode: uplink, nic: e0, {TO}}}]",
        "bridges[1].nic: nic e0 of host dk-01 belongs to bridge dk-01/b1 already",
    ),
    "a bridge with a long name": (
        "bridges: [{name: b123456789012345, mode: nat}]",
        "bridges[0].name: 'b123456789012345' is no name of a network interface of at most 15 characters",
    ),
    "an aggregate too small for the usual subnet": (
        "bridges: [{name: br1, mode: nat, containers: 10.91.0.0/24}]",
        "bridges[0].length: 10.91.0.0/24 has no subnets of length /24: say which it has",
    ),
    "an IPv6 prefix that is none": (
        "bridges: [{name: br1, mode: nat, ipv6: 10.91.0.0/24}]",
        "bridges[0].ipv6: 10.91.0.0/24 is no IPv6 prefix",
    ),
}
CASES |= {
    name: (f"hosts: [{{name: dk-01, role: docker, address: 10.90.0.11, {part}}}]", f"2: hosts[0].{said}")
    for name, (part, said) in PARTS.items()
}


@cache
def known() -> State:
    return after(documents.parse(read(WHOLE)), empty())


@pytest.mark.parametrize("name", CASES)
def test_one_sentence(name: str, tmp_path: Path) -> None:
    content, expected = CASES[name]
    path = tmp_path / "bad.yml"
    path.write_text(f"drcloud: 1\n{content}\n", encoding="utf-8")
    file = read(path)
    with pytest.raises(InvalidInputError) as caught:
        file.fail(plan.make(documents.parse(file), known()).problems)
    assert any(line.startswith(f"{path}:{expected}") for line in str(caught.value).splitlines()), caught.value
