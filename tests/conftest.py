"""The order of files when several workers share them: what takes minutes begins first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One run decides: the same examples on every machine, and none is too late because the machine is busy.
settings.register_profile(
    "drcloud", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("drcloud")

LONGEST = ("test_newest_core", "test_sanity", "test_gates", "test_wheel", "test_command", "test_modules")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest files to the front; within a file the order stays."""
    items.sort(
        key=lambda item: LONGEST.index(name) if (name := Path(item.fspath).stem) in LONGEST else len(LONGEST)
    )
