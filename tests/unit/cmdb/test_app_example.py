"""The annotated example of an app file is its documentation: it is valid, whole, and explains each field."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from drcloud.cmdb import appfile, yamlfile
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.document import AppEntry, PlacementEntry, parse
from drcloud.cmdb.importfile import Position
from drcloud.cmdb.yamlfile import YamlFile

PATH = Path(appfile.__file__).with_name("app.example.yml")
# What the program writes itself: which number a specification has, and of which app a placement is.
OWN = {("AppEntry", "spec_version"), ("PlacementEntry", "app")}
Field = tuple[str, str]


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models inside of a type: of a list, a mapping or a choice."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for part in typing.get_args(annotation):
            yield from models(part)


def declared(model: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> set[Field]:
    """Return every field of a model and of the models below it."""
    seen = seen if seen is not None else set()
    if model in seen:
        return set()
    seen.add(model)
    found = {(model.__name__, name) for name in model.model_fields}
    for field in model.model_fields.values():
        for below in models(field.annotation):
            found |= declared(below, seen)
    return found


def used(model: type[BaseModel], value: Any, position: Position) -> Iterator[tuple[Field, Position]]:
    """Yield the fields that a value uses, and where."""
    for name, part in value.items():
        yield (model.__name__, name), (*position, name)
        for below in models(model.model_fields[name].annotation):
            for place, inner in entries(part, below, (*position, name)):
                yield from used(below, inner, place)


def entries(part: Any, model: type[BaseModel], position: Position) -> Iterator[tuple[Position, Any]]:
    """Yield the values of a model in a field: itself, or those of a list or of a mapping by name."""
    if isinstance(part, list):
        yield from (((*position, number), one) for number, one in enumerate(part) if isinstance(one, dict))
    elif isinstance(part, dict) and part.keys() <= model.model_fields.keys():
        yield position, part
    elif isinstance(part, dict):
        yield from (((*position, name), one) for name, one in part.items() if isinstance(one, dict))


@pytest.fixture(scope="module")
def file() -> YamlFile:
    return yamlfile.read(PATH)


@pytest.fixture(scope="module")
def places(file: YamlFile) -> dict[Field, list[Position]]:
    content = dict(file.value)
    placements = content.pop("placements")
    found: dict[Field, list[Position]] = {}
    for field, position in used(AppEntry, content, ()):
        found.setdefault(field, []).append(position)
    for number, one in enumerate(placements):
        for field, position in used(PlacementEntry, one, ("placements", number)):
            found.setdefault(field, []).append(position)
    return found


def test_it_names_every_field_there_is(places: dict[Field, list[Position]]) -> None:
    wanted = declared(AppEntry) | declared(PlacementEntry)
    assert ("AppSpec", "port") in wanted
    assert ("HealthCheck", "min_healthy") in wanted
    assert sorted(wanted - OWN - places.keys()) == []


def test_it_explains_every_field(file: YamlFile, places: dict[Field, list[Position]]) -> None:
    lines = PATH.read_text("utf-8").splitlines()

    def explained(position: Position) -> bool:
        number = file.line(position) - 1
        return " # " in lines[number] or lines[number - 1].lstrip(" -").startswith("# ")

    silent = [field for field, found in places.items() if not any(explained(one) for one in found)]
    assert silent == []


def test_it_is_valid() -> None:
    document = parse(appfile.read(PATH))
    assert document.apps[0].spec.for_environment("prod").env["LOG_LEVEL"] == "warning"
    assert document.placements[0].app == document.apps[0].name


def test_what_it_calls_a_default_is_one() -> None:
    """Each `Default: X.` of the specification is what the schema says."""
    spec = AppSpec(image="a", port=1)
    text = PATH.read_text("utf-8")
    for words in (
        f"Default: {spec.health.path}.",
        f"Default: {spec.health.retries}.",
        f"Default: {spec.health.start_period:g}.",
        f"Default: {spec.stop_signal}.",
        f"Default: {spec.build.dockerfile}.",
    ):
        assert words in text


def test_the_program_carries_it() -> None:
    assert appfile.example() == PATH.read_text("utf-8")
