"""Which playbook a run executes: a file, or a name in a collection."""

from __future__ import annotations

import re
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
