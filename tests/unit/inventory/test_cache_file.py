"""The file in which an inventory is kept: private, whole, and for one question only."""

from __future__ import annotations

import json
import stat

import pytest

from drcloud.cmdb import cache as caches
from drcloud.cmdb.cache import BadCacheError, Cache, Entry
from drcloud.cmdb.inventory import build, groups_by_host
from drcloud.cmdb.options import parse

ASKED = {"url": "sqlite:///x", "options": {"idc": ["lab"]}}


@pytest.fixture
def entry(fleet):
    options = parse({"group_by": [["idc", "room", "rack"]], "fields": ["state"], "where": "dr_attrs == {}"})
    return Entry("7 then", build(fleet, options=options), {"config": "Host 机房\n"})


@pytest.fixture
def kept(tmp_path, entry):
    cache = Cache(tmp_path / "sub" / "cache", "/etc/site.cmdb.yml", ASKED)
    cache.save(entry)
    return cache


def test_what_is_kept_comes_back_the_same(kept, entry):
    found = kept.load("7 then")
    assert found.files == entry.files
    assert found.inventory.hosts == entry.inventory.hosts
    assert found.inventory.everywhere == entry.inventory.everywhere
    assert found.inventory.hidden == entry.inventory.hidden >= {"dr_attrs"}
    assert found.inventory.labels == entry.inventory.labels
    assert groups_by_host(found.inventory.groups) == groups_by_host(entry.inventory.groups)


def test_only_its_owner_may_read_it(kept):
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]


@pytest.mark.parametrize("token", ["8 then", "7 now"])
def test_another_state_of_the_cmdb_is_a_miss_and_any_is_taken_only_when_asked(kept, token):
    assert kept.load(token) is None
    assert kept.load(None).token == "7 then"
    assert kept.written_at() is not None


def test_another_question_or_another_program_is_a_miss_in_the_same_file(kept, entry, monkeypatch):
    other = Cache(kept.path.parent, "/etc/site.cmdb.yml", {**ASKED, "options": {"idc": ["sh1"]}})
    assert other.path == kept.path
    assert other.load(None) is None
    monkeypatch.setattr(caches, "__version__", "9.9.9")
    assert Cache(kept.path.parent, "/etc/site.cmdb.yml", ASKED).load(None) is None
    other.save(entry)
    assert kept.load("7 then") is None
    assert Cache(kept.path.parent, "/etc/other.cmdb.yml", ASKED).path != kept.path


def cut(content):
    return content[:-20]


def swapped(content):
    return content.replace(b"10.90.0.11", b"10.90.0.66")


@pytest.mark.parametrize("damage", [cut, swapped, lambda _: b"", lambda _: b"{]\n", lambda _: b"[]\n{}"])
def test_a_damaged_file_is_told_apart(kept, damage):
    kept.path.write_bytes(damage(kept.path.read_bytes()))
    with pytest.raises(BadCacheError, match="is damaged"):
        kept.load("7 then")


def test_a_file_that_others_could_have_written_is_not_used(kept):
    kept.path.chmod(0o664)
    with pytest.raises(BadCacheError, match="is not private to its user"):
        kept.load("7 then")


def test_a_directory_that_cannot_be_made_is_said(tmp_path, entry):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadCacheError, match="cannot be written"):
        Cache(tmp_path / "file" / "cache", "x", ASKED).save(entry)


def test_a_url_with_a_password_is_not_in_the_file(tmp_path, entry):
    cache = Cache(tmp_path, "x", {"url": "postgresql://u:canary-9@h/db"})
    cache.save(entry)
    assert "canary-9" not in cache.path.read_text()
    assert json.loads(cache.path.read_text().splitlines()[0]).keys() == {
        *("key", "token", "digest", "written_at")
    }
