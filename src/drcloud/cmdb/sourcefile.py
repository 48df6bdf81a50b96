"""An inventory source as a file, read without Ansible."""

from __future__ import annotations

from collections.abc import Mapping
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
        return SourceFile(path, content, asked.parse({name: content.get(name) for name in asked.NAMES}))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
