"""Objects as somebody wants them: which they are, and their fields in the form the CMDB stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy.orm import Session

from drcloud.cmdb import nearby, values
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.natural import Kind, join_key, kinds
from drcloud.errors import InvalidInputError, NotFoundError


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object as it shall be: by its natural key, or by the fields that make it.

    ``fields`` not named stay as they are; ``attrs.team`` means one part of a free document, and None
    removes it. With ``version``, nothing is done unless the CMDB still holds that version.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    state: Literal["present", "absent"] = "present"
    version: int | None = None

    @property
    def name(self) -> str:
        """How the object is named in messages."""
        return f"{self.kind.replace('_', ' ')} {self.key}"


def prepare(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Return the wanted objects with values as the CMDB stores them; the error lists all that is wrong."""
    problems: list[str] = []
    prepared = [_prepared(one, kind_named(one.kind), problems) for one in wanted]
    if problems:
        raise InvalidInputError("\n".join(problems))
    return prepared


def _prepared(one: Wanted, kind: Kind, problems: list[str]) -> Wanted:
    fields, wrong = {}, []
    for name, value in one.fields.items():
        try:
            fields[name] = _value(kind, name, value)
        except ValueError as error:
            wrong.append(f"{_label(one)}: {name}: {error}")
    if not wrong and not one.key:
        wrong += _nameless(kind, fields)
    problems += wrong
    return replace(one, fields=fields, key=one.key or join_key(kind, fields.get))


def kind_named(name: str) -> Kind:
    """Return a kind; ``NotFoundError`` says which was perhaps meant."""
    if name not in kinds():
        hint = meant(name, list(kinds())) or f"it knows {', '.join(kinds())}"
        raise NotFoundError(f"the CMDB has no kind {name!r}: {hint}")
    return kinds()[name]


def _label(one: Wanted) -> str:
    return one.name if one.key else one.kind.replace("_", " ")


def _value(kind: Kind, name: str, value: Any) -> Any:
    base, _, part = name.partition(".")
    if base not in kind.fields:
        # A file says `ssh: {user: …}` for what is one field here.
        spelled = name.replace(".", "_")
        near = f"did you mean {spelled}?" if spelled in kind.fields else meant(base, list(kind.fields))
        hint = near or f"it has {', '.join(kind.fields)}"
        raise ValueError(f"there is no such field: {hint}")
    if part and not values.is_mapping(kind, base):
        raise ValueError(f"{base} has no parts")
    return value if part else values.checked(kind, base, value)


def _nameless(kind: Kind, fields: Mapping[str, Any]) -> list[str]:
    """Return what is missing of the fields that name an object."""
    missing = [
        part.replace("|", " or ")
        for part in kind.natural.parts
        if not part.endswith("?") and all(fields.get(name) is None for name in part.split("|"))
    ]
    label = kind.name.replace("_", " ")
    return [f"{label}: {part}: is missing, it is part of the name" for part in missing]


def settle(session: Session, prepared: Sequence[Wanted]) -> list[Wanted]:
    """Return the wanted objects with all fields that their names imply."""
    names = {(one.kind, one.key) for one in prepared}
    return [one if one.state == "absent" else _settled(session, one, names) for one in prepared]


def _settled(session: Session, one: Wanted, names: set[tuple[str, str | None]]) -> Wanted:
    kind, key = kinds()[one.kind], str(one.key)
    if key == join_key(kind, one.fields.get) or nearby.find(session, one.kind, key) is not None:
        return one
    ways = [_named_fields(kind, parts) for parts in nearby.splits(kind, key)]
    if not ways:
        shape = kind.natural.separator.join(kind.natural.parts)
        raise InvalidInputError(f"{one.kind} {key!r} is no such name: write {shape}")

    def unlikely(fields: Mapping[str, str]) -> tuple[int, int]:
        """Return how many values cannot be meant, and how far they are from the usual form."""
        ends = [(kinds()[target], fields[name]) for name in fields if (target := kind.fields[name].target)]
        lost = [
            (other, text)
            for other, text in ends
            if (other.name, text) not in names and nearby.find(session, other.name, text) is None
        ]
        wrong = sum(_fits(kind, name, text) is not None for name, text in fields.items())
        return wrong + len(lost), sum(abs(_words(end, text) - len(end.natural.parts)) for end, text in lost)

    best = min(ways, key=unlikely)
    for name, text in best.items():
        if wrong := _fits(kind, name, text):
            raise InvalidInputError(f"{one.name}: {name}: {wrong}")
    found = {name: _value(kind, name, values.from_text(kind, name, text)) for name, text in best.items()}
    return replace(one, fields={**found, **one.fields})


def _fits(kind: Kind, name: str, text: str) -> str | None:
    """Return what is wrong with a part of a key; None when it can be the value of its field."""
    try:
        _value(kind, name, values.from_text(kind, name, text))
    except ValueError as error:
        return str(error)
    return None


def _words(kind: Kind, text: str) -> int:
    return len(text.split(kind.natural.separator))


def _named_fields(kind: Kind, parts: Mapping[str, str]) -> dict[str, str]:
    """Return the fields behind the parts of a key; of alternatives, a path is told by its slash."""
    chosen = {}
    for part, text in parts.items():
        names = part.rstrip("?").split("|")
        chosen[names[-1] if text.startswith("/") else names[0]] = text
    return chosen
