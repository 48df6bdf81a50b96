"""Bad import files: one clear sentence with line and field, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from drcloud.cmdb import importer
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode

HEAD = """\
drcloud: 1
idcs: [{code: bj1, rooms: [{code: r1, racks: [a01]}]}]
environments: [{name: prod}]
prefixes: [{cidr: 10.90.0.0/24}]
registries: [{name: main, endpoint: "registry:5000"}]
apps: [{name: demo, spec: {image: demo, port: 80}}]
hosts:
  - {name: dk-01, role: docker, address: 10.90.0.11}
"""

CASES = {
    "duplicate host": (
        HEAD + "  - {name: dk-01, role: docker, address: 10.90.0.12}\n",
        "9: hosts[1]: host dk-01 is declared twice, first in hosts[0]",
    ),
    "duplicate address": (
        HEAD + "  - name: dk-02\n    role: docker\n    address: 10.90.0.11\n",
        "11: hosts[1].address: address 10.90.0.11 is declared twice, first in hosts[0]",
    ),
    "address outside": (
        HEAD + "  - name: dk-02\n    role: docker\n    address: 10.9.0.1\n",
        "11: hosts[1].address: 10.9.0.1 lies in no prefix of the file or the CMDB: "
        "add its prefix under `prefixes`",
    ),
    "no address": (HEAD + "  - {name: dk-02, role: docker}\n", "9: hosts[1].address: is missing"),
    "bad address": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.300}\n",
        "9: hosts[1].address: '10.90.0.300' is no IP address",
    ),
    "bad type": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12,\n     ssh: {port: ssh}}\n",
        "10: hosts[1].ssh.port: must be a whole number, not 'ssh'",
    ),
    "true is no port": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, ssh: {port: yes}}\n",
        "9: hosts[1].ssh.port: must be a whole number, not True",
    ),
    "number for text": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, serial: 42}\n",
        "9: hosts[1].serial: must be text, not 42: put it in quotes",
    ),
    "text for a list": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, block_devices: /dev/sdb}\n",
        "9: hosts[1].block_devices: must be a list, not '/dev/sdb'",
    ),
    "unknown field": (
        HEAD + "  - {name: dk-02, role: docker, adress: 10.90.0.12, address: 10.90.0.12}\n",
        "9: hosts[1].adress: there is no such field: did you mean address?",
    ),
    "unknown section": (HEAD + "host: []\n", "9: host: there is no such field: did you mean hosts?"),
    "unknown field below": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, ssh: {usr: ops}}\n",
        "9: hosts[1].ssh.usr: there is no such field: did you mean user?",
    ),
    "unknown state": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, state: gone}\n",
        "9: hosts[1].state: must be one of 'planned', 'provisioning', 'active', 'maintenance', 'quarantined' "
        "or 'retired', not 'gone'",
    ),
    "unknown rack": (
        HEAD + "  - name: dk-02\n    role: docker\n    rack: bj1/r1/a10\n    address: 10.90.0.12\n",
        "11: hosts[1].rack: there is no rack 'bj1/r1/a10' in the file or the CMDB: did you mean bj1/r1/a01?",
    ),
    "unknown bastion": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, ssh: {via: b-1}}\n",
        "9: hosts[1].ssh.via: there is no host 'b-1' in the file or the CMDB: declare it in the file",
    ),
    "bastion loop": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, ssh: {via: dk-02}}\n",
        "9: hosts[1].ssh.via: host dk-02 would be reached through itself: dk-02 → dk-02",
    ),
    "overlapping prefixes": (
        HEAD.replace("[{cidr: 10.90.0.0/24}]", "[{cidr: 10.90.0.0/24}, {cidr: 10.90.0.128/25}]"),
        "4: prefixes[1].cidr: prefix 10.90.0.128/25 overlaps 10.90.0.0/24",
    ),
    "duplicate prefix": (
        HEAD.replace("[{cidr: 10.90.0.0/24}]", "[{cidr: 10.90.0.0/24}, {cidr: 10.90.0.0/24}]"),
        "4: prefixes[1]: prefix 10.90.0.0/24 is declared twice, first in prefixes[0]",
    ),
    "host bits": (
        HEAD.replace("10.90.0.0/24", "10.90.0.7/24"),
        "4: prefixes[0].cidr: '10.90.0.7/24' is an address in a prefix: write 10.90.0.0/24",
    ),
    "plain password": (
        HEAD.replace('"registry:5000"', '"registry:5000", password: geheim'),
        "5: registries[0].password: must be a reference, env:NAME or file:PATH or vault:FILE#KEY, never the "
        "secret itself",
    ),
    "registry nowhere": (
        HEAD.replace('endpoint: "registry:5000"', "port: 5000"),
        "5: registries[0]: registry main needs a host or an endpoint",
    ),
    "app without registry": (
        "drcloud: 1\napps: [{name: demo, spec: {image: demo, port: 80}}]\n",
        "2: apps[0].registry: app demo needs a registry: declare one under `registries`",
    ),
    "bad spec": (
        HEAD.replace("port: 80}", "port: 80000}"),
        "6: apps[0].spec.port: must be 65535 or less, not 80000",
    ),
    "override of nowhere": (
        HEAD.replace("port: 80}", "port: 80, overrides: {prd: {env: {}}}}"),
        "6: apps[0].spec.overrides.prd: there is no environment 'prd' in the file or the CMDB: "
        "did you mean prod?",
    ),
    "unknown app": (
        HEAD + "placements:\n  - {app: dmeo, env: prod, hosts: [dk-01]}\n",
        "10: placements[0].app: there is no app 'dmeo' in the file or the CMDB: did you mean demo?",
    ),
    "unknown environment": (
        HEAD + "placements:\n  - {app: demo, env: prd, hosts: [dk-01]}\n",
        "10: placements[0].env: there is no environment 'prd' in the file or the CMDB: did you mean prod?",
    ),
    "unknown host": (
        HEAD + "placements:\n  - {app: demo, env: prod, hosts: [dk-1]}\n",
        "10: placements[0].hosts[0]: there is no host 'dk-1' in the file or the CMDB: did you mean dk-01?",
    ),
    "host twice": (
        HEAD + "placements:\n  - {app: demo, env: prod, hosts: [dk-01, dk-01]}\n",
        "10: placements[0].hosts[1]: placement host demo@prod/dk-01 is declared twice, "
        "first in placements[0].hosts[0]",
    ),
    "too many in service": (
        HEAD + "placements:\n  - {app: demo, env: prod, hosts: [dk-01], min_in_service: 2}\n",
        "10: placements[0].min_in_service: 2 instances cannot stay in service on 1 hosts: "
        "lower it or add hosts",
    ),
    "wrong role": (
        HEAD + "placements:\n  - {app: demo, env: prod, hosts: [dk-01], lb_port: 80, lbs: [dk-01]}\n",
        "10: placements[0].lbs[0]: host dk-01 has the role docker: a load balancer needs the role lb",
    ),
    "no lb_port": (
        HEAD
        + "  - {name: lb-01, role: lb, address: 10.90.0.21}\n"
        + "placements:\n  - {app: demo, env: prod, hosts: [dk-01], lbs: [lb-01]}\n",
        "11: placements[0]: placement demo@prod has load balancers and needs lb_port",
    ),
    "lb pools": (
        HEAD + "lb_pools: [{name: x, vip: none, port: 80}]\n",
        "9: lb_pools[0].vip: there is no vip 'none' in the file or the CMDB",
    ),
    "same serial": (
        HEAD.replace("10.90.0.11}", "10.90.0.11, serial: X}")
        + "  - {name: dk-02, role: docker, address: 10.90.0.12, serial: X}\n",
        "9: hosts[1].serial: serial X belongs to host dk-01 already",
    ),
    "bytes in attrs": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, attrs: {a: !!binary aGVsbG8=}}\n",
        "9: hosts[1].attrs.a: must be text, a number, true, false, null, a list or a mapping, not",
    ),
    "nameless disk": (
        HEAD + "  - {name: dk-02, role: docker, address: 10.90.0.12, block_devices: [{purpose: spare}]}\n",
        "9: hosts[1].block_devices[0]: a block device needs a serial, a wwn or a path",
    ),
    "same key twice": (HEAD + "hosts: []\n", "9: 'hosts' stands here twice, first in line 7"),
    "not YAML": ("drcloud: 1\nhosts: [\n", "3: this is not YAML: did not find expected node content"),
    "tabs": (
        "drcloud: 1\nhosts:\n\t- a\n",
        "3: this is not YAML: found character that cannot start any token",
    ),
    "python object": (
        "drcloud: 1\nhosts: !!python/object:os.system {}\n",
        "2: hosts: must be a list, not a mapping",
    ),
    "unknown tag": ("drcloud: 1\nidcs: [{code: !vault x}]\n", "2: this is not YAML: could not determine"),
    "alias to itself": ("drcloud: 1\nhosts: &a [*a]\n", "2: an alias refers to itself"),
    "a list": ("- 1\n", "1: a CMDB file is a mapping that begins with `drcloud: 1`"),
    "no version": ("hosts: []\n", "1: drcloud: is missing: a CMDB file is a mapping"),
    "other version": ("drcloud: 2\n", "1: drcloud: this program reads format 1, not 2"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_sentence_and_nothing_written(store: Store, tmp_path: Path, case: str) -> None:
    text, expected = CASES[case]
    path = tmp_path / "bad.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        importer.import_files(store, importer.Request((path,)))
    assert str(caught.value).startswith(f"{path}:{expected}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code is ExitCode.INVALID_INPUT
    assert store.declared_seq() == 0


def test_missing_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"none\.yml: there is no such file"):
        importer.import_files(store, importer.Request((tmp_path / "none.yml",)))


def test_directory(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the file cannot be read: Is a directory"):
        importer.import_files(store, importer.Request((tmp_path,)))


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n"])
def test_empty_file(store: Store, tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.yml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"empty\.yml(: the file is empty|:[12]: a CMDB file)"):
        importer.import_files(store, importer.Request((path,)))


def test_not_utf8(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "gbk.yml"
    path.write_bytes("drcloud: 1  # 北京".encode("gbk"))
    with pytest.raises(
        InvalidInputError, match=r"gbk\.yml: the file is not UTF-8 \(byte 15\): save it as UTF-8"
    ):
        importer.import_files(store, importer.Request((path,)))


def test_all_problems_at_once_in_the_order_of_the_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(HEAD + "  - {name: DK, role: 7, address: x}\n  - {nmae: dk-03}\n", encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        importer.import_files(store, importer.Request((path,)))
    fields = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert fields == [
        "hosts[1].address",
        "hosts[1].name",
        "hosts[1].role",
        "hosts[2].address",
        "hosts[2].name",
        "hosts[2].nmae",
        "hosts[2].role",
    ]


def test_billion_laughs_stays_small(store: Store, tmp_path: Path) -> None:
    """Aliases that multiply are built once each, so a small file cannot fill the memory."""
    lines = ["drcloud: 1", "a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    path = tmp_path / "laughs.yml"
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidInputError, match="there is no such field"):
        importer.import_files(store, importer.Request((path,)))
