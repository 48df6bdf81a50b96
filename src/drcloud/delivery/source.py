"""The tree that an image is built from: a directory as it is, or exactly what a git commit has."""

from __future__ import annotations

import difflib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drcloud.errors import InvalidInputError, NotFoundError

NAMED = 3


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory to build from, and the commit that it is; None outside git."""

    path: Path
    commit: str | None


@contextmanager
def tree(source: Path, from_git: str | None = None) -> Iterator[Tree]:
    """Give the tree to build from.

    Without ``from_git`` that is the directory itself, changed files included. With it, that is what the
    commit has of this directory of its repository, in a place of its own that is gone afterwards: neither
    changed files nor untracked ones get into the image.
    """
    if from_git is None:
        yield Tree(source, revision(source))
        return
    commit = resolve(source, from_git)
    with tempfile.TemporaryDirectory(prefix="drcloud-source-") as name:
        place = Path(name)
        _unpack(source, commit, place)
        yield Tree(place / "tree", commit)


def revision(directory: Path) -> str | None:
    """Return the commit of a source tree, marked where the tree differs from it; None outside git."""
    try:
        done = _git(directory, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def resolve(repository: Path, ref: str) -> str:
    """Return the commit that a branch, a tag or a shortened commit names, 40 hexadecimal digits."""
    if not repository.is_dir():
        raise NotFoundError(f"{repository} is no directory: name a clone of the repository with --source")
    done = _must_run(repository, "rev-parse", "--is-inside-work-tree")
    if done.returncode:
        raise InvalidInputError(
            f"{repository.resolve()} is no clone that git can read, so {ref!r} cannot be built from it "
            f"({_last_line(done)}): name one with --source"
        )
    found = _must_run(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.strip()
    names = _must_run(repository, "for-each-ref", "--format=%(refname:short)").stdout.split()
    close = difflib.get_close_matches(ref, names, NAMED)
    hint = f"did you mean {' or '.join(close)}?" if close else "is it fetched?"
    raise NotFoundError(f"the repository in {repository.resolve()} has no commit {ref!r}: {hint}")


def _unpack(repository: Path, commit: str, place: Path) -> None:
    archive, target = place / "tree.tar", place / "tree"
    done = _must_run(repository, "archive", "--format=tar", f"--output={archive}", commit)
    if done.returncode:
        raise NotFoundError(
            f"{repository.resolve()} is not in commit {commit[:12]} ({_last_line(done)}): "
            "name a directory that the commit has with --source"
        )
    target.mkdir()
    unpacked = subprocess.run(
        ["tar", "--extract", f"--file={archive}", f"--directory={target}", "--no-same-owner"],
        check=False,
        capture_output=True,
        text=True,
    )
    if unpacked.returncode:
        raise InvalidInputError(f"commit {commit[:12]} cannot be unpacked in {place}: {_last_line(unpacked)}")
    archive.unlink()


def _must_run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return _git(directory, *arguments)
    except OSError as error:
        raise InvalidInputError(f"git cannot be run ({error.strerror}): install it") from error


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], check=False, capture_output=True, text=True
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
