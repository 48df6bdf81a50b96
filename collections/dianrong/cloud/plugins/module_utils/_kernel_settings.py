# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the kernel (sysctl): read them, plan what differs (pure), set them and read them back."""

from __future__ import annotations

import errno
from dataclasses import dataclass

ROOT = "/proc/sys/"
HEAD = "# Written by drCloud (dianrong.cloud.kernel_settings): changes made here are lost.\n"


class SettingError(Exception):
    """A setting is unknown, or the kernel does not take it; the message names it."""


@dataclass(frozen=True)
class Plan:
    """What to set, and which tolerated names this kernel does not know."""

    changes: dict[str, str]
    unknown: tuple[str, ...]


def path(name):
    """Return where a setting stands: separators are dots unless the first one is a slash (sysctl.d(5))."""
    first = next((char for char in name if char in "./"), ".")
    swapped = name if first == "/" else name.translate(str.maketrans("./", "/."))
    if not swapped or ".." in swapped.split("/") or swapped.startswith("/") or not swapped.isprintable():
        raise SettingError(f"kernel setting {name!r}: this is no name of a setting")
    return ROOT + swapped


def plain(value):
    """Return a value as it is compared: fields with one blank between."""
    return " ".join(str(value).split())


def split(settings):
    """Return ``({name: value}, names that a kernel need not know)``; those have a minus in front."""
    found = {str(name).lstrip("-"): plain(value) for name, value in settings.items()}
    tolerated = {str(name)[1:] for name in settings if str(name).startswith("-")}
    return found, tolerated


def render(settings):
    """Return the file of sysctl.d(5)."""
    return HEAD + "".join(f"{name} = {plain(value)}\n" for name, value in sorted(settings.items()))


def plan(settings, found):
    """Return what has to be set; pure.

    Args:
        settings: ``{name: value}``; a minus in front of a name tolerates a kernel that does not know it.
        found: ``{name without minus: value or None}`` as the kernel has it.

    Raises:
        SettingError: the kernel does not know a setting.
    """
    wanted, tolerated = split(settings)
    unknown = sorted(name for name in wanted if found[name] is None)
    strange = [name for name in unknown if name not in tolerated]
    if strange:
        raise SettingError(
            f"kernel settings {', '.join(strange)}: this kernel does not know them; correct the names, "
            f"load the module that brings them, or tolerate it with a minus in front, as in -{strange[0]}"
        )
    changes = {
        name: value
        for name, value in sorted(wanted.items())
        if found[name] is not None and plain(found[name]) != value
    }
    return Plan(changes, tuple(unknown))


def read(name):
    """Return the value that the kernel has, or None when it does not know the setting.

    Raises:
        SettingError: there is such a setting, but it cannot be read.
    """
    try:
        with open(path(name), encoding="ascii", errors="replace") as handle:
            return handle.read().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise SettingError(f"kernel setting {name}: this is a group of settings") from error
        raise SettingError(f"kernel setting {name}: cannot read it: {error.strerror}") from error


def write(name, value):
    """Set a value and make sure that the kernel took it.

    Raises:
        SettingError: it did not.
    """
    try:
        with open(path(name), "w", encoding="ascii") as handle:
            handle.write(value)
    except (OSError, UnicodeEncodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"kernel setting {name}: the kernel refuses {value!r}: {reason}") from error
    taken = plain(read(name))
    if taken != value:
        raise SettingError(f"kernel setting {name}: set to {value!r}, but the kernel says {taken!r}")
