"""A copied directory is compared with its original, whatever it holds."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _tree


@pytest.fixture
def trees(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "deep/er").mkdir(parents=True)
    (one / "deep/file").write_text("content\n")
    os.link(one / "deep/file", one / "deep/er/twin")
    (one / "link").symlink_to("deep/file")
    os.mkfifo(one / "pipe")
    with (one / "sparse").open("wb") as handle:
        handle.truncate(8 << 20)
    subprocess.run(["cp", "--archive", f"{one}/.", str(other)], check=True)
    return one, other


def differences(trees):
    return list(_tree.differences(*map(str, trees)))


def test_a_faithful_copy_does_not_differ(trees):
    (trees[1] / "lost+found").mkdir()
    assert differences(trees) == []


def same_size(other):
    status = os.stat(other / "deep/file")
    (other / "deep/file").write_text("CONTENT\n")
    os.utime(other / "deep/file", ns=(status.st_atime_ns, status.st_mtime_ns))


def split_names(other):
    shutil.copy2(other / "deep/er/twin", other / "deep/er/new")
    status = os.stat(other / "deep/er")
    (other / "deep/er/new").replace(other / "deep/er/twin")
    os.utime(other / "deep/er", ns=(status.st_atime_ns, status.st_mtime_ns))


def redirected(other):
    status = os.lstat(other / "link")
    (other / "link").unlink()
    (other / "link").symlink_to("deep/felt")
    os.utime(other / "link", ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (same_size, "deep/er/twin: other content"),
        (lambda other: (other / "deep/file").chmod(0o600), "deep/file: other attributes"),
        (lambda other: (other / "pipe").unlink(), "pipe: only in "),
        (lambda other: (other / "more").touch(), "more: only in "),
        (split_names, "deep/file: no longer the same file as deep/er/twin"),
        (redirected, "link: other content"),
        (lambda other: os.utime(other / "sparse", (1, 1)), "sparse: other attributes"),
    ],
)
def test_every_difference_is_named(trees, spoil, said):
    spoil(trees[1])
    assert any(one.startswith(said) for one in differences(trees))


def test_extended_attributes_count(trees):
    try:
        os.setxattr(trees[1] / "deep/file", "user.drcloud", b"1")
    except OSError:
        pytest.skip("no extended attributes on this file system")
    assert "deep/er/twin: other attributes" in differences(trees)


def test_what_a_tree_takes_counts_links_once_and_holes_not_at_all(trees):
    assert 4096 <= _tree.used(str(trees[0])) < 1 << 20


def test_what_goes_while_it_is_counted_takes_nothing(trees, monkeypatch):
    """An engine at work removes files and directories at any time."""
    whole = _tree.used(str(trees[0]))
    listed = [*_tree.walk(str(trees[0])), "deep/gone"]
    monkeypatch.setattr(_tree, "walk", lambda root, onerror: listed)
    assert _tree.used(str(trees[0])) == whole


def test_a_directory_that_goes_is_skipped_by_the_count_and_not_by_the_comparison(trees, monkeypatch):
    scandir = os.scandir

    def gone(path):
        if str(path).endswith("er"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert _tree.used(str(trees[0])) > 0
    with pytest.raises(FileNotFoundError):
        differences(trees)
