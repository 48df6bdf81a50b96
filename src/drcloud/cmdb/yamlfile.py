"""A YAML file with the line of every value: strict about duplicates, clear about what is wrong."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from drcloud.cmdb.importfile import Position, Problem, Source, spell, text_of
from drcloud.cmdb.yamlvalue import Builder
from drcloud.errors import InvalidInputError

__all__ = ["Position", "Problem", "YamlFile", "read", "spell"]

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class YamlFile(Source):
    """A parsed YAML file."""

    name: str
    value: Any
    _text: str = field(repr=False)

    def line(self, position: Position) -> int:
        """Return the line of a position, counted from 1; of its parent where it is missing."""
        node = _composed(self._text)
        line = node.start_mark.line
        for step in position:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return int(line) + 1

    def spell(self, position: Position) -> str:
        """Return a position as ``hosts[3].address``."""
        return spell(position)


@lru_cache(maxsize=1)
def _composed(text: str) -> Any:
    """Return the nodes of a text that was read before: large, and wanted only where something is wrong."""
    return Loader(text).get_single_node()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's collector from looking through millions of new nodes again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read(path: Path | str) -> YamlFile:
    """Read a file; ``InvalidInputError`` says what is wrong and where."""
    name = str(path)
    text = text_of(name)
    with _uncollected():
        return YamlFile(name, _value(name, text), text)


def _value(name: str, text: str) -> Any:
    try:
        return Builder(name, Loader(text)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InvalidInputError(f"{where}: this is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise InvalidInputError(f"{name}: this is not YAML: {reason}") from error
    except (ValueError, LookupError, RecursionError) as error:
        raise InvalidInputError(f"{name}: this is not usable YAML: {error}") from error


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line, item
    if isinstance(node, yaml.MappingNode):
        pairs: Sequence[tuple[yaml.Node, yaml.Node]] = node.value
        for key, value in pairs:
            if key.value == str(step):
                return key.start_mark.line, value
    return None
