"""Which pools a host is taken out of, and in which it comes back."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.action import host_service
from drcloud.delivery import service
from drcloud.delivery.drained import Drained

OWNER = "upgrade_engine"
FOUND = ["a_prod", "b_prod", "c_prod"]
KEPT = Drained(OWNER, {"a_prod": True, "b_prod": False, "gone_prod": True})


@pytest.fixture(autouse=True)
def standing(monkeypatch):
    """The second app missed a deploy, and the third one was never deployed."""
    monkeypatch.setattr(
        service, "standing", lambda store, host: {"a_prod": "", "b_prod": "another image runs"}
    )


def chosen(state, owner=None, kept=None):
    return host_service._choose(None, "dk-01", {"state": state, "owner": owner}, kept, FOUND)


@pytest.mark.parametrize("owner", [None, OWNER])
def test_a_host_leaves_all_its_pools(owner):
    assert chosen("out", owner, KEPT) == (FOUND, {}, FOUND)


def test_by_hand_a_host_comes_back_where_it_is_up_to_date():
    found = chosen("in", kept=KEPT)
    assert (found.pools, found.behind) == (["a_prod", "c_prod"], {"b_prod": "another image runs"})
    # What was never deployed serves nobody, so it is not waited for.
    assert "c_prod" not in found.awaited


def test_an_owner_brings_back_what_was_in_service_whatever_runs_there():
    found = chosen("in", OWNER, KEPT)
    assert (found.pools, found.behind) == (["a_prod", "b_prod"], {})
    assert "a_prod" in found.awaited
    assert "b_prod" not in found.awaited


@pytest.mark.parametrize("kept", [None, Drained("somebody", {"a_prod": True})])
def test_an_owner_brings_back_nothing_that_another_one_took_out(kept):
    assert chosen("in", OWNER, kept) == ([], {}, [])
