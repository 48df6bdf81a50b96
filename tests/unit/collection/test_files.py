"""Files on a host: what is planned, what shows in the diff, what is written."""

from __future__ import annotations

import getpass
import grp
import os
import stat

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _files
from ansible_collections.dianrong.cloud.plugins.module_utils._files import Found, Wanted
from ansible_collections.dianrong.cloud.plugins.modules import managed_files

ME = getpass.getuser()
MINE = grp.getgrgid(os.getgid()).gr_name


def wanted(path, content=b"new\n", mode=0o644, *, secret=False):
    return Wanted(str(path), content, mode, ME, MINE, secret)


def found(content=b"new\n", mode=0o644, owner=ME):
    return Found(content, mode, owner, MINE)


@pytest.mark.parametrize(
    ("now", "reasons"),
    [
        (None, ("missing",)),
        (found(), None),
        (found(b"old\n"), ("content",)),
        (found(mode=0o600), ("mode",)),
        (found(owner="nobody"), ("owner",)),
        (found(b"old\n", 0o600), ("content", "mode")),
    ],
)
def test_a_plan_names_why_a_file_changes(now, reasons):
    changes = _files.plan([wanted("/etc/a")], {"/etc/a": now})
    assert [change.reasons for change in changes] == ([reasons] if reasons else [])


def test_an_absent_file_is_removed_once():
    gone = wanted("/etc/a", None)
    assert [c.reasons for c in _files.plan([gone], {"/etc/a": found()})] == [("unwanted",)]
    assert _files.plan([gone], {"/etc/a": None}) == []


def test_a_path_wanted_twice_is_an_error():
    with pytest.raises(_files.FileError, match="file /etc/a: it is wanted twice"):
        _files.plan([wanted("/etc/a"), wanted("/etc/a", b"other")], {})


def test_a_secret_never_shows_in_a_diff():
    changes = _files.plan([wanted("/etc/a", b"hunter2", secret=True)], {"/etc/a": found(b"hunter1")})
    (shown,) = _files.diff(changes)
    assert "hunter" not in str(shown)
    assert shown["before"] != shown["after"]


@pytest.mark.parametrize(("mode", "shows"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_goes_shows_what_was_in_it_only_where_everybody_could_read_it(mode, shows):
    """As the key of a certificate that nobody needs any more."""
    changes = _files.plan([wanted("/etc/a", None)], {"/etc/a": found(b"hunter1", mode)})
    (shown,) = _files.diff(changes)
    assert ("hunter1" in str(shown)) is shows
    assert shown["before"] != shown["after"]


def test_a_change_of_mode_shows_the_modes():
    (shown,) = _files.diff(_files.plan([wanted("/etc/a")], {"/etc/a": found(mode=0o600)}))
    assert shown["before"] == "# mode: 0600\nnew\n"
    assert shown["after"] == "# mode: 0644\nnew\n"


def test_what_is_written_is_found_and_needs_nothing_more(tmp_path):
    files = [wanted(tmp_path / "deep" / "er" / "a"), wanted(tmp_path / "b", b"\xff\x00", 0o600)]
    _files.apply(_files.plan(files, {file.path: _files.read(file.path) for file in files}))
    assert _files.plan(files, {file.path: _files.read(file.path) for file in files}) == []
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "deep"]


def test_an_unknown_owner_is_named_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(_files.FileError, match="no such owner or group"):
        _files.write(Wanted(str(tmp_path / "a"), b"x", 0o644, "no-such-user", MINE))
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(_files.FileError, match="it is a symbolic link"):
        _files.read(str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("text", "secrets", "full"),
    [
        ("a", {}, "a"),
        ("@a@ and @a@", {"a": "x"}, "x and x"),
        ("@a@ @b@ @c@", {"a": "@b@", "b": "y"}, "@b@ y @c@"),
        ("ops@lab@host", {}, "ops@lab@host"),
    ],
)
def test_secrets_are_put_in_their_places_once(text, secrets, full):
    assert managed_files.filled("/etc/a", text, secrets) == full


def test_a_secret_without_a_place_is_refused():
    with pytest.raises(_files.FileError, match=r"file /etc/a: .* write @password@"):
        managed_files.filled("/etc/a", "nothing", {"password": "hunter2"})


def test_content_with_secrets_in_it_counts_as_secret():
    option = {
        "path": "/etc/a", "content": "key=@k@", "secret": None, "secrets": {"k": "hunter2"},
        "state": "present", "mode": "0600", "owner": ME, "group": MINE, "validate": [], "backup": "",
    }  # fmt: skip
    file = managed_files.wanted(option)
    assert file.content == b"key=hunter2"
    assert file.secret
