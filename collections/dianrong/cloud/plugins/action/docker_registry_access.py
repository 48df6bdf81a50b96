# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of docker_registry_access: read CAs and passwords here, write them there."""

from __future__ import annotations

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ResolvingAction


class ActionModule(ResolvingAction):
    """Resolve ``ca`` and ``password`` of each registry."""

    MODULE = "dianrong.cloud.docker_registry_access"
    ELEMENTS = "registries"
    REFERENCES = ("ca", "password")
