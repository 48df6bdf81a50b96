# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of managed_files: read secret content here, write it there."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ResolvingAction

try:
    from drcloud import secrets
except ImportError:
    secrets = None  # ControllerAction says what is missing.


class ActionModule(ResolvingAction):
    """Resolve ``secret`` of each file, and its ``secrets`` by name."""

    MODULE = "dianrong.cloud.managed_files"
    ELEMENTS = "files"
    REFERENCES = ("secret",)

    def _resolved(self, element: t.Any) -> t.Any:
        found = super()._resolved(element)
        if not isinstance(found, dict) or not isinstance(found.get("secrets"), dict):
            return found
        return {
            **found,
            "secrets": {name: secrets.resolve(value) for name, value in found["secrets"].items()},
        }
