"""Which playbook a run executes: a file, or a name in a collection; and the files of variables for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from drcloud.errors import InvalidInputError, NotFoundError

_COLLECTION_NAME = re.compile(r"[a-z_]\w*\.[a-z_]\w*\.\w+(\.\w+)*\Z")
_SUFFIXES = (".yml", ".yaml")


def resolve(playbook: str) -> str:
    """Return an absolute path, or the collection name for ansible-core to find."""
    path = Path(playbook).expanduser()
    if path.is_file():
        return str(path.absolute())
    if path.is_dir():
        raise InvalidInputError(f"playbook {playbook} is a directory: name a file in it")
    if _COLLECTION_NAME.match(playbook) and path.suffix not in _SUFFIXES:
        return playbook
    raise NotFoundError(
        f"playbook {playbook} not found: name a file or a collection playbook, as in dianrong.cloud.provision"
    )


def check_vars_files(names: Iterable[str]) -> None:
    """Refuse a file of variables that does not exist, which ansible-core would blame on the inventory."""
    for name in names:
        if not Path(name).expanduser().is_file():
            raise NotFoundError(f"file of variables {name} not found: -e @FILE names a YAML or JSON file")
