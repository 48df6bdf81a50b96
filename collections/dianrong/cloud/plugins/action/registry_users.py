# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of registry_users: read the passwords here, hash them there."""

from __future__ import annotations

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ResolvingAction


class ActionModule(ResolvingAction):
    """Resolve ``password`` of each user."""

    MODULE = "dianrong.cloud.registry_users"
    ELEMENTS = "users"
    REFERENCES = ("password",)
