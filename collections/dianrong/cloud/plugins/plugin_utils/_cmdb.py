# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cmdb_* actions share: options, plain values, and outcomes as results.

ansible-core imports an action in the process that forks the workers, so what is imported and prepared
here is paid once and not once for each host.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.cmdb import allocations, engine, entries, ipam, objects, reading
    from drcloud.cmdb.entries import Entry
    from drcloud.cmdb.natural import kinds
    from drcloud.cmdb.wanted import Wanted
    from drcloud.errors import DrcloudError
except ImportError:
    # ControllerAction says what is missing.
    allocations = entries = ipam = objects = reading = Entry = Wanted = None
else:
    kinds()
    with contextlib.suppress(DrcloudError, ImportError):
        engine.build(engine.locate(None))  # loads the driver; nothing is opened

# Everything of the action group takes these, so that `module_defaults` can give them once.
COMMON = {
    "cmdb_url": {"type": "str"},
    "reason": {"type": "str"},
    "ticket": {"type": "str"},
}
WRITING = {**COMMON, "reason": {"type": "str", "required": True}}
VERSION = {"version": {"type": "int"}}
PRESENCE = {"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}}


class CmdbAction(ControllerAction):
    """An action on declared objects; ``self.given`` are its options as plain values."""

    given: dict[str, t.Any]

    def options(self, *groups: dict[str, t.Any], **rules: t.Any) -> dict[str, t.Any]:
        """Check the task's options against groups of options and return them."""
        spec = {name: option for group in groups for name, option in group.items()}
        self.given = plain(self.checked_arguments(spec, **rules))
        return self.given

    def change(self, wanted: t.Iterable[Wanted]) -> objects.Outcome:
        """Bring objects to what is wanted; in check mode only say what would change."""
        return objects.change(self.store(), list(wanted), **self.unit())

    def declare(self, declared: t.Iterable[Entry]) -> objects.Outcome:
        """Bring objects to what entries of an import file say; in check mode only say what would change."""
        return entries.declare(self.store(), list(declared), **self.unit())

    def store(self) -> t.Any:
        """Open the CMDB that the task names."""
        return open_store(self.given["cmdb_url"])

    def unit(self) -> dict[str, t.Any]:
        """Return who writes why, and whether it is only asked."""
        return {
            "reason": self.given["reason"],
            "ticket": self.given["ticket"],
            "dry_run": self.check_mode,
        }


def plain(value: t.Any) -> t.Any:
    """Return a value of a task without what Ansible attaches to it; times become text."""
    return json.loads(json.dumps(value, default=_text))


def _text(value: t.Any) -> str:
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    raise TypeError(f"{value!r} is no value for the CMDB")


def said(given: dict[str, t.Any], *names: str) -> dict[str, t.Any]:
    """Return the options that the task gives; an empty text stands for nothing."""
    return {
        name: given[name] or None if given[name] == "" else given[name]
        for name in names
        if given[name] is not None
    }


def result(outcome: objects.Outcome) -> dict[str, t.Any]:
    """Return an outcome as the task's result: ``changed`` and ``diff`` both come from its changes."""
    return {
        "changed": bool(outcome.changes),
        "changes": [
            {name: getattr(one, name) for name in ("kind", "key", "action", "before", "after")}
            for one in outcome.changes
        ],
        "objects": [found(one) for one in outcome.objects],
        "diff": [
            {
                "before_header": f"{one.kind} {one.key}",
                "after_header": f"{one.kind} {one.key}",
                "before": one.before,
                "after": one.after,
            }
            for one in outcome.changes
        ],
    }


def found(one: objects.Found) -> dict[str, t.Any]:
    """Return an object as modules show it."""
    return {"kind": one.kind, "key": one.key, "version": one.version, "fields": one.fields}


__all__ = [
    "COMMON",
    "PRESENCE",
    "VERSION",
    "WRITING",
    "CmdbAction",
    "Entry",
    "Wanted",
    "allocations",
    "found",
    "ipam",
    "plain",
    "reading",
    "result",
    "said",
]
