"""An inventory source as a file, read without Ansible and refused where the inventory plugin refuses it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from drcloud.cmdb import options as asked
from drcloud.cmdb.construction import Rules
from drcloud.cmdb.options import Options
from drcloud.errors import InvalidInputError
from drcloud.secrets import expand

PLUGIN = "dianrong.cloud.cmdb"
SUFFIXES = (".cmdb.yml", ".cmdb.yaml")
# The options that a source may have, as the plugin's documentation lists them.
KNOWN = (
    *asked.NAMES,
    "plugin",
    "url",
    "ssh",
    "strict",
    "cached",
    "cache_directory",
    "use_stale_cache",
    "leading_separator",
    "use_extra_vars",
)
SSH = ("directory", "identity_file")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A ``*.cmdb.yml``: where it is, what it says, and what that means."""

    path: Path | None
    content: Mapping[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    @property
    def url(self) -> str | None:
        """The URL of the CMDB, if the source names one."""
        url = self.content.get("url")
        return expand(str(url), "option url") if url else None

    @property
    def identity_file(self) -> str | None:
        """The private key that opens the hosts, if the source names one."""
        return ssh_options(self.content.get("ssh"))[1]

    def rules(self) -> Rules:
        """Return the expressions of the source."""
        return Rules(
            self.options,
            strict=self.content.get("strict", True) is not False,
            leading_separator=self.content.get("leading_separator", True) is not False,
        )


def load(path: Path) -> SourceFile:
    """Read a source; InvalidInputError says what is wrong with it."""
    if not path.name.endswith(SUFFIXES):
        raise InvalidInputError(
            f"{path} is no source of {PLUGIN}: its name ends in neither {' nor '.join(SUFFIXES)}"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"inventory source {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"inventory source {path} is not YAML in UTF-8: {error}") from error
    if not isinstance(content, dict) or content.get("plugin") != PLUGIN:
        raise InvalidInputError(f"inventory source {path} does not say plugin: {PLUGIN}")
    try:
        _check(content)
        return SourceFile(path, content, asked.parse({name: content.get(name) for name in asked.NAMES}))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def refuse_unknown(names: Iterable[Any], known: Iterable[str] = KNOWN, what: str = "option ") -> None:
    """Refuse options that do not exist: a misspelt one would be ignored."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidInputError(f"unknown {what}{name}{hint}")


def ssh_options(options: Mapping[str, Any] | None) -> tuple[Path | None, str | None]:
    """Return where the SSH configuration belongs and the key to log in with, as the option ``ssh`` says."""
    if options is None:
        return None, None
    if not isinstance(options, Mapping):
        raise InvalidInputError(f"option ssh: it is a mapping of {' and '.join(SSH)}, not {options!r}")
    refuse_unknown(options, SSH, "option ssh.")
    if not options.get("directory"):
        raise InvalidInputError(
            "option ssh.directory is missing: it says where to write config and known_hosts"
        )
    expanded = {name: expand(str(value), f"option ssh.{name}") for name, value in options.items() if value}
    return Path(expanded["directory"]).absolute(), expanded.get("identity_file")


def _check(content: Mapping[str, Any]) -> None:
    """Refuse what ansible-core refuses before the plugin sees it, and what the plugin does."""
    refuse_unknown(content)
    ssh_options(content.get("ssh"))
    for name in ("compose", "groups"):
        if not isinstance(content.get(name) or {}, Mapping):
            raise InvalidInputError(f"option {name}: it is a mapping of names and expressions")
    if content.get("use_stale_cache") and not content.get("cached"):
        raise InvalidInputError("option use_stale_cache: nothing is kept without cached: true")
    keyed = content.get("keyed_groups")
    for number, entry in enumerate(keyed if isinstance(keyed, list) else ()):
        if not isinstance(entry, Mapping) or not entry.get("key"):
            raise InvalidInputError(f"option keyed_groups[{number}]: it is a mapping with a key")
