"""Limits are raised to what a lab needs, and never lowered."""

from __future__ import annotations

from pathlib import Path

from drcloud.lab import limits


def test_raises_what_is_too_low_and_keeps_what_is_higher(tmp_path: Path) -> None:
    for name in limits.MINIMA:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    instances, watches = (tmp_path / name for name in limits.MINIMA)
    instances.write_text("128\n")
    watches.write_text("99999999\n")
    assert limits.ensure(tmp_path)
    assert (instances.read_text(), watches.read_text()) == ("8192\n", "99999999\n")
    assert not limits.ensure(tmp_path)
