"""Root file systems: made by mmdebstrap once, kept in the cache, and images of the outer engine."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import ImageNotFound

from drcloud.errors import DrcloudError

_IMPORT_SECONDS = 600
_LABEL = "com.dianrong.cloud.lab.recipe"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one root file system is made from. ``directory`` says where packages come from, and how."""

    name: str
    release: str
    variant: str
    packages: tuple[str, ...]
    dpkg_options: tuple[str, ...]
    hook: Path
    directory: Path

    @property
    def image(self) -> str:
        """The image's name and tag."""
        return f"drcloud/{self.name}:{self.release}"

    @property
    def key(self) -> str:
        """The same for the same content, another one for any other."""
        given = [self.release, self.variant, self.packages, self.dpkg_options, self.hook.read_text("utf-8")]
        files = sorted(path for path in self.directory.rglob("*") if path.is_file())
        given += [[str(path.relative_to(self.directory)), path.read_text("utf-8")] for path in files]
        return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:12]


def read(document: Mapping[str, Any], files: Path, recipes: Path) -> list[Recipe]:
    """Return the recipes of a document of the role: each image for each of its releases."""
    return [
        Recipe(
            name=one["name"],
            release=release,
            variant=one["variant"],
            packages=tuple(one["packages"]),
            dpkg_options=tuple(document["dpkg_options"]),
            hook=files / one["hook"],
            directory=recipes / release,
        )
        for one in document["images"]
        for release in one["releases"]
    ]


def ensure(url: str, recipes: Iterable[Recipe], make: Path, cache: Path, scratch: Path) -> list[str]:
    """Have an image of each recipe at the engine; return those that were not there as wanted."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        new = pool.map(lambda recipe: _ensure(url, recipe, make, cache, scratch / recipe.key), recipes)
        return [image for image in new if image]


def _ensure(url: str, recipe: Recipe, make: Path, cache: Path, scratch: Path) -> str:
    key = recipe.key
    tar = cache / f"{recipe.name}-{recipe.release}-{key}.tar"
    if not tar.is_file():
        _make(recipe, make, tar, scratch)
    client = docker.DockerClient(base_url=url, timeout=_IMPORT_SECONDS)
    try:
        try:
            if client.images.get(recipe.image).labels.get(_LABEL) == key:
                return ""
        except ImageNotFound:
            pass
        repository, _, tag = recipe.image.partition(":")
        client.api.import_image_from_file(
            str(tar), repository=repository, tag=tag, changes=[f"LABEL {_LABEL}={key}", 'CMD ["/bin/sh"]']
        )
    finally:
        client.close()
    return recipe.image


def _make(recipe: Recipe, make: Path, tar: Path, scratch: Path) -> None:
    """Run ``make-rootfs``: the file is complete afterwards, or not there."""
    environment = {
        **os.environ,
        "RECIPE": str(recipe.directory),
        "TMPDIR": str(scratch),
        "DPKG_OPTIONS": "\n".join(recipe.dpkg_options),
    }
    done = subprocess.run(
        [make, tar, recipe.release, recipe.variant, ",".join(recipe.packages), recipe.hook],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[-500:]
        raise DrcloudError(f"the root file system {recipe.image} cannot be made: {said}")
