"""The border of the command: every way to leave has its exit code, and nobody sees a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from drcloud.cli.border import guarded
from drcloud.cli.main import app as drcloud
from drcloud.errors import CmdbError, LockedError, NotFoundError


def leave(code: int) -> Callable[[], None]:
    def leaving() -> None:
        raise typer.Exit(code)

    return leaving


def fail(error: BaseException) -> Callable[[], None]:
    def failing() -> None:
        raise error

    return failing


def tree(command: Callable[[], None]) -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["drcloud"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda: None, 0),
        (leave(0), 0),
        (leave(11), 11),
        (fail(KeyboardInterrupt()), 7),
        (fail(typer.Abort()), 7),
        (fail(NotFoundError("there is no app shop")), 2),
        (fail(LockedError("held")), 5),
        (fail(CmdbError("gone")), 20),
        (fail(ZeroDivisionError()), 70),
        (fail(OSError(errno.EBADF, "bad")), 70),
    ],
)
def test_every_way_to_leave_has_its_code(command: Callable[[], None], code: int) -> None:
    assert guarded(tree(command)) == code


def test_an_error_is_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    guarded(tree(fail(NotFoundError("there is no app shop"))))
    assert capsys.readouterr().err == "drcloud: there is no app shop\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["cmdb", "import"], "Missing argument"),
        (["cmdb", "show", "--bla"], "No such option: --bla"),
    ],
)
def test_misuse_is_told_and_has_code_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["drcloud", *arguments])
    assert guarded(drcloud) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(drcloud) == 2
    shown = capsys.readouterr()
    assert "Commands" in shown.out + shown.err
    assert "drcloud: " not in shown.err


def test_a_bug_leaves_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    guarded(tree(fail(ZeroDivisionError("by zero"))))
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    path = shown.rsplit(maxsplit=1)[-1]
    assert "ZeroDivisionError: by zero" in Path(path).read_text("utf-8")


@pytest.mark.parametrize("count", ["1", "100000"], ids=["at the end", "meanwhile"])
def test_output_that_finds_no_room_is_one_sentence(count: str) -> None:
    program = (
        "import sys; from drcloud.cli.border import guarded; import typer; app = typer.Typer(); "
        f"app.command()(lambda: sys.stdout.write('line\\n' * {count}) and None); sys.exit(guarded(app))"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    said = f"drcloud: the output cannot be written: {os.strerror(errno.ENOSPC)}\n"
    assert (done.returncode, done.stderr) == (2, said)
