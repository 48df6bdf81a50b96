"""Host states and pinned keys."""

from __future__ import annotations

import pytest

from drcloud.cmdb import hosts, lookup, snapshot
from drcloud.cmdb.declared import HOST_STATES
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError


@pytest.mark.parametrize(
    ("current", "wanted", "allowed"),
    [
        ("planned", "provisioning", True),
        ("planned", "active", False),
        ("provisioning", "active", True),
        ("active", "maintenance", True),
        ("active", "quarantined", True),
        ("active", "retired", False),
        ("active", "planned", False),
        ("maintenance", "active", True),
        ("quarantined", "active", True),
        ("quarantined", "retired", True),
        ("retired", "active", False),
    ],
)
def test_moves(current: str, wanted: str, allowed: bool) -> None:
    assert (hosts.objection("dk-01", current, wanted) is None) is allowed


def test_every_state_has_its_moves_and_may_stay() -> None:
    assert set(hosts.MOVES) == set(HOST_STATES)
    assert all(hosts.objection("x", state, state) is None for state in HOST_STATES)


def test_a_refused_move_says_what_is_allowed(filled: Store) -> None:
    expected = (
        "host dk-01 is planned and cannot become active: from there it can become provisioning or retired"
    )
    with pytest.raises(InvalidInputError, match=expected), filled.write(reason="x") as session:
        hosts.transition(session, lookup.host(session, "dk-01"), "active")
    with pytest.raises(InvalidInputError, match="'gone' is no state"), filled.write(reason="x") as session:
        hosts.transition(session, lookup.host(session, "dk-01"), "gone")


def test_keys_are_pinned_once(filled: Store) -> None:
    for _ in range(2):
        with filled.write(reason="first contact") as session:
            hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-rsa": "R", "ssh-ed25519": "E"})
        seq = filled.declared_seq()
    assert [(key.type, key.key) for key in snapshot.read(filled).host_keys] == [
        ("ssh-ed25519", "E"),
        ("ssh-rsa", "R"),
    ]
    with filled.write(reason="again") as session:
        hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-rsa": "R"})
    assert filled.declared_seq() == seq


def test_another_key_is_refused_unless_checked(filled: Store) -> None:
    with filled.write(reason="first contact") as session:
        hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-ed25519": "E"})
    with (
        pytest.raises(InvalidInputError, match="host dk-01 shows another ssh-ed25519 key"),
        filled.write(reason="x") as session,
    ):
        hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-ed25519": "F"})
    with filled.write(reason="reinstalled") as session:
        hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-ed25519": "F"}, replace=True)
    assert [key.key for key in snapshot.read(filled).host_keys] == ["F"]
