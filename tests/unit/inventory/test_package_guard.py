"""The collection says in one sentence when the package is missing or skewed."""

from __future__ import annotations

import sys

import pytest

import drcloud
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _package
from ansible_collections.dianrong.cloud.plugins.plugin_utils._version import VERSION


def test_the_package_of_the_same_version_passes():
    _package.require_drcloud()


def test_another_version_is_named(monkeypatch):
    monkeypatch.setattr(drcloud, "__version__", "9.9.9")
    with pytest.raises(
        _package.DrcloudPackageError, match=rf"needs .* drcloud {VERSION} .* is version 9\.9\.9 there"
    ):
        _package.require_drcloud()


def test_a_missing_package_is_said_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "drcloud", None)
    with pytest.raises(
        _package.DrcloudPackageError, match=f"not installed there; run: .*pip install drcloud=={VERSION}"
    ):
        _package.require_drcloud()


def test_a_broken_package_says_what_is_wrong():
    with pytest.raises(
        _package.DrcloudPackageError, match="cannot be imported there: No module named 'sqlalchemy'"
    ):
        _package.require_drcloud(ImportError("No module named 'sqlalchemy'"))
