# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine carries, and what an upgrade of it did to that."""

from __future__ import annotations


def survey(info, containers, networks):
    """Return what must be the same after an upgrade. Pure: from what the Engine API says."""
    return {
        "version": info["ServerVersion"],
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "containers": {one["Id"]: _container(one) for one in containers if one["State"].get("Running")},
        "networks": {one["Id"]: one["Name"] for one in networks},
    }


def _container(inspected):
    return {"name": inspected["Name"].lstrip("/"), "started_at": inspected["State"].get("StartedAt") or ""}


def damage(before, after):
    """Return what is not as it was, in sentences. Pure.

    A container may only have been restarted where the engine does not keep them running without it.
    """
    lines = []
    for key, was in sorted(before["containers"].items(), key=lambda item: item[1]["name"]):
        now = after["containers"].get(key)
        if now is None:
            lines.append("container {} does not run any more".format(was["name"]))
        elif now["started_at"] != was["started_at"] and before["live_restore"]:
            lines.append("container {} was restarted".format(was["name"]))
    lines += [
        f"network {name} is gone"
        for key, name in sorted(before["networks"].items(), key=lambda item: item[1])
        if key not in after["networks"]
    ]
    return lines
