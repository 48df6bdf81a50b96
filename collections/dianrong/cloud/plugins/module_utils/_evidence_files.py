# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files, groups and audit rules of a host as evidence."""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import stat

AUDIT_RULES = ("/etc/audit/audit.rules", "/etc/audit/rules.d/*.rules")
FIXED_PATHS = (
    "/etc/containerd/config.toml",
    "/etc/default/docker",
    "/etc/docker",
    "/etc/sysconfig/docker",
    "/run/containerd/containerd.sock",
)
KINDS = ((stat.S_ISDIR, "directory"), (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "file"))
LIMIT = 500


def describe_file(path):
    """Return owner, group and mode of a file; the mode is octal text, as C(chmod) takes it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {"state": "absent"}
    except OSError as error:
        return {"state": "unread", "reason": str(error)}
    return {
        "state": "present",
        "type": next((name for test, name in KINDS if test(status.st_mode)), "other"),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "owner": _name(lambda: pwd.getpwuid(status.st_uid).pw_name),
        "group": _name(lambda: grp.getgrgid(status.st_gid).gr_name),
    }


def _name(look_up):
    try:
        return look_up()
    except KeyError:
        return None


def describe_files(paths):
    """Return {path: description} for the paths, and for everything below /etc/docker/certs.d."""
    certificates = glob.glob("/etc/docker/certs.d/**", recursive=True)[:LIMIT]
    wanted = set(paths) | set(FIXED_PATHS) | {path.rstrip("/") for path in certificates}
    return {path: describe_file(path) for path in sorted(wanted)}


def read_config(path):
    """Return the daemon's configuration file, None when there is none; raises OSError or ValueError."""
    try:
        with open(path, "rb") as handle:
            document = json.loads(handle.read(1024 * 1024).decode("utf-8") or "{}")
    except FileNotFoundError:
        return None
    if not isinstance(document, dict):
        raise TypeError(f"{path}: not a JSON object")
    return document


def read_audit_rules():
    """Return the audit rules on disk, without comments. Raises OSError."""
    rules = []
    for pattern in AUDIT_RULES:
        for path in sorted(glob.glob(pattern)):
            with open(path, "rb") as handle:
                lines = handle.read(256 * 1024).decode("utf-8", "replace").splitlines()
            rules.extend(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return rules[:LIMIT]


def read_group(name):
    """Return the members of a group, primary ones too; None when it does not exist."""
    try:
        group = grp.getgrnam(name)
    except KeyError:
        return None
    primary = [user.pw_name for user in pwd.getpwall() if user.pw_gid == group.gr_gid]
    return {"gid": group.gr_gid, "members": sorted(set(group.gr_mem) | set(primary))}
