# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wanted files on a host: read them, plan what has to change (pure), apply the plan."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass

HIDDEN = "(secret content)\n"


@dataclass(frozen=True)
class Wanted:
    """What a path should be. Content ``None`` means that there should be no file."""

    path: str
    content: bytes | None
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False
    # A command that accepts the new content, ``{path}`` stands for it; and the suffix of a copy of the old.
    validate: tuple[str, ...] = ()
    backup: str = ""


@dataclass(frozen=True)
class Found:
    """What a path is now."""

    content: bytes
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class Change:
    """One path that is not as wanted, and why."""

    wanted: Wanted
    found: Found | None
    reasons: tuple[str, ...]


class FileError(Exception):
    """A path cannot be read or written as wanted; the message names it."""


def read(path):
    """Return what stands at a path: ``Found``, or None when nothing does."""
    try:
        with open(path, "rb", opener=_no_follow) as handle:
            status = os.fstat(handle.fileno())
            return Found(
                handle.read(), stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid)
            )
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise FileError(f"file {path}: cannot read it: {reason}") from error


def plan(wanted, found):
    """Return the changes that make the found files the wanted ones; pure.

    ``found`` maps paths to ``Found`` or None. A path may be wanted only once.
    """
    seen = set()
    changes = []
    for item in wanted:
        if item.path in seen:
            raise FileError(f"file {item.path}: it is wanted twice")
        seen.add(item.path)
        reasons = _reasons(item, found.get(item.path))
        if reasons:
            changes.append(Change(item, found.get(item.path), reasons))
    return changes


def diff(changes):
    """Return Ansible's diff of the changes; secret content never shows."""
    return [
        {
            "before_header": change.wanted.path,
            "after_header": change.wanted.path,
            "before": _shown_found(change),
            "after": _shown_wanted(change),
        }
        for change in changes
    ]


def apply(changes):
    """Make the planned changes, each file at once or not at all."""
    for change in changes:
        if change.wanted.content is None:
            os.unlink(change.wanted.path)
        else:
            write(change.wanted)


def write(wanted):
    """Put a file in its place in one step, with its owner and mode from the start."""
    directory = os.path.dirname(wanted.path)
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        owner, group = pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid
    except KeyError as error:
        raise FileError(f"file {wanted.path}: no such owner or group: {error.args[0]}") from error
    except OSError as error:
        raise FileError(f"file {wanted.path}: cannot make {directory}: {error.strerror}") from error
    descriptor, scratch = tempfile.mkstemp(dir=directory, prefix=".drcloud-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            os.fchmod(handle.fileno(), wanted.mode)
            os.fchown(handle.fileno(), owner, group)
            handle.write(wanted.content)
            handle.flush()
            os.fsync(handle.fileno())
        _validate(wanted, scratch)
        if wanted.backup and os.path.exists(wanted.path):
            shutil.copy2(wanted.path, wanted.path + wanted.backup)
        os.replace(scratch, wanted.path)
    except BaseException:
        os.unlink(scratch)
        raise


def _validate(wanted, scratch):
    if not wanted.validate:
        return
    command = [part.replace("{path}", scratch) for part in wanted.validate]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise FileError(f"file {wanted.path}: cannot check it with {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).replace(scratch, wanted.path).split())
        raise FileError(
            f"file {wanted.path}: {command[0]} refuses the new content, nothing was replaced: {words}"
        )


def _reasons(wanted, found):
    if wanted.content is None:
        return () if found is None else ("unwanted",)
    if found is None:
        return ("missing",)
    compared = (
        ("content", found.content, wanted.content),
        ("mode", found.mode, wanted.mode),
        ("owner", found.owner, wanted.owner),
        ("group", found.group, wanted.group),
    )
    return tuple(name for name, now, then in compared if now != then)


def _shown_found(change):
    if change.found is None:
        return ""
    # Of a file that goes nobody says whether it is a secret: what not everybody may read is taken for one.
    secret = change.wanted.secret or (change.wanted.content is None and not change.found.mode & 0o004)
    return _shown(change, change.found, HIDDEN if secret else _text(change.found.content))


def _shown_wanted(change):
    wanted = change.wanted
    if wanted.content is None:
        return ""
    # A secret that changes must show as a change, without showing what it is.
    new = HIDDEN.replace("secret", "new secret") if "content" in change.reasons else HIDDEN
    return _shown(change, wanted, new if wanted.secret else _text(wanted.content))


def _shown(change, side, text):
    attributes = [name for name in ("mode", "owner", "group") if name in change.reasons]
    lines = [f"# {name}: {_attribute(side, name)}\n" for name in attributes]
    return "".join(lines) + text


def _attribute(side, name):
    value = getattr(side, name)
    return f"{value:04o}" if name == "mode" else value


def _text(content):
    return content.decode("utf-8", "replace")


def _no_follow(path, flags):
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _user(number):
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number):
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
