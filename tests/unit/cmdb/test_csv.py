"""CSV files: rows become objects, empty cells leave alone, mistakes have a line and a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from drcloud.cmdb import csvfile, exporter, importer, snapshot
from drcloud.cmdb.importer import Request
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

HEADER = "name,role,rack,address,ssh.user,ssh.via,attrs.owner\n"


NO_DISK = dict.fromkeys(("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "app"))


def put(directory: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = directory / name
    path.write_bytes(text.encode(encoding))
    return path


def load(store: Store, *paths: Path, **options: Any) -> list[str]:
    changes: tuple[Change, ...] = importer.import_files(store, Request(paths, **options))
    return [change.line() for change in changes]


def row(store: Store, name: str) -> snapshot.HostRow:
    return next(one for one in snapshot.read(store).hosts if one.name == name)


@pytest.mark.parametrize(
    ("encoding", "delimiter", "ending"),
    [("utf-8", ",", "\n"), ("utf-8-sig", ",", "\r\n"), ("utf-8-sig", ";", "\r\n"), ("utf-8", "\t", "\n")],
)
def test_new_hosts(filled: Store, tmp_path: Path, encoding: str, delimiter: str, ending: str) -> None:
    text = HEADER + "dk-09,docker,bj1/r1/a01,10.90.0.19,ops,bastion-01,张三\n\n"
    text = text.replace(",", delimiter).replace("\n", ending)
    load(filled, put(tmp_path, "hosts.csv", text, encoding))
    host = row(filled, "dk-09")
    assert (host.rack, host.address, host.ssh_user, host.ssh_via, host.attrs) == (
        "bj1/r1/a01",
        "10.90.0.19",
        "ops",
        "bastion-01",
        {"owner": "张三"},
    )


def test_an_empty_cell_leaves_alone_and_null_empties(filled: Store, tmp_path: Path) -> None:
    text = "name,attrs.owner,attrs.team,serial\ndk-01,李娜,,null\ndk-02,,支付,\n"
    assert load(filled, put(tmp_path, "hosts.csv", text)) == [
        "~ host dk-01  serial: SN-1 → none, "
        'attrs: {"owner": "张三", "note": "{{ lookup(\'pipe\', \'id\') }}"} → '
        '{"owner": "李娜", "note": "{{ lookup(\'pipe\', \'id\') }}"}',
        '~ host dk-02  attrs: {} → {"team": "支付"}',
    ]
    assert row(filled, "dk-01").block_devices == (
        {**NO_DISK, "serial": "S-1", "purpose": "docker-data"},
        {**NO_DISK, "path": "/dev/sdb", "purpose": "spare"},
    )


def test_lists_numbers_and_nested_fields(filled: Store, tmp_path: Path) -> None:
    text = "app,env,hosts,min_in_service,lb_port,lbs\ndemo,qa,dk-01; dk-02,1,8081,lb-01\n"
    load(filled, put(tmp_path, "placements-2024.csv", text))
    load(filled, put(tmp_path, "apps.csv", "name,spec.env.B,spec.port\ndemo,x=1,8090\n"))
    seen = snapshot.read(filled)
    placement = next(one for one in seen.placements if one.env == "qa")
    assert (placement.hosts, placement.min_in_service, placement.lbs) == (("dk-01", "dk-02"), 1, ("lb-01",))
    [app] = seen.apps
    assert (app.spec["port"], app.spec["env"], app.spec_version) == (8090, {"A": "1", "B": "x=1"}, 2)


def test_several_files_are_one_transaction(filled: Store, tmp_path: Path) -> None:
    prefixes = put(tmp_path, "prefixes.csv", "cidr,idc,purpose\n10.91.0.0/24,bj1,management\n")
    hosts = put(tmp_path, "new.csv", "name,role,address\ndk-09,docker,10.91.0.9\n")
    more = put(
        tmp_path, "more.yml", "drcloud: 1\nhosts: [{name: dk-10, role: docker, address: 10.91.0.10}]\n"
    )
    before = filled.declared_seq()
    with pytest.raises(InvalidInputError) as caught:
        load(filled, hosts, more, kind="host")
    assert str(caught.value).splitlines() == [
        f"{hosts}:2: address (column C): 10.91.0.9 lies in no prefix of the file or the CMDB: "
        "add its prefix under `prefixes`",
        f"{more}:2: hosts[0].address: 10.91.0.10 lies in no prefix of the file or the CMDB: "
        "add its prefix under `prefixes`",
    ]
    assert filled.declared_seq() == before
    hosts = hosts.rename(tmp_path / "hosts.csv")
    assert len(load(filled, hosts, more, prefixes)) == 5


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("hosts.csv", "", "hosts.csv: the file is empty: the first line names the columns"),
        (
            "hosts.csv",
            "name,role,address\ndk-09,docker,10.90.0.300\n",
            "hosts.csv:2: address (column C): '10.90.0.300' is no IP address",
        ),
        (
            "hosts.csv",
            'name,role,address,ssh.port,attrs.note\n\n"dk-08",docker,10.90.0.18,22,"two\nlines"\n'
            "dk-09,docker,10.90.0.19,ssh,\n",
            "hosts.csv:5: ssh.port (column D): must be a whole number, not 'ssh'",
        ),
        ("hosts.csv", "name,role\ndk-09,docker\n", "hosts.csv:2: address: is missing"),
        (
            "hosts.csv",
            "name,rôle\ndk-09,docker\n",
            "hosts.csv:1: column B: there is no field 'rôle': did you mean role?",
        ),
        ("hosts.csv", "name,name\nx,y\n", "hosts.csv:1: column B: 'name' stands here twice"),
        (
            "hosts.csv",
            "name,role,address\ndk-09,docker,10.90.0.19,x\n",
            "hosts.csv:2: 'x' stands in column D, which has no name in the first line",
        ),
        (
            "hosts.csv",
            'name,block_devices\ndk-01,"[{""serial"": ""S-9""}]"\n',
            "hosts.csv:2: block_devices (column B), [0].purpose: is missing",
        ),
        ("hosts.csv", "name,block_devices\ndk-01,{\n", "hosts.csv:2: block_devices (column B): is not JSON"),
        ("hosts.csv", 'name,role\n"dk-09,docker\n', "hosts.csv:2: this is not CSV: unexpected end of data"),
        ("list.csv", "name\nx\n", "list.csv: its name does not tell what it lists: name it after a kind"),
        (
            "hosts.csv",
            "name,role,address\ndk-08,docker,10.90.0.18\ndk-08,docker,10.90.0.19\n",
            "hosts.csv:3: host dk-08 is declared twice",
        ),
    ],
)
def test_a_mistake_has_a_place(filled: Store, tmp_path: Path, name: str, text: str, message: str) -> None:
    before = filled.declared_seq()
    path = put(tmp_path, name, text)
    with pytest.raises(InvalidInputError) as caught:
        load(filled, path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
    assert filled.declared_seq() == before


def test_what_chinese_excel_writes_by_default(filled: Store, tmp_path: Path) -> None:
    path = put(tmp_path, "hosts.csv", HEADER + "dk-09,docker,,10.90.0.19,,,张三\n", "gbk")
    with pytest.raises(InvalidInputError, match=r"hosts\.csv: the file is not UTF-8 .* save it as UTF-8"):
        load(filled, path)


def test_tables_of_what_is_there_change_nothing(filled: Store, tmp_path: Path) -> None:
    before = filled.declared_seq()
    for kind in csvfile.sections().values():
        path = put(tmp_path, "table.csv", "\ufeff" + csvfile.export(filled, kind))
        assert load(filled, path, kind=kind) == []
    assert filled.declared_seq() == before


def test_tables_of_all_kinds_make_the_same_cmdb(filled: Store, tmp_path: Path, empty_cmdb: Path) -> None:
    tables = [
        put(tmp_path, f"{section}.csv", csvfile.export(filled, kind))
        for section, kind in csvfile.sections().items()
    ]
    copy = tmp_path / "copy.sqlite3"
    copy.write_bytes(empty_cmdb.read_bytes())
    other = Store.open(f"sqlite:///{copy}")
    load(other, *tables)
    assert yaml.safe_load(exporter.export(other)) == yaml.safe_load(exporter.export(filled))


def test_a_table_of_nothing_has_all_columns(store: Store) -> None:
    header = csvfile.export(store, "host").splitlines()
    assert len(header) == 1
    assert {"name", "ssh.user", "attrs", "block_devices"} <= set(header[0].split(","))


def test_a_kind_that_is_no_table(filled: Store) -> None:
    with pytest.raises(NotFoundError, match="no table is made of the kind 'hots': did you mean host"):
        csvfile.export(filled, "hots")


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_are_named_as_spreadsheets_do(number: int, name: str) -> None:
    assert csvfile.letters(number) == name


def test_tables_hold_every_kind_there_is(store: Store, tmp_path: Path, empty_cmdb: Path) -> None:
    importer.import_files(store, importer.Request((Path(__file__).parent / "data" / "whole.yml",)))
    tables = [
        put(tmp_path, f"{section}.csv", csvfile.export(store, kind))
        for section, kind in csvfile.sections().items()
    ]
    assert all(table.read_text("utf-8").count("\n") > 1 for table in tables)
    copy = tmp_path / "copy.sqlite3"
    copy.write_bytes(empty_cmdb.read_bytes())
    other = Store.open(f"sqlite:///{copy}")
    load(other, *tables)
    made, wanted = (yaml.safe_load(exporter.export(one)) for one in (other, store))
    # Free attributes of parts, as of a rack unit, have no table.
    del wanted["part_attrs"]
    assert made == wanted
