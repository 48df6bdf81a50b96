"""Root file systems become images of the outer engine."""

from __future__ import annotations

from pathlib import Path

import docker
from docker.errors import ImageNotFound

from drcloud.errors import DrcloudError

_IMPORT_SECONDS = 600


def ensure(url: str, tar: Path, repository: str, tag: str, key: str) -> bool:
    """Import a root file system under ``repository:tag`` unless that image was made from the same key."""
    label = f"com.dianrong.cloud.lab.recipe={key}"
    client = docker.DockerClient(base_url=url, timeout=_IMPORT_SECONDS)
    try:
        try:
            labels = client.images.get(f"{repository}:{tag}").labels
            if labels.get("com.dianrong.cloud.lab.recipe") == key:
                return False
        except ImageNotFound:
            pass
        if not tar.is_file():
            raise DrcloudError(f"{tar} is missing: run `drcloud lab up` again")
        client.api.import_image_from_file(
            str(tar), repository=repository, tag=tag, changes=[f"LABEL {label}", 'CMD ["/bin/sh"]']
        )
    finally:
        client.close()
    return True
