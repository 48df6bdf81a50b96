"""Roles of hosts: a slip of the pen is told, a word of one's own is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb import hostroles
from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("role", ["dokcer", "doker", "dockers", "dcoker", "lbs"])
def test_nearly_one_that_means_something(role: str) -> None:
    near = "lb" if role == "lbs" else "docker"
    assert hostroles.doubt(role) == (
        f"has the role {role!r}, which means nothing to provision; did you mean {near}?"
    )


@pytest.mark.parametrize("role", ["docker", "lb", "infra", "bastion", "database", "worker", "broker", "log"])
def test_one_that_is_meant(role: str) -> None:
    assert hostroles.doubt(role) is None


def test_writes_warn_of_it_and_write_it_all_the_same(drcloud: Command, filled: Store, idc: Path) -> None:
    code, _, err = drcloud("cmdb", "set", "host", "infra-01", "role=dokcer")
    assert (code, err) == (
        0,
        "warning: host infra-01 has the role 'dokcer', which means nothing to provision; "
        "did you mean docker?\n",
    )
    idc.write_text(idc.read_text(encoding="utf-8").replace("role: infra", "role: lbs"), encoding="utf-8")
    code, _, err = drcloud("cmdb", "import", str(idc))
    assert (code, err.count("warning: host infra-01 has the role 'lbs'")) == (0, 1)
    assert drcloud("cmdb", "import", str(idc))[2] == ""
