"""Which inventory a run uses: what was given, what the environment names, or the CMDB."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from drcloud.errors import InvalidInputError

GENERATED = "drcloud.cmdb.yml"
_VARIABLES = ("DRCLOUD_INVENTORY", "ANSIBLE_INVENTORY")


def resolve(given: Sequence[str], environ: Mapping[str, str], directory: Path) -> tuple[str, ...]:
    """Return the sources, paths made absolute; write the default one into ``directory`` if it is used."""
    if given:
        return tuple(_checked(source, "-i") for source in given)
    for name in _VARIABLES:
        value = environ.get(name, "").strip()
        if value:
            return tuple(_checked(source, f"${name}") for source in _split(value))
    generated = directory / GENERATED
    generated.write_text("plugin: dianrong.cloud.cmdb\n", encoding="utf-8")
    return (str(generated),)


def _split(value: str) -> list[str]:
    """Split as ansible-core splits a list of paths, but leave a host list (``a,b,``) whole."""
    parts = [part.strip() for part in value.split(",") if part.strip()]
    return parts if all(Path(part).expanduser().exists() for part in parts) else [value]


def _checked(source: str, where: str) -> str:
    if "," in source:  # a list of hosts, not a file
        return source
    path = Path(os.path.expandvars(source)).expanduser()
    if not path.exists():
        raise InvalidInputError(
            f"inventory {source} ({where}) does not exist: "
            "name a *.cmdb.yml source, an inventory file, or hosts as in 'a,b,'"
        )
    return str(path.absolute())
