# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the engine's systemd unit: how dockerd is called, and a drop-in of ours that calls it so.

C(daemon.json) and the command line must not both say where the engine listens, and every package calls
dockerd with C(-H fd://). A drop-in takes the flag away where C(daemon.json) has C(hosts), and leaves the rest
of the command as the package and the drop-ins before ours have it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

DROP_IN = "drcloud-engine.conf"
# systemd.unit(5): a file of an earlier directory stands for one of the same name in a later one.
DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
# Stands for the package's own command line on a host that does not have the package yet.
UNKNOWN_COMMAND = "dockerd"


@dataclass(frozen=True)
class UnitFiles:
    """The unit's file and its drop-ins by path, in the order in which systemd reads them."""

    path: str | None = None
    text: str = ""
    drop_ins: dict[str, str] = field(default_factory=dict)

    def paths(self):
        """Return the paths of all files that systemd reads for the unit."""
        return [path for path in (self.path, *self.drop_ins) if path]


def read(unit, directories=DIRECTORIES):
    """Read the files of a unit; those that are not there are simply not in the result."""
    own = next(filter(os.path.isfile, (os.path.join(top, unit) for top in directories)), None)
    drop_ins = {}
    for top in directories:
        directory = os.path.join(top, unit + ".d")
        names = os.listdir(directory) if os.path.isdir(directory) else []
        for name in names:
            if name.endswith(".conf"):
                drop_ins.setdefault(name, os.path.join(directory, name))
    ordered = [drop_ins[name] for name in sorted(drop_ins)]
    return UnitFiles(own, _text(own) if own else "", {path: _text(path) for path in ordered})


def drop_in_path(unit):
    """Return where our drop-in of a unit stands."""
    return os.path.join(DIRECTORIES[0], unit + ".d", DROP_IN)


def with_drop_in(files, path, text):
    """Return the files as they are with our drop-in, or without it where the text is None; pure."""
    drop_ins = {**files.drop_ins, path: text}
    names = sorted(drop_ins, key=os.path.basename)
    return UnitFiles(
        files.path, files.text, {name: drop_ins[name] for name in names if drop_ins[name] is not None}
    )


def command_line(files):
    """Return how systemd calls the engine, after all drop-ins; pure."""
    commands = []
    for text in (files.text, *files.drop_ins.values()):
        for command in _values(text, "ExecStart"):
            commands = [*commands, command] if command else []
    return " ".join(commands)


def drop_in(files, own_hosts, environment):
    """Return our drop-in, None where the packaged unit serves as it is; pure.

    ``own_hosts`` says that C(daemon.json) tells where to listen; ``environment`` are the engine's variables.
    """
    lines = []
    if own_hosts:
        given = command_line(_before_ours(files)) or UNKNOWN_COMMAND
        lines += ["# Where to listen is said in daemon.json.", "ExecStart="]
        lines.append(f"ExecStart={without_hosts(given)}")
    lines += [
        f'Environment="{name}={_escaped(value)}"' for name, value in sorted((environment or {}).items())
    ]
    return "\n".join(["# Managed by drCloud", "[Service]", *lines, ""]) if lines else None


def _before_ours(files):
    # Ours resets what the drop-ins before it say; those behind it have the last word anyway.
    drop_ins = {path: text for path, text in files.drop_ins.items() if os.path.basename(path) < DROP_IN}
    return UnitFiles(files.path, files.text, drop_ins)


def without_hosts(command):
    """Return a dockerd command line without the flags that say where to listen; pure."""
    kept, skip = [], False
    for word in command.split():
        if skip or word in ("-H", "--host"):
            skip = not skip
        elif not word.startswith(("-H", "--host=")):
            kept.append(word)
    return " ".join(kept)


def _values(text, key):
    joined = text.replace("\\\n", " ")
    lines = (line.strip() for line in joined.splitlines())
    return [line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == key]


def _escaped(value):
    # systemd.exec(5): a % starts a specifier; inside quotes, \ and " are written with a \ before them.
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _text(path):
    with open(path, encoding="utf-8", errors="replace") as handle:
        return handle.read()
