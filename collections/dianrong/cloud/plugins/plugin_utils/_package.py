# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one check that the Python package drcloud is there and belongs to this collection."""

from __future__ import annotations

import sys

from ansible_collections.dianrong.cloud.plugins.plugin_utils._version import VERSION


class DrcloudPackageError(ImportError):
    """The package drcloud is missing, broken or of another version than the collection."""


def require_drcloud(cause: ImportError | None = None) -> None:
    """Raise DrcloudPackageError with one sentence unless the package drcloud fits this collection.

    cause is what importing parts of the package raised, if the caller imported any.
    """
    try:
        from drcloud import __version__ as found
    except ImportError as error:
        raise DrcloudPackageError(_sentence("is not installed there")) from error
    if found != VERSION:
        raise DrcloudPackageError(_sentence(f"is version {found} there"))
    if cause is not None:
        raise DrcloudPackageError(_sentence(f"cannot be imported there: {cause}")) from cause


def _sentence(state: str) -> str:
    return (
        f"the collection dianrong.cloud {VERSION} needs the Python package drcloud {VERSION} in the Python "
        f"that runs Ansible ({sys.executable}), but drcloud {state}; "
        f"run: {sys.executable} -m pip install drcloud=={VERSION}"
    )
