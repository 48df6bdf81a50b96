"""Which lab belongs to a checkout."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from drcloud.errors import InvalidInputError
from drcloud.lab import identity


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    role = tmp_path / "checkout" / "roles" / "lab_hosts" / "tasks"
    role.mkdir(parents=True)
    (role / "main.yml").write_text("---\n")
    return tmp_path / "checkout"


def test_the_id_is_a_hash_of_the_real_path(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout)
    expected = hashlib.sha256(str(checkout).encode()).hexdigest()[:6]
    assert identity.identify(link) == expected
    assert identity.locate({"HOME": "/home/x"}, checkout / "roles").id == expected


def test_state_and_cache_follow_xdg(checkout: Path) -> None:
    lab = identity.locate({"HOME": "/home/x", "DRCLOUD_LAB_ID": "one"}, checkout)
    assert lab.state == Path("/home/x/.local/state/drcloud/lab-one")
    assert lab.cache == Path("/home/x/.cache/drcloud")
    lab = identity.locate(
        {"HOME": "/home/x", "DRCLOUD_LAB_ID": "one", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}, checkout
    )
    assert (lab.state, lab.cache) == (Path("/s/drcloud/lab-one"), Path("/c/drcloud"))


@pytest.mark.parametrize("name", ["", "a/b", "UPPER", "twelve-chars", "-x", "ü"])
def test_a_bad_id_is_refused_with_a_sentence(checkout: Path, name: str) -> None:
    if not name:
        assert identity.locate({"HOME": "/h", "DRCLOUD_LAB_ID": name}, checkout).id
        return
    with pytest.raises(InvalidInputError, match="is not a lab id"):
        identity.locate({"HOME": "/h", "DRCLOUD_LAB_ID": name}, checkout)


def test_the_bridge_name_fits_an_interface(checkout: Path) -> None:
    assert len(identity.locate({"HOME": "/h", "DRCLOUD_LAB_ID": "a" * 11}, checkout).name) == 15


def test_outside_a_checkout_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        identity.drcloud, "__file__", str(tmp_path / "site-packages" / "drcloud" / "__init__.py")
    )
    with pytest.raises(InvalidInputError, match="works only in a checkout"):
        identity.find_checkout(tmp_path)
