"""The text of systemd units for a schedule: pure, with systemd's quoting (systemd.syntax(7))."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drcloud.errors import InvalidInputError

HEADER = "# Written by `drcloud schedule install`; it is written again from the CMDB."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What a controller needs: it writes its CMDB and its home, opens SSH connections, loads no kernel code.
HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
UMask=0077
"""
# These need a mount namespace, which only the system's manager can make.
PRIVATE_TMP = "PrivateTmp=yes\n"
SYSTEM_HARDENING = """\
ProtectSystem=full
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a schedule's service and timer say. ``environment`` holds no secrets: the file does."""

    name: str
    playbook: str
    calendar: str
    command: Sequence[str]
    directory: Path
    environment_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    system: bool = True

    def __post_init__(self) -> None:
        """Refuse what would break out of its line."""
        if not _NAME.match(self.name):
            raise InvalidInputError(
                f"schedule {self.name!r} cannot be the name of a unit: use letters, digits, '-', '_' and '.'"
            )
        words = (self.playbook, self.calendar, str(self.directory), *self.command, *self.environment.values())
        if any(_CONTROL.search(word) for word in words):
            raise InvalidInputError(f"schedule {self.name} has a control character in one of its values")

    @property
    def service_name(self) -> str:
        """Return the name of the service."""
        return f"drcloud-{self.name}.service"

    @property
    def timer_name(self) -> str:
        """Return the name of the timer."""
        return f"drcloud-{self.name}.timer"

    def files(self) -> dict[str, str]:
        """Return the two units by file name."""
        return {self.service_name: self._service(), self.timer_name: self._timer()}

    def _service(self) -> str:
        lines = [
            HEADER,
            "[Unit]",
            f"Description=drCloud {self.name}: {_plain(self.playbook)}",
            "Wants=network-online.target" if self.system else "",
            "After=network-online.target" if self.system else "",
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={' '.join(_argument(word) for word in self.command)}",
            f"WorkingDirectory={_plain(str(self.directory))}",
            *(
                f"Environment={_quoted(f'{name}={self.environment[name]}')}"
                for name in sorted(self.environment)
            ),
            "# Secrets stand in this file (mode 0600), one NAME=value a line.",
            f"EnvironmentFile=-{_plain(str(self.environment_file))}",
            f"User={_plain(self.user)}" if self.user else "",
            "# The run ends its own children, and says in the CMDB that it was cancelled.",
            "KillMode=mixed",
            "TimeoutStartSec=12h",
            "TimeoutStopSec=60s",
        ]
        return "\n".join([*_dense(lines), HARDENING + self._system_hardening()])

    def _system_hardening(self) -> str:
        if not self.system:
            return ""
        # A CMDB or a playbook under /tmp must stay visible.
        places = (str(self.directory), *self.environment.values())
        shared = any("/tmp" in place for place in places)  # noqa: S108 - looked for, not written to
        return SYSTEM_HARDENING + ("" if shared else PRIVATE_TMP)

    def _timer(self) -> str:
        lines = [
            HEADER,
            "[Unit]",
            f"Description=drCloud {self.name} by the calendar",
            "",
            "[Timer]",
            f"OnCalendar={_plain(self.calendar)}",
            "# After an outage, run once for what was missed.",
            "Persistent=yes",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
        return "\n".join(lines)


def _dense(lines: Sequence[str]) -> list[str]:
    """Drop the lines that do not apply, but keep the blank one before a section."""
    following = [*lines[1:], ""]
    return [line for line, after in zip(lines, following, strict=True) if line or after.startswith("[")]


def _plain(value: str) -> str:
    """Return a value of a setting that knows specifiers but no quotes."""
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    """Return a value in double quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_plain(escaped)}"'


def _argument(word: str) -> str:
    """Return an argument of a command line, where ``$`` begins a variable."""
    dollars = word.replace("$", "$$")
    return dollars.replace("%", "%%") if re.fullmatch(r"[\w./=:@,+$%-]+", word) else _quoted(dollars)
