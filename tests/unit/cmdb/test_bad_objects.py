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
        "2: hosts[0].bmc.credential: must be a reference, env:NAME or file:PATH, never the secret itself",
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
