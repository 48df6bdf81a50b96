"""A reviewed file of one app: name, registry, specification and placements; a view of the import format.

The annotated example beside this file names every field, and a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from drcloud.cmdb import importer, yamlfile
from drcloud.cmdb.document import FORMAT
from drcloud.cmdb.importfile import Position, Source, spell
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.cmdb.yamlfile import YamlFile
from drcloud.errors import InvalidInputError

FIELDS = ("name", "registry", "spec", "placements", "attrs")
# Where the parts of the file stand in the import document.
APP, PLACEMENTS = "apps", "placements"


class AppFile(Source):
    """A YAML file of one app as an import document; problems are told where they stand in the file."""

    def __init__(self, file: YamlFile) -> None:
        self.name = file.name
        self._file = file
        fields = _mapping(file)
        app = {name: fields[name] for name in FIELDS if name in fields and name != PLACEMENTS}
        self.value: dict[str, Any] = {"drcloud": FORMAT, APP: [app]}
        if fields.get(PLACEMENTS) is not None:
            self.value[PLACEMENTS] = _placements(file, fields)

    def line(self, position: Position) -> int:
        """Return the line in the file."""
        return self._file.line(_here(position))

    def spell(self, position: Position) -> str:
        """Return a position as ``spec.port``."""
        return spell(_here(position))


def read(path: Path | str) -> AppFile:
    """Read a file; ``InvalidInputError`` says what is wrong with its form."""
    return AppFile(yamlfile.read(path))


def apply(
    store: Store,
    path: Path | str,
    *,
    dry_run: bool = False,
    reason: str | None = None,
    ticket: str | None = None,
) -> tuple[Change, ...]:
    """Bring the CMDB to what a file says of its app, by the writer of imports; return what changed.

    A file that is applied already changes nothing and writes nothing. Errors as of
    ``importer.import_files``.
    """
    source = read(path)
    # What changes nothing takes no lock, and needs no open change.
    planned = importer.import_sources(store, [source], dry_run=True, ticket=ticket)
    if dry_run or not planned:
        return planned
    why = reason or f"drcloud app apply {Path(path).name}"
    return importer.import_sources(store, [source], reason=why, ticket=ticket)


def example() -> str:
    """Return the annotated example, which is the documentation of the file."""
    return resources.files("drcloud.cmdb").joinpath("app.example.yml").read_text("utf-8")


def _mapping(file: YamlFile) -> Mapping[str, Any]:
    if not isinstance(file.value, Mapping):
        raise InvalidInputError(
            f"{file.name}:{file.line(())}: an app file is a mapping of {', '.join(FIELDS)}: "
            "`drcloud app example` prints one"
        )
    if "drcloud" in file.value:
        raise InvalidInputError(
            f"{file.name}:{file.line(('drcloud',))}: drcloud: this is a CMDB file: "
            "`drcloud cmdb import` takes it, an app file begins with `name:`"
        )
    wrong = []
    for name in file.value:
        if name not in FIELDS:
            hint = meant(str(name), FIELDS) or f"it has {', '.join(FIELDS)}"
            wrong.append(f"{file.name}:{file.line((name,))}: {name}: there is no such field: {hint}")
    if wrong:
        raise InvalidInputError("\n".join(wrong))
    return file.value


def _placements(file: YamlFile, fields: Mapping[str, Any]) -> Any:
    """Return the placements with the name of the app; what is no list is left for the schema to refuse."""
    found = fields[PLACEMENTS]
    if not isinstance(found, list):
        return found
    for number, entry in enumerate(found):
        if isinstance(entry, Mapping) and "app" in entry:
            place = f"{file.name}:{file.line((PLACEMENTS, number, 'app'))}"
            raise InvalidInputError(
                f"{place}: {PLACEMENTS}[{number}].app: leave it out, the file is of one app"
            )
    return [{"app": fields.get("name"), **entry} if isinstance(entry, Mapping) else entry for entry in found]


def _here(position: Position) -> Position:
    """Return where a position of the import document stands in the file."""
    if position[:1] == (APP,):
        return position[2:]
    if position[:1] == (PLACEMENTS,) and position[2:3] == ("app",):
        return ("name",)
    return position
