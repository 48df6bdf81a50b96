# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of docker_registry_access: read CAs and passwords here, write them there."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ResolvingAction

try:
    from drcloud.errors import InvalidInputError
except ImportError:
    InvalidInputError = None  # ControllerAction says what is missing.


class ActionModule(ResolvingAction):
    """Resolve ``ca`` and ``password`` of each registry; a CA that expired would stop all pulls."""

    MODULE = "dianrong.cloud.docker_registry_access"
    ELEMENTS = "registries"
    REFERENCES = ("ca", "password")

    def _resolved(self, element: t.Any) -> t.Any:
        found = super()._resolved(element)
        if isinstance(found, dict) and found.get("ca") and not _certificates.CRYPTOGRAPHY_ERROR:
            try:
                _certificates.check_time(found["ca"], datetime.datetime.now(datetime.UTC))
            except ValueError as error:
                raise InvalidInputError(
                    f"registry {element.get('endpoint')}: CA {element['ca']}: {error}; nothing was changed"
                ) from error
        return found
