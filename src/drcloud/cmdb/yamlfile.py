"""A YAML file with the line of every value: strict about duplicates, clear about what is wrong."""

from __future__ import annotations

import gc
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from drcloud.cmdb.importfile import Position, Problem, Source, spell, text_of
from drcloud.errors import InvalidInputError

__all__ = ["Position", "Problem", "YamlFile", "read", "spell"]

TEXT = "tag:yaml.org,2002:str"
TIMESTAMP = "tag:yaml.org,2002:timestamp"
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
        loader = Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise InvalidInputError(f"{name}: the file is empty")
        return _Builder(name, loader).build(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InvalidInputError(f"{where}: this is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise InvalidInputError(f"{name}: this is not YAML: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{name}: this is not usable YAML: {error}") from error


class _Builder:
    """Builds plain values from nodes; a node that is used twice (an alias) is built once."""

    def __init__(self, name: str, loader: Any) -> None:
        self._name = name
        self._loader = loader
        self._built: dict[int, Any] = {}
        self._open: set[int] = set()

    def build(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            # A date is text here: JSON has no dates, and a serial may look like one.
            return node.value if node.tag in (TEXT, TIMESTAMP) else self._loader.construct_object(node)
        if id(node) in self._built:
            return self._built[id(node)]
        if id(node) in self._open:
            raise InvalidInputError(f"{self._name}:{node.start_mark.line + 1}: an alias refers to itself")
        self._open.add(id(node))
        self._built[id(node)] = value = self._value(node)
        self._open.discard(id(node))
        return value

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            self._refuse_duplicates(node)
            self._loader.flatten_mapping(node)
            return {self._key(key): self.build(value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item) for item in node.value]
        return self._loader.construct_object(node)

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in seen:
                raise InvalidInputError(
                    f"{self._name}:{line}: {key!r} stands here twice, first in line {seen[key]}"
                )
            seen[key] = line

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise InvalidInputError(f"{self._name}:{node.start_mark.line + 1}: a key must be a plain word")
        return str(node.value)


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
