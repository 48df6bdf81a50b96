"""What the lab's images are made from, and when one has to be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from drcloud.lab import image
from drcloud.lab.image import Recipe


@pytest.fixture
def recipes(tmp_path: Path) -> dict[str, Recipe]:
    files, sources = tmp_path / "files", tmp_path / "recipe"
    files.mkdir()
    (files / "hook").write_text("#!/bin/sh\n")
    for release in ("bookworm", "trixie"):
        (sources / release / "ca").mkdir(parents=True)
        (sources / release / "sources.list").write_text(f"deb http://mirror.example/debian/ {release} main\n")
    document = {
        "dpkg_options": ["force-unsafe-io"],
        "images": [
            {
                "name": "lab-host",
                "releases": ["bookworm", "trixie"],
                "variant": "minbase",
                "packages": ["systemd", "python3"],
                "hook": "hook",
            }
        ],
    }
    return {one.release: one for one in image.read(document, files, sources)}


def test_each_release_has_an_image_of_its_own(recipes: dict[str, Recipe]) -> None:
    assert [one.image for one in recipes.values()] == ["drcloud/lab-host:bookworm", "drcloud/lab-host:trixie"]
    assert len({one.key for one in recipes.values()}) == 2


def test_the_same_recipe_makes_the_same_image(recipes: dict[str, Recipe]) -> None:
    assert recipes["trixie"].key == recipes["trixie"].key


@pytest.mark.parametrize("changed", ["../files/hook", "trixie/sources.list", "trixie/ca/site.crt"])
def test_another_file_makes_another_image(recipes: dict[str, Recipe], changed: str) -> None:
    recipe = recipes["trixie"]
    before = recipe.key
    (recipe.directory.parent / changed).write_text("something else\n")
    assert recipe.key != before
