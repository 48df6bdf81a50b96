"""The daemon's settings: its arguments and its configuration file, read the way dockerd reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SHORT = {"-H": "host", "-D": "debug", "-l": "log-level", "-G": "group", "-b": "bridge", "-g": "data-root"}
# daemon.json uses the plural for what may be given more than once.
PLURALS = {
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "authorization-plugin": "authorization-plugins",
}
# Flags that stand alone: the next argument is not their value.
SWITCHES = frozenset(
    (
        *(
            "allow-direct-routing",
            "debug",
            "experimental",
            "icc",
            "init",
            "ip-forward",
            "ip-masq",
            "ip6tables",
        ),
        *("iptables", "ipv6", "live-restore", "no-new-privileges", "raw-logs", "selinux-enabled", "tls"),
        *("tlsverify", "userland-proxy", "validate"),
    )
)
TRUE_WORDS = ("1", "t", "true")


class Settings:
    """The merged view; dockerd refuses a setting that both an argument and the file name."""

    def __init__(self, argv: Sequence[str], config: Mapping[str, Any] | None) -> None:
        self._arguments: dict[str, list[str]] = {}
        for name, value in parse(argv):
            self._arguments.setdefault(name, []).append(value)
        self._config = config or {}

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of a setting that may be given more than once, as ``host``."""
        configured = self._config.get(PLURALS.get(name, name)) or []
        listed = configured if isinstance(configured, list) else [configured]
        return (*self._arguments.get(name, ()), *(str(value) for value in listed))

    def text(self, name: str) -> str | None:
        """Return the last value of a setting, ``None`` when it was not given."""
        values = self.values(name)
        return values[-1] if values else None

    def switch(self, name: str) -> bool | None:
        """Return a setting that is on or off, ``None`` when it was not given; ``--x=false`` is off."""
        if name in self._arguments:
            return self._arguments[name][-1].lower() in TRUE_WORDS
        value = self._config.get(name)
        return value if isinstance(value, bool) else None


def parse(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (long name, value) for each option of a dockerd command line."""
    rest = list(argv[1:])
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            continue
        name, equals, value = word.partition("=")
        long = SHORT.get(name, name.lstrip("-"))
        if not name.startswith("--") and name not in SHORT and name[:2] in SHORT:
            # -Htcp://… : a short option with its value attached.
            long, value, equals = SHORT[name[:2]], word[2:], "="
        if equals:
            yield long, value
        elif long in SWITCHES:
            yield long, "true"
        else:
            yield long, rest.pop(0) if rest else ""
