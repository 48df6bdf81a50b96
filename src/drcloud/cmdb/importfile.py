"""What an import reads: a file of any form, the place of every value in it, and what is wrong there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drcloud.errors import InvalidInputError

Position = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a position of a file."""

    position: Position
    message: str


class Source(ABC):
    """A file that was read: its name as the user wrote it, and its content as an import document."""

    name: str
    value: Any

    @abstractmethod
    def line(self, position: Position) -> int:
        """Return the line of a position, counted from 1; of its parent where it is missing."""

    @abstractmethod
    def spell(self, position: Position) -> str:
        """Return a position in the words of the file; empty for the whole of it."""

    def complaints(self, problems: Iterable[Problem]) -> list[str]:
        """Return problems as lines ``file:line: field: message``, in the order of the file."""
        found = {(self.line(one.position), self.spell(one.position), one.message) for one in problems}
        return [
            f"{self.name}:{line}: {where}{': ' if where else ''}{what}" for line, where, what in sorted(found)
        ]

    def fail(self, problems: Iterable[Problem]) -> None:
        """Raise one error that lists all problems in the order of the file; return if there are none."""
        if lines := self.complaints(problems):
            raise InvalidInputError("\n".join(lines))


def spell(position: Position) -> str:
    """Return a position as people write it: ``hosts[3].address``."""
    words = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in position)
    return "".join(words).removeprefix(".")


def text_of(name: str) -> str:
    """Return a file's text, without the mark that Excel writes at the beginning."""
    try:
        return Path(name).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InvalidInputError(f"{name}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{name}: the file is not UTF-8 (byte {error.start + 1}): save it as UTF-8"
        ) from None
    except OSError as error:
        raise InvalidInputError(f"{name}: the file cannot be read: {error.strerror}") from None
