"""What is built from: a tree as it is, or exactly what a commit has of it. With a real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from drcloud.delivery import source
from drcloud.errors import InvalidInputError, NotFoundError


def git(repository: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=develop"]
    done = subprocess.run(
        ["git", "-C", str(repository), *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with two commits: rel/67 has the first, and the tree has changes that no commit has."""
    repository = tmp_path / "clone"
    (repository / "apps/shop").mkdir(parents=True)
    git(repository, "init", "-q")
    for text in ("first", "second"):
        (repository / "apps/shop/Dockerfile").write_text(text, encoding="utf-8")
        (repository / "README").write_text(text, encoding="utf-8")
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", text)
    git(repository, "branch", "rel/67", "HEAD~1")
    (repository / "apps/shop/Dockerfile").write_text("changed", encoding="utf-8")
    (repository / "apps/shop/.env").write_text("untracked", encoding="utf-8")
    return repository


def test_a_tree_is_built_as_it_is_and_says_so(clone: Path, tmp_path: Path) -> None:
    with source.tree(clone) as found:
        assert found == source.Tree(clone, f"{git(clone, 'rev-parse', 'HEAD')}-dirty")
    assert source.revision(tmp_path) is None


def test_a_commit_is_built_without_what_is_not_in_it(clone: Path) -> None:
    with source.tree(clone, "rel/67") as found:
        assert found.commit == git(clone, "rev-parse", "rel/67")
        assert (found.path / "apps/shop/Dockerfile").read_text("utf-8") == "first"
        assert sorted(path.name for path in found.path.rglob("*") if path.is_file()) == [
            "Dockerfile",
            "README",
        ]
    assert not found.path.parent.exists()
    # The clone itself is as it was.
    assert (clone / "apps/shop/Dockerfile").read_text("utf-8") == "changed"


def test_a_directory_of_the_clone_is_the_tree_that_the_spec_is_relative_to(clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    with source.tree(clone / "apps/shop", commit[:10]) as found:
        assert found.commit == commit
        assert [path.name for path in found.path.iterdir()] == ["Dockerfile"]
        assert (found.path / "Dockerfile").read_text("utf-8") == "second"


def test_the_place_is_gone_also_where_the_build_fails(clone: Path) -> None:
    with pytest.raises(RuntimeError), source.tree(clone, "develop") as found:
        raise RuntimeError
    assert not found.path.parent.exists()


def test_what_cannot_be_built_is_named(clone: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"has no commit 'rel/76': did you mean rel/67\?"):
        source.resolve(clone, "rel/76")
    with pytest.raises(NotFoundError, match="has no commit '--help': is it fetched"):
        source.resolve(clone, "--help")
    with pytest.raises(InvalidInputError, match="is no clone that git can read, so 'develop' cannot"):
        source.resolve(tmp_path, "develop")
    with pytest.raises(NotFoundError, match="is no directory"):
        source.resolve(tmp_path / "none", "develop")
    (clone / "new").mkdir()
    with (
        pytest.raises(NotFoundError, match=r"new is not in commit \w{12} \("),
        source.tree(clone / "new", "develop"),
    ):
        pass
