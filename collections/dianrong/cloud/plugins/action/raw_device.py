# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a host's disks to their purpose there, and record here which are ours, and which an app's."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.cmdb import objects, reading
    from drcloud.cmdb.wanted import Wanted
except ImportError:
    objects = None  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.raw_device"
RECORDED = ("docker-data", "app-volume", "raw")


class ActionModule(ControllerAction):
    """The CMDB is asked only for devices of which it has no UUID yet."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See that the devices are declared, run the host's half, record what came back."""
        host = str(task_vars["inventory_hostname"])
        arguments = dict(self._task.args)
        devices = [one for one in arguments.get("devices") or [] if isinstance(one, dict)]
        known = {_key(one): one.get("uuid") for one in devices if one.get("purpose") in RECORDED}
        store = None
        if self._records(arguments) and any(not number for number in known.values()):
            store = open_store()
            # A device that the CMDB does not know could not be recorded after it was put to its purpose.
            reading.read(store, "block_device", [f"{host}:{key}" for key in known])
        result = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        if result.get("failed") or result.get("unreachable") or not self._records(arguments):
            return result
        new = {
            one["key"]: one["uuid"]
            for one in result["devices"]
            if one["uuid"] and one["uuid"] != known[one["key"]]
        }
        return self._record(store or open_store(), host, new, result) if new else result

    def _records(self, arguments: dict[str, t.Any]) -> bool:
        record = arguments.get("record", True)
        return record if isinstance(record, bool) else str(record).lower() in ("yes", "true", "1", "on")

    def _record(
        self, store: t.Any, host: str, new: dict[str, str], result: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Record UUIDs in one transaction; in check mode only say what would be recorded."""
        wanted = [Wanted("block_device", {"uuid": number}, f"{host}:{key}") for key, number in new.items()]
        outcome = objects.change(
            store,
            wanted,
            reason=f"disks of {host}, put to their purpose or found so by raw_device",
            dry_run=self.check_mode,
        )
        told = [
            {
                "before_header": f"CMDB: block device {one.key}",
                "after_header": f"CMDB: block device {one.key}",
                "before": one.before,
                "after": one.after,
            }
            for one in outcome.changes
        ]
        changed = bool(result.get("changed") or outcome.changes)
        return {**result, "changed": changed, "diff": [*result.get("diff", []), *told]}


def _key(device: dict[str, t.Any]) -> str:
    return str(device.get("serial") or device.get("wwn") or device.get("path") or "")
