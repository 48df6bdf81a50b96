# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of registry_gc: ask the CMDB what it names, let the host's module remove the rest."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import named
    from drcloud.errors import NothingMatchedError
except ImportError:
    named = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """An answer of the CMDB that names nothing is no answer."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask, and run the module with the answer."""
        given = self.arguments(
            registry={"type": "str"},
            storage={"type": "path", "default": "/var/lib/docker-registry"},
            config={"type": "path", "default": "/etc/drcloud/registry/config.yml"},
            older_than_days={"type": "float", "default": 14},
            keep_tags={"type": "list", "elements": "str", "default": []},
            quiet_minutes={"type": "float", "default": 15},
        )
        store = open_store()
        host = task_vars["inventory_hostname"]
        registries = [str(given["registry"])] if given["registry"] else named.registries_on(store, host)
        if not registries:
            raise NothingMatchedError(
                f"the CMDB declares no registry on {host}: a registry's field host says where it runs"
            )
        given["registry"] = ", ".join(registries)
        found = named.images(store, registries)
        if not found.digests:
            raise NothingMatchedError(
                f"registry {given['registry']}: the CMDB names no digest at all, so everything would be "
                "garbage; nothing was removed"
            )
        asked = {"named": sorted(found.digests), "repositories": sorted(found.repositories)}
        return self._execute_module(
            module_name="dianrong.cloud.registry_gc", module_args={**given, **asked}, task_vars=task_vars
        )
