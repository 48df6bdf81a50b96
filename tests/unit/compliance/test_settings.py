"""dockerd's command line, read the way dockerd reads it."""

from __future__ import annotations

import pytest

from drcloud.compliance.settings import Settings


@pytest.mark.parametrize(
    ("argv", "hosts"),
    [
        (["-H", "fd://"], ("fd://",)),
        (["-H=tcp://0.0.0.0:2375"], ("tcp://0.0.0.0:2375",)),
        (["-Htcp://0.0.0.0:2375"], ("tcp://0.0.0.0:2375",)),
        (["--host", "fd://", "--host=tcp://:2375"], ("fd://", "tcp://:2375")),
        (["--tlsverify", "-H", "tcp://:2376"], ("tcp://:2376",)),
        (["--containerd=/run/c.sock", "-D", "-H", "fd://"], ("fd://",)),
        (["--host"], ("",)),
    ],
)
def test_hosts(argv: list[str], hosts: tuple[str, ...]) -> None:
    assert Settings(["dockerd", *argv], None).values("host") == hosts


@pytest.mark.parametrize(
    ("argv", "config", "value"),
    [
        ([], {}, None),
        ([], {"no-new-privileges": True}, True),
        (["--no-new-privileges"], {}, True),
        (["--no-new-privileges=true"], {}, True),
        (["--no-new-privileges=false"], {}, False),
        ([], {"no-new-privileges": "yes"}, None),
    ],
)
def test_switch(argv: list[str], config: dict[str, object], value: bool | None) -> None:
    assert Settings(["dockerd", *argv], config).switch("no-new-privileges") is value


def test_the_file_uses_plurals() -> None:
    settings = Settings(["dockerd"], {"hosts": ["fd://", "tcp://:2375"], "log-level": "info"})
    assert settings.values("host") == ("fd://", "tcp://:2375")
    assert settings.text("log-level") == "info"
