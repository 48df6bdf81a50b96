"""The program on the log server: order, limits, rotation under it, and input that is not to be trusted."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drcloud.logs import program, servers

DAY = "2026-11-23"


def entry(second: float, message: str, host: str = "dk-01") -> str:
    clock = f"{int(second // 3600):02}:{int(second // 60 % 60):02}:{second % 60:09.6f}"
    return json.dumps({"time": f"{DAY}T{clock}+00:00", "host": host, "message": message})


def put(root: Path, name: str, lines: list[str], host: str = "dk-01", place: str = "lab/demo/prod") -> Path:
    path = root / "logs" / place / host / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def asked(root: Path, **wish: object) -> str:
    limits = root / "keeper.json"
    limits.write_text(json.dumps({"directory": str(root / "logs")}))
    request = {"app": "demo", "env": "prod", "hosts": [], "since": None, "lines": None, "follow": False}
    return json.dumps({**request, "limits": str(limits), **wish}) + "\n"


def ask(root: Path, **wish: object) -> tuple[int, list[str]]:
    """Run the program as the log server does: its text on standard input, then the request."""
    command = [sys.executable, "-I", "-c", servers.COMMAND.split("'")[1].format(len(servers.SOURCE.encode()))]
    data = servers.SOURCE.encode() + asked(root, **wish).encode()
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=30)
    assert b"Traceback" not in done.stderr or done.returncode not in (0, program.NOTHING), done.stderr
    return done.returncode, [json.loads(line)["message"] for line in done.stdout.splitlines()]


def test_hosts_are_merged_in_the_order_of_time(tmp_path: Path) -> None:
    put(tmp_path, f"{DAY}.log", [entry(1, "a"), entry(3, "c")])
    put(tmp_path, f"{DAY}.log", [entry(2, "b", "dk-02"), entry(4, "d", "dk-02")], "dk-02")
    assert ask(tmp_path) == (0, ["a", "b", "c", "d"])
    assert ask(tmp_path, hosts=["dk-02"]) == (0, ["b", "d"])


def test_a_server_without_room_says_so_beside_what_it_has(tmp_path: Path) -> None:
    put(tmp_path, f"{DAY}.log", [entry(1, "a")])
    mark = tmp_path / "stopped"
    mark.write_text("/var/log/drcloud has 5 MiB free\n")
    command = [sys.executable, "-I", program.__file__]
    done = subprocess.run(
        command, input=asked(tmp_path, stopped=str(mark)), capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout)["message"] == "a"
    assert done.stderr == "note: takes no lines for lack of room: /var/log/drcloud has 5 MiB free\n"


def test_files_follow_each_other_whatever_their_kind(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-22.log.gz", [entry(1, "a")])
    put(tmp_path, f"{DAY}.1.log.gz", [entry(2, "b")])
    put(tmp_path, f"{DAY}.2.log", [entry(3, "c")])
    put(tmp_path, f"{DAY}.10.log", [entry(4, "d")])
    put(tmp_path, f"{DAY}.log", [entry(5, "e")])
    assert ask(tmp_path) == (0, list("abcde"))
    assert ask(tmp_path, lines=2) == (0, ["d", "e"])
    assert ask(tmp_path, lines=4) == (0, list("bcde"))


def test_a_file_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-22.log", [entry(1, "a")])
    put(tmp_path, "2026-11-22.log.gz", [entry(1, "a")])
    assert ask(tmp_path) == (0, ["a"])


def test_a_line_that_was_sent_twice_shows_once(tmp_path: Path) -> None:
    lines = [entry(number, str(number)) for number in range(10)]
    put(tmp_path, f"{DAY}.log", [*lines[:8], *lines[4:]])
    assert ask(tmp_path) == (0, [str(number) for number in range(10)])


@pytest.mark.parametrize("count", [1, 5, 1999, 2000, 5000])
def test_the_last_lines_are_the_last_lines(tmp_path: Path, count: int) -> None:
    put(tmp_path, f"{DAY}.log", [entry(number, f"{number} {'x' * 200}") for number in range(2000)])
    code, found = ask(tmp_path, lines=count)
    assert (code, [int(text.split()[0]) for text in found]) == (0, list(range(max(0, 2000 - count), 2000)))


def test_since_is_compared_with_the_lines(tmp_path: Path) -> None:
    put(tmp_path, f"{DAY}.log", [entry(1, "a"), entry(2.5, "b"), entry(3, "c")])
    moment = 1_795_392_000 + 2.5
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) == f"{DAY}T00:00:02"
    assert ask(tmp_path, since=moment) == (0, ["b", "c"])
    assert ask(tmp_path, since=moment + 100) == (0, [])


def test_an_app_that_nobody_heard_of_is_told_apart_from_silence(tmp_path: Path) -> None:
    put(tmp_path, f"{DAY}.log", [])
    assert ask(tmp_path) == (0, [])
    assert ask(tmp_path, app="other")[0] == program.NOTHING
    assert ask(tmp_path, limits=str(tmp_path / "missing"))[0] == program.NO_SERVER


@pytest.mark.parametrize("name", ["../prod", "..", ".", "", "/etc", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"{DAY}.log", [entry(1, "a")])
    for part in ({"app": name}, {"env": name}, {"hosts": [name]}):
        code, found = ask(tmp_path, **part)
        assert code == 1
        assert found == []


@pytest.mark.parametrize("name", ["*", "de?o", "[d]emo", "$(touch x)", "demo; ls", "'"])
def test_a_name_is_compared_and_never_interpreted(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"{DAY}.log", [entry(1, "a")])
    assert ask(tmp_path, app=name)[0] == program.NOTHING
    put(tmp_path, f"{DAY}.log", [entry(1, "b")], place=f"lab/{name}/prod")
    assert ask(tmp_path, app=name) == (0, ["b"])


def keeper_at_work(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have the log server's keeper act once, in the moment after files were listed."""
    acts, original = [act], program.Folder.files

    def late(folder: program.Folder) -> tuple[list[str], str | None]:
        listed = original(folder)
        if acts:
            acts.pop()()
        return listed

    monkeypatch.setattr(program.Folder, "files", late)


def told(root: Path, **wish: Any) -> list[str]:
    """Return the history of one host, read in this process."""
    folder = program.Folder(str(root / "logs/lab/demo/prod/dk-01"))
    return [json.loads(line)["message"] for line in folder.history(wish.get("since"), wish.get("count"))]


@pytest.mark.parametrize("count", [None, 10])
def test_a_file_that_is_compressed_meanwhile_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None
) -> None:
    path = put(tmp_path, "2026-11-22.log", [entry(1, "a")])
    put(tmp_path, f"{DAY}.log", [entry(2, "b")])

    def compress() -> None:
        put(tmp_path, "2026-11-22.log.gz", [entry(1, "a")])
        path.unlink()

    keeper_at_work(monkeypatch, compress)
    assert told(tmp_path, since=0.0, count=count) == ["a", "b"]


def test_a_file_that_is_removed_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "2026-11-22.log", [entry(1, "a")])
    put(tmp_path, f"{DAY}.log", [entry(2, "b")])
    keeper_at_work(monkeypatch, path.unlink)
    assert told(tmp_path, since=0.0) == ["b"]


@pytest.mark.parametrize("anew", [[], ["c"]], ids=["nothing written since", "written since"])
def test_a_file_that_is_set_aside_meanwhile_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: list[str]
) -> None:
    active = put(tmp_path, f"{DAY}.log", [entry(1, "a"), entry(2, "b")])

    def set_aside() -> None:
        active.rename(active.with_name(f"{DAY}.1.log"))
        if anew:
            put(tmp_path, f"{DAY}.log", [entry(3, text) for text in anew])

    keeper_at_work(monkeypatch, set_aside)
    assert told(tmp_path) == ["a", "b", *anew]


def test_following_goes_on_when_a_file_is_gone_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = program.Folder(str(put(tmp_path, "2026-11-22.log.gz", []).parent))
    assert list(folder.history(None, None)) == []
    keeper_at_work(monkeypatch, put(tmp_path, f"{DAY}.log", [entry(1, "a")]).unlink)
    assert list(folder.news(0.0)) == []
    put(tmp_path, f"{DAY}.log", [entry(2, "b")])
    assert [json.loads(line)["message"] for line in folder.news(1.0)] == ["b"]


def test_a_host_whose_last_file_is_removed_meanwhile_has_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, f"{DAY}.log", [entry(1, "a")])
    path.unlink()
    path.parent.rmdir()
    assert told(tmp_path) == []


class Following:
    """The program, following; ``read`` waits for the next message."""

    def __init__(self, root: Path, **wish: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", program.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.stdin.write(asked(root, follow=True, **wish))
        self.stdin.flush()

    @property
    def stdin(self) -> io.TextIOBase:
        assert self.process.stdin
        return self.process.stdin  # type: ignore[return-value]

    def read(self, count: int) -> list[str]:
        assert self.process.stdout
        return [json.loads(self.process.stdout.readline())["message"] for _ in range(count)]

    def end(self) -> int:
        self.stdin.close()
        return self.process.wait(10)


@pytest.mark.timeout(60)
def test_following_goes_over_rotation_midnight_and_new_hosts(tmp_path: Path) -> None:
    active = put(tmp_path, f"{DAY}.log", [entry(1, "a")])
    following = Following(tmp_path, lines=10)
    assert following.read(1) == ["a"]
    with active.open("a") as file:
        file.write(entry(2, "b") + "\n" + entry(3, "c")[:10])
        file.flush()
        assert following.read(1) == ["b"]
        file.write(entry(3, "c")[10:] + "\n")
        file.flush()
        assert following.read(1) == ["c"]
        os.rename(active, active.with_name(f"{DAY}.1.log"))
        file.write(entry(4, "d") + "\n")
    put(tmp_path, f"{DAY}.log", [entry(5, "e")])
    assert following.read(2) == ["d", "e"]
    put(tmp_path, "2026-11-24.log", [entry(6, "f")])
    assert following.read(1) == ["f"]
    put(tmp_path, "2026-11-24.log", [entry(7, "g", "dk-09")], "dk-09")
    assert following.read(1) == ["g"]
    assert following.end() == 0


@pytest.mark.timeout(60)
def test_following_waits_for_an_app_that_has_said_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    following = Following(tmp_path)
    put(tmp_path, f"{DAY}.log", [entry(1, "a")])
    assert following.read(1) == ["a"]
    assert following.end() == 0
