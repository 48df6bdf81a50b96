# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory that an image registry keeps its images in: read it, plan what may go (pure), remove that.

The layout is that of the distribution registry, versions 2.x:
https://distribution.github.io/distribution/spec/implementations and ``registry/storage/paths.go`` there.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
from dataclasses import dataclass, field

ROOT = ("docker", "registry", "v2")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Signatures, attestations and bills of material that cosign files under the digest that they are about.
ATTACHED = re.compile(r"sha256-([0-9a-f]{64})(\.\w+)?")
DAY = 86400


class ListingError(Exception):
    """What is in the directory cannot be told for sure; the message names the place."""


@dataclass(frozen=True)
class Manifest:
    """One manifest of a repository. ``pushed`` is when it was last pushed, in seconds since 1970."""

    repository: str
    digest: str
    pushed: float
    children: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    subject: str | None = None


@dataclass(frozen=True)
class Blob:
    """The bytes of a layer, a configuration or a manifest; ``written`` in seconds since 1970."""

    size: int
    written: float


@dataclass(frozen=True)
class Listing:
    """All that a registry holds. ``tags`` maps (repository, tag) to the digest that it points at now."""

    manifests: tuple[Manifest, ...]
    tags: dict[tuple[str, str], str]
    blobs: dict[str, Blob]
    # When the last upload that has not ended began; 0 without one.
    uploading: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What may go: manifests in these repositories that nobody names, older than ``older_than`` seconds."""

    named: frozenset[str]
    repositories: frozenset[str]
    older_than: float
    keep_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What goes: manifests with the tags on them, and the blobs that are nobody's then."""

    manifests: tuple[tuple[Manifest, tuple[str, ...]], ...] = ()
    blobs: dict[str, Blob] = field(default_factory=dict)
    # Digests that are named and not there.
    missing: tuple[str, ...] = ()
    # The youngest sign of a push that may be going on, in seconds since 1970.
    pushing: float = 0.0

    @property
    def size(self):
        """How many bytes become free."""
        return sum(blob.size for blob in self.blobs.values())


def read(storage):
    """Return all that is there. Whatever is not as a registry leaves it is an error, not an omission."""
    root = os.path.join(storage, *ROOT)
    repositories = os.path.join(root, "repositories")
    if not os.path.isdir(repositories):
        raise ListingError(f"{storage} holds no images of a registry")
    manifests, tags, uploading = [], {}, 0.0
    try:
        for path, names, _files in os.walk(repositories, onerror=_raise):
            name = os.path.relpath(path, repositories)
            if "_manifests" in names:
                manifests.extend(_manifests(root, path, name))
                tags.update(_tags(path, name))
            if "_uploads" in names:
                uploading = max(uploading, _youngest(os.path.join(path, "_uploads")))
            names[:] = [one for one in names if not one.startswith("_")]
        return Listing(tuple(manifests), tags, _blobs(root), uploading)
    except OSError as error:
        raise ListingError(f"{error.filename}: cannot be read: {error.strerror}") from error


def plan(listing, rules, now):
    """Return what goes; ListingError where the rules and the registry do not fit together. Pure."""
    if not rules.named:
        raise ListingError("no digest is named, so everything would go")
    there = {manifest.digest for manifest in listing.manifests}
    if not there & rules.named:
        raise ListingError(
            f"none of the {len(rules.named)} named digests is there: these are the images of another registry"
        )
    tags = {}
    for (repository, tag), digest in sorted(listing.tags.items()):
        tags.setdefault((repository, digest), []).append(tag)
    kept = _kept(listing, rules, tags, now)
    doomed = [one for one in listing.manifests if (one.repository, one.digest) not in kept]
    staying = [one for one in listing.manifests if (one.repository, one.digest) in kept]
    used = {digest for one in staying for digest in (one.digest, *one.blobs)}
    nobodys = {digest: blob for digest, blob in listing.blobs.items() if digest not in used}
    theirs = {digest for one in doomed for digest in (one.digest, *one.blobs)}
    loose = [blob.written for digest, blob in nobodys.items() if digest not in theirs]
    old = {
        digest: blob
        for digest, blob in nobodys.items()
        if digest in theirs or blob.written < now - rules.older_than
    }
    return Plan(
        tuple((one, tuple(tags.get((one.repository, one.digest), ()))) for one in doomed),
        old,
        tuple(sorted(rules.named - there)),
        max([listing.uploading, *loose]),
    )


def _kept(listing, rules, tags, now):
    """Return (repository, digest) of the manifests that stay, with what belongs to them."""
    ours = {one.repository for one in listing.manifests if one.digest in rules.named} & rules.repositories
    kept = set()
    for one in listing.manifests:
        key = (one.repository, one.digest)
        names = [f"{one.repository}:{tag}" for tag in tags.get(key, ())]
        wanted = any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in rules.keep_tags)
        young = one.pushed > now - rules.older_than
        # A repository of which nothing is named is not ours to judge.
        if one.repository not in ours or one.digest in rules.named or young or wanted:
            kept.add(key)
    while True:
        more = {key for one in listing.manifests for key in _companions(one, kept, tags)} - kept
        if not more:
            return kept
        kept |= more


def _companions(one, kept, tags):
    """Yield what stays because of another one: the parts of an index that stays, and what is about it."""
    key = (one.repository, one.digest)
    if key in kept:
        yield from ((one.repository, child) for child in one.children)
    about = {
        one.subject,
        *(f"sha256:{found[1]}" for found in map(ATTACHED.fullmatch, tags.get(key, ())) if found),
    }
    if any((one.repository, digest) in kept for digest in about):
        yield key


def remove(storage, manifests):
    """Remove manifests and the tags on them; a tag goes before what it points at."""
    for manifest, tags in manifests:
        home = os.path.join(storage, *ROOT, "repositories", manifest.repository, "_manifests")
        for tag in tags:
            shutil.rmtree(os.path.join(home, "tags", tag))
        algorithm, _colon, name = manifest.digest.partition(":")
        revision = os.path.join(home, "revisions", algorithm, name)
        os.unlink(os.path.join(revision, "link"))
        shutil.rmtree(revision)


def _manifests(root, path, repository):
    revisions = os.path.join(path, "_manifests", "revisions", "sha256")
    for name in _names(revisions):
        link = os.path.join(revisions, name, "link")
        # The registry leaves an empty directory where a manifest was deleted.
        if os.path.exists(link):
            digest = _link(link)
            if digest != f"sha256:{name}":
                raise ListingError(f"{link} leads to {digest}")
            yield _manifest(root, repository, digest, os.stat(link).st_mtime)


def _manifest(root, repository, digest, pushed):
    path = os.path.join(_blob(root, digest), "data")
    try:
        with open(path, "rb") as handle:
            document = json.load(handle)
        parts = document.get("manifests") or []
        layers = document.get("layers") or []
        config = document.get("config")
        blobs = [one["digest"] for one in [*([config] if config else []), *layers]]
        blobs += [one["blobSum"] for one in document.get("fsLayers") or []]
        children = [one["digest"] for one in parts]
        subject = (document.get("subject") or {}).get("digest")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ListingError(f"manifest {digest} of {repository} cannot be read in {path}: {error}") from error
    if not blobs and not children:
        raise ListingError(f"manifest {digest} of {repository} is of an unknown kind: it names no part")
    return Manifest(repository, digest, pushed, tuple(children), tuple(blobs), subject)


def _tags(path, repository):
    tags = os.path.join(path, "_manifests", "tags")
    found = {}
    for name in _names(tags):
        link = os.path.join(tags, name, "current", "link")
        if os.path.exists(link):
            found[repository, name] = _link(link)
    return found


def _blobs(root):
    found = {}
    for path, names, files in os.walk(os.path.join(root, "blobs", "sha256"), onerror=_raise):
        if "data" in files:
            status = os.stat(os.path.join(path, "data"))
            found[f"sha256:{os.path.basename(path)}"] = Blob(status.st_size, status.st_mtime)
            names.clear()
    return found


def _blob(root, digest):
    algorithm, _colon, name = digest.partition(":")
    return os.path.join(root, "blobs", algorithm, name[:2], name)


def _link(path):
    with open(path, encoding="ascii", errors="replace") as handle:
        digest = handle.read().strip()
    if not DIGEST.fullmatch(digest):
        raise ListingError(f"{path} holds no digest")
    return digest


def _names(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def _youngest(path):
    return max((os.stat(os.path.join(path, name)).st_mtime for name in _names(path)), default=0.0)


def _raise(error):
    raise error
