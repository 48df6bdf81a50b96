"""A plan on a screen."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from drcloud.cli import roll
from drcloud.delivery.plan import Prepared, Pull, plan


def test_a_plan_fits_a_screen_of_a_hundred_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = Pull(f"10.90.0.5:5000/dianrong/demo@sha256:{'a' * 64}", 40 * 1024**2)
    changes = ("image t1 14849d7 -> t2 3d2cd16",)
    hosts = [Prepared(f"dk-0{n}", f"lab/r1/a0{n}", "old", True, changes, pull=lacks) for n in range(3)]
    written = io.StringIO()
    monkeypatch.setattr(roll, "screen", lambda: Console(file=written, width=100))
    roll._tell_plan(plan(hosts, "new", batch=2, min_in_service=1).as_document())
    _title, names, first, *lines = written.getvalue().splitlines()
    assert names.split() == ["Batch", "Host", "Rack", "Pull", "Step", "Because", "it"]
    assert first.split(maxsplit=6) == [
        "1",
        "dk-00",
        "lab/r1/a00",
        "40",
        "MiB",
        "replace",
        "runs another revision: image t1 14849d7 -> t2 3d2cd16",
    ]
    assert lines[2:] == [
        f"pulled is {lacks.image}",
        "3 of 3 hosts are in service, 1 must stay, 1 does while a batch is rolled",
    ]
