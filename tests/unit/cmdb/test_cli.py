"""``drcloud init`` and ``drcloud cmdb``: what a user sees, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


def test_init_twice(drcloud: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{tmp_path}/new/cmdb.sqlite3")
    assert drcloud("cmdb", "show")[0] == 20
    for _ in range(2):
        assert drcloud("init") == (0, f"CMDB ready: {tmp_path}/new/cmdb.sqlite3\n", "")
    assert drcloud("cmdb", "upgrade")[1].endswith("is up to date\n")


def test_import(drcloud: Command, idc: Path) -> None:
    code, out, _ = drcloud("cmdb", "import", str(idc), "--dry-run")
    assert code == 0
    assert "+ host dk-01  name: dk-01, role: docker, rack: bj1/r1/a01, " in out
    assert out.endswith("created; nothing was written\n")
    assert Store.open().declared_seq() == 0
    assert drcloud("cmdb", "import", str(idc), "--reason", "first", "--ticket", "CHG-1")[0] == 0
    assert drcloud("cmdb", "import", str(idc))[1] == "nothing to change: the CMDB is as the file says\n"
    entries = json.loads(drcloud("cmdb", "log", "--json")[1])
    assert {(entry["reason"], entry["ticket"]) for entry in entries} == {("first", "CHG-1")}


def test_a_bad_file(drcloud: Command, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text("drcloud: 1\nhosts: [{name: DK}]\n")
    code, out, err = drcloud("cmdb", "import", str(path))
    assert (code, out) == (2, "")
    assert err.startswith(f"drcloud: {path}:2: hosts[0].address: is missing\n")


def test_show(drcloud: Command, filled: Store) -> None:
    assert ["host", "5"] in [line.split() for line in drcloud("cmdb", "show")[1].splitlines()]
    assert json.loads(drcloud("cmdb", "show", "--json")[1])["host"] == 5
    listed = drcloud("cmdb", "show", "host")[1].splitlines()
    assert listed[0].split()[:3] == ["name", "address", "role"]
    assert listed[2].split()[:2] == ["dk-01", "10.90.0.11"]
    assert "张三" in drcloud("cmdb", "show", "host", "dk-01")[1]
    assert "北京一号机房" in drcloud("cmdb", "show", "idc")[1]
    shown = json.loads(drcloud("cmdb", "show", "host", "dk-01", "--json")[1])
    assert shown["attrs"]["note"] == "{{ lookup('pipe', 'id') }}"
    assert [disk["serial"] for disk in shown["block_device"]] == ["S-1", None]
    assert drcloud("cmdb", "show", "release")[0] == 0


def test_show_what_is_not_there(drcloud: Command, filled: Store) -> None:
    code, _, err = drcloud("cmdb", "show", "host", "dk-1")
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no host 'dk-1' in the CMDB: did you mean" in err
    assert "the CMDB has no kind 'hots': did you mean host?" in drcloud("cmdb", "show", "hots")[2]


def test_log(drcloud: Command, filled: Store) -> None:
    with filled.write(reason="因为", actor="alice") as session:
        from drcloud.cmdb import hosts, lookup

        hosts.transition(session, lookup.host(session, "dk-01"), "provisioning")
    first = drcloud("cmdb", "log", "host", "dk-01")[1].splitlines()[1]
    assert "alice" in first
    assert "~ host dk-01  state: planned → provisioning" in first
    assert "因为" in first
    assert len(drcloud("cmdb", "log", "-n", "3")[1].splitlines()) == 4


def test_export(drcloud: Command, filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.yml"
    assert drcloud("cmdb", "export", "--output", str(path)) == (0, "", "")
    assert path.read_text(encoding="utf-8") == drcloud("cmdb", "export")[1]
    code, _, err = drcloud("cmdb", "export", "--output", str(tmp_path / "none" / "export.yml"))
    assert code == 2
    assert "the file cannot be written: No such file or directory" in err


def test_an_export_goes_through_links_and_into_pipes(drcloud: Command, filled: Store, tmp_path: Path) -> None:
    shown = drcloud("cmdb", "export")[1]
    target, link, pipe = tmp_path / "target.yml", tmp_path / "link.yml", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    assert drcloud("cmdb", "export", "-o", str(link))[0] == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == shown
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert drcloud("cmdb", "export", "-o", str(pipe))[0] == 0
        assert reader.communicate()[0] == shown
    assert pipe.is_fifo()
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    assert drcloud("cmdb", "export", "-o", str(null))[0] == 0
    assert Path("/dev/null").is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_no_colour_in_a_pipe(drcloud: Command, filled: Store) -> None:
    assert "\x1b" not in drcloud("cmdb", "show", "host")[1]


def test_several_files_and_pending_changes(drcloud: Command, idc: Path, tmp_path: Path) -> None:
    more = tmp_path / "hosts.csv"
    more.write_text("name,role,address\ndk-09,docker,10.90.0.19\n", encoding="utf-8")
    words = ("cmdb", "import", str(idc), str(more), "--dry-run", "--detailed-exitcode")
    assert drcloud(*words)[0] == 12
    assert drcloud("cmdb", "import", str(idc), str(more))[0] == 0
    assert drcloud(*words)[0] == 0
    assert drcloud("cmdb", "import", str(idc), "--detailed-exitcode")[0] == 2


def test_a_dry_run_shows_each_field(drcloud: Command, filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "more.yml"
    path.write_text(
        "drcloud: 1\nhosts: [{name: dk-01, role: infra, address: 10.90.0.11, attrs: {owner: 李娜}}]\n"
        "apps: [{name: demo, spec: {image: dianrong/demo, port: 8081, env: {A: '1'}}}]\n",
        encoding="utf-8",
    )
    shown = drcloud("cmdb", "import", str(path), "--dry-run")[1].splitlines()
    assert shown[:6] == [
        "~ host dk-01",
        "    role: docker → infra",
        "    attrs.owner: 张三 → 李娜",
        "    attrs.note: {{ lookup('pipe', 'id') }} → none",
        "~ app demo  spec_version: 1 → 2",
        "+ app_spec_version demo/2",
    ]
    assert "    document.port: 8080 → 8081" in shown


def test_removals_are_shown_and_agreed_to(drcloud: Command, filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "none.yml"
    path.write_text("drcloud: 1\nschedules: []\n", encoding="utf-8")
    code, _, err = drcloud("cmdb", "import", str(path), "--prune")
    assert code == 2
    assert err.startswith("- schedule nightly\ndrcloud: this would remove 1 object: say --yes")
    assert drcloud("cmdb", "import", str(path), "--prune", "--yes")[:2] == (0, "1 deleted\n")


def test_a_table_for_excel(drcloud: Command, filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "idcs.csv"
    words = ("cmdb", "export", "--format", "csv", "--kind", "idc")
    assert drcloud(*words)[1].startswith("code,name,rooms\nbj1,北京一号机房,")
    assert drcloud(*words, "--excel", "-o", str(path))[0] == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbfcode,")
    assert drcloud("cmdb", "import", str(path))[1].startswith("nothing to change")
    assert drcloud("cmdb", "export", "--format", "csv")[0] == 2
    assert drcloud("cmdb", "export", "--kind", "host")[0] == 2
