# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches of the kernel's audit: plan the file of rules (pure) and understand what the kernel has loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD = "## Written by drCloud (dianrong.cloud.audit_watches): changes made here are lost.\n"
KEY = re.compile(r"[A-Za-z0-9_.-]{1,31}")
PERMISSIONS = re.compile(r"[rwxa]{1,4}")
WATCH = re.compile(r"-w (?P<path>\S+) -p (?P<permissions>[rwxa]+)(?: -k (?P<key>\S+))?")


class AuditError(Exception):
    """Watches that make no rules; the message names which and why."""


@dataclass(frozen=True)
class Plan:
    """The lines of the file, the watches left out, and those that the kernel does not have yet.

    ``missing`` can be loaded now; ``waiting`` only with the next boot, for the kernel's rules are locked.
    """

    rules: tuple[str, ...]
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    waiting: tuple[str, ...] = ()


def plan(paths, permissions, key, present, loaded, locked=False):
    """Return the rules that watch paths; pure.

    Args:
        paths: absolute paths, in the order of the file.
        permissions: which kinds of access are recorded, of ``rwxa``.
        key: the mark that the records are found by.
        present: those of the paths' directories that there are; the kernel refuses a watch in any other.
        loaded: rules as ``auditctl -l`` lists them, or None when the kernel does not tell.
        locked: whether the kernel takes no rules until the next boot.

    Raises:
        AuditError: a path, the permissions or the key make no rule.
    """
    if not PERMISSIONS.fullmatch(permissions) or not KEY.fullmatch(key):
        raise AuditError(f"audit watches: permissions {permissions!r} and key {key!r} make no rule")
    rules, left_out = [], []
    for path in dict.fromkeys(paths):
        if not path.startswith("/") or path == "/" or re.search(r"\s", path):
            raise AuditError(f"audit watch {path!r}: expected an absolute path without blanks")
        if path.rpartition("/")[0] in present:
            rules.append(f"-w {path} -p {permissions} -k {key}")
        else:
            left_out.append(path)
    have = {canonical(rule) for rule in loaded} if loaded is not None else set()
    lacking = () if loaded is None else tuple(rule for rule in rules if canonical(rule) not in have)
    missing, waiting = ((), lacking) if locked else (lacking, ())
    return Plan(tuple(rules), tuple(left_out), missing, waiting)


def locked(status):
    """Return whether ``auditctl -s`` tells of rules that nobody changes until the next boot; pure.

    auditctl(8), ``-e 2``; CIS Debian Linux Benchmark, "Ensure the audit configuration is immutable".
    """
    return re.search(r"\benabled[ =]2\b", status) is not None


def render(rules):
    """Return the file for ``/etc/audit/rules.d``."""
    return HEAD + "".join(f"{rule}\n" for rule in rules)


def canonical(rule):
    """Return what a watch says in a form that can be compared, for the kernel sorts the permissions."""
    match = WATCH.fullmatch(rule.strip())
    if match is None:
        return rule.strip()
    return match["path"].rstrip("/"), frozenset(match["permissions"]), match["key"]
