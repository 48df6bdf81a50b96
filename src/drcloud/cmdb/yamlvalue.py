"""Plain values from YAML's events, one after the other: nodes would take fifty times the room of the text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from drcloud.errors import InvalidInputError

TEXT = "tag:yaml.org,2002:str"
TIMESTAMP = "tag:yaml.org,2002:timestamp"
MERGE = "tag:yaml.org,2002:merge"
# YAML's types of plain words that are remembered: keys aside, a file says few words very often.
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Open:
    """A value with a name that has begun, in a line counted from 1, and not ended."""

    line: int


class Builder:
    """Builds the value of a text; what has a name and is used again (an alias) is the same object."""

    def __init__(self, name: str, loader: Any) -> None:
        self._name = name
        self._loader = loader
        self._next = loader.get_event
        self._named: dict[str, Any] = {}
        self._keys: dict[str, str] = {}
        self._tag = lru_cache(REMEMBERED)(lambda word: loader.resolve(yaml.ScalarNode, word, (True, False)))

    def document(self) -> Any:
        """Return the value of the only document; ``InvalidInputError`` when there is none."""
        self._next()
        if self._loader.check_event(yaml.StreamEndEvent):
            raise InvalidInputError(f"{self._name}: the file is empty")
        self._next()
        value = self._value(self._next())
        self._next()
        if not self._loader.check_event(yaml.StreamEndEvent):
            mark = self._loader.peek_event().start_mark
            raise ComposerError(None, None, "but found another document", mark)
        return value

    def _value(self, event: Any) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        line = event.start_mark.line + 1
        self._name_it(event, _Open(line))
        value = self._mapping() if isinstance(event, yaml.MappingStartEvent) else self._sequence()
        if event.anchor is not None:
            self._named[event.anchor] = value
        return value

    def _scalar(self, event: Any) -> Any:
        tag, word = event.tag, event.value
        if tag is None or tag == "!":
            tag = self._tag(word) if event.implicit[0] else TEXT
        # A date is text here: JSON has no dates, and a serial may look like one.
        if tag not in (TEXT, TIMESTAMP):
            word = self._loader.construct_object(yaml.ScalarNode(tag, word, event.start_mark, event.end_mark))
        self._name_it(event, word)
        return word

    def _sequence(self) -> list[Any]:
        value = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            value.append(self._value(event))
        return value

    def _mapping(self) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            line = event.start_mark.line + 1
            if key in lines:
                raise InvalidInputError(
                    f"{self._name}:{line}: {key!r} stands here twice, first in line {lines[key]}"
                )
            lines[key] = line
            content = self._next()
            value = self._value(content)
            if key == "<<" and (event.tag == MERGE or event.implicit[0]):
                merged = _merged(value, content.start_mark)
            else:
                own[key] = value
        return {**merged, **own} if merged else own

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            line = event.start_mark.line + 1
            raise InvalidInputError(f"{self._name}:{line}: a key must be a plain word")
        self._name_it(event, event.value)
        # One object for all that are alike.
        return self._keys.setdefault(event.value, event.value)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._named:
            raise ComposerError(None, None, f"found undefined alias {event.anchor!r}", event.start_mark)
        value = self._named[event.anchor]
        if isinstance(value, _Open):
            raise InvalidInputError(f"{self._name}:{value.line}: an alias refers to itself")
        return value

    def _name_it(self, event: Any, value: Any) -> None:
        if event.anchor is None:
            return
        if event.anchor in self._named:
            raise ComposerError(None, None, f"found duplicate anchor {event.anchor!r}", event.start_mark)
        self._named[event.anchor] = value


def _merged(value: Any, mark: Any) -> dict[str, Any]:
    """Return what `<<` adds to a mapping: of several mappings the first has the last word."""
    parts = value if isinstance(value, list) else [value]
    merged: dict[str, Any] = {}
    for part in reversed(parts):
        if not isinstance(part, dict):
            raise ConstructorError(None, None, "only a mapping or a list of them can be merged", mark)
        merged |= part
    return merged
