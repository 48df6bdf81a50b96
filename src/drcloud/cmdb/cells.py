"""A cell of a table, by the type of its field: text to value, and value to the text that gives it back.

A cell in double quotes is JSON text, so that a text may be empty, look like a number or begin as a
formula does; ``null`` empties a field. A free field (below ``attrs``) is what JSON would write the same.
"""

from __future__ import annotations

import json
import re
import types
import typing
from enum import Enum
from typing import Any, Union

from pydantic import BaseModel, JsonValue

NULL = "null"
BETWEEN = ";"
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
# What a spreadsheet takes for a formula; such a text is written in quotes, where it is only text.
FORMULA = ("=", "+", "-", "@")


class Form(Enum):
    """How the values of a field are written in a cell."""

    TEXT = "text"
    NUMBER = "a number"
    TRUTH = "true or false"
    WORDS = f"values with {BETWEEN} between them"
    JSON = "JSON"
    FREE = "anything"


def bare(annotation: Any) -> Any:
    """Return a type without its rules and without ``None``; a union of several stays one."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        return bare(rest[0]) if len(rest) == 1 else annotation
    return annotation


def form_of(annotation: Any) -> Form:
    """Return how values of a field's type are written."""
    kind = bare(annotation)
    origin = typing.get_origin(kind) or kind
    if origin in (tuple, list):
        inner = form_of(typing.get_args(kind)[0]) if typing.get_args(kind) else Form.FREE
        return Form.WORDS if inner is Form.TEXT else Form.JSON
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return Form.JSON
    if kind is bool:
        return Form.TRUTH
    if kind in (int, float):
        return Form.NUMBER
    if kind is JsonValue or origin in (Union, types.UnionType):
        return Form.FREE
    return Form.TEXT


def parse(form: Form, cell: str) -> Any:
    """Return the value of a cell that is not empty; ``ValueError`` says what is wrong with it.

    What does not look like its form stays text: the document's own rules say what was wanted.
    """
    if cell == NULL:
        return None
    if form is Form.JSON or (form is Form.WORDS and cell.startswith("[")):
        return _json(cell)
    if form is Form.WORDS:
        return [_unquoted(word.strip()) for word in cell.split(BETWEEN) if word.strip()]
    if form is Form.NUMBER and NUMBER.fullmatch(cell):
        return json.loads(cell)
    if form is Form.TRUTH and cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    return _free(cell) if form is Form.FREE else _unquoted(cell)


def spell(form: Form, value: Any) -> str:
    """Return the cell of which ``parse`` makes the value again."""
    if value is None:
        return NULL
    if form is Form.WORDS and value and all(_is_word(word) for word in value):
        return f"{BETWEEN} ".join(value)
    if isinstance(value, str) and form in (Form.TEXT, Form.FREE) and _is_plain(form, value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _json(cell: str) -> Any:
    try:
        return json.loads(cell, parse_constant=_refuse)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        try:
            return str(json.loads(cell))
        except ValueError:
            return cell
    return cell


def _free(cell: str) -> Any:
    try:
        value = json.loads(cell, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return cell
    # 1e5, 007 and 2.50 are codes of something more often than numbers.
    same = cell[0] in '"{[' or json.dumps(value) == cell
    return value if same else cell


def _is_plain(form: Form, text: str) -> bool:
    if not text or text != text.strip() or text == NULL or text.startswith(('"', *FORMULA)):
        return False
    return form is not Form.FREE or _free(text) == text


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and _is_plain(Form.TEXT, word) and BETWEEN not in word and word[0] != "["
