"""A manifest as a registry serves it: bytes, what kind they are, and the digest that they have.

There is one canonical kind of digest: that of what a tag names. Where a tag names an index of several
platforms it is the index's, and it stays so when the image is promoted, deployed and kept; the digest of
one platform's manifest is never taken in its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

# https://github.com/opencontainers/image-spec/blob/main/media-types.md and its Docker forerunners.
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
KINDS = (*INDEXES, *IMAGES)
ACCEPTED = ", ".join(KINDS)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a registry served. ``content`` is never parsed and written again: another byte, another digest."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Return the digest of the bytes, whatever a registry calls them."""
        return digest_of(self.content)

    @property
    def is_index(self) -> bool:
        """Whether it lists the images of several platforms."""
        return self.media_type in INDEXES

    @property
    def members(self) -> tuple[str, ...]:
        """Return the digests of what an index lists."""
        entries = self.document().get("manifests")
        found = [str(entry.get("digest")) for entry in entries or () if isinstance(entry, dict)]
        return tuple(digest for digest in found if DIGEST.fullmatch(digest))

    def layers(self, configuration: dict[str, Any]) -> dict[str, int]:
        """Return the bytes of each layer as it is sent, by the digest that its content has.

        That one stands in the image's configuration, in the same order; nothing where the two do not agree.
        """
        layers, rootfs = self.document().get("layers"), configuration.get("rootfs")
        contents = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(layers, list) or not isinstance(contents, list) or len(layers) != len(contents):
            return {}
        sizes = [layer.get("size") if isinstance(layer, dict) else None for layer in layers]
        return {
            str(content): size
            for content, size in zip(contents, sizes, strict=True)
            if isinstance(size, int) and size > 0
        }

    def document(self) -> dict[str, Any]:
        """Return what the bytes say; nothing where they are no object of JSON."""
        return parsed(self.content)


def digest_of(content: bytes) -> str:
    """Return the digest that names these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def parsed(content: bytes) -> dict[str, Any]:
    """Return an object of JSON, or nothing where it is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
