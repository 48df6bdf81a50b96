"""Which slot is kept, which is free, and what goes first."""

from __future__ import annotations

from drcloud.delivery.slots import Seen, decide


def seen(slot: str, revision: str = "old", *, running: bool = True, created: str = "2026-01-01") -> Seen:
    return Seen(f"demo_prod_{slot}_{revision}", slot, revision, running, created=created)


def test_an_empty_host_begins_with_slot_a() -> None:
    decision = decide([], [], None)
    assert (decision.current, decision.leftovers, decision.free) == (None, (), "a")


def test_the_other_slot_is_free() -> None:
    assert decide([seen("a")], ["a"], "old").free == "b"
    assert decide([seen("b"), seen("a", "older", running=False)], ["b"], "old").free == "a"


def test_what_serves_is_kept_even_if_it_is_not_the_stable_one() -> None:
    decision = decide([seen("a", "stable"), seen("b", "new")], ["b"], "stable")
    assert decision.current == seen("b", "new")
    assert decision.leftovers == (seen("a", "stable"),)
    assert decision.free == "a"


def test_of_two_that_serve_the_stable_one_is_kept() -> None:
    decision = decide([seen("a", "new"), seen("b", "stable")], ["a", "b"], "stable")
    assert decision.current is not None
    assert decision.current.slot == "b"


def test_of_two_that_serve_and_neither_is_stable_the_older_is_kept() -> None:
    decision = decide([seen("a", "x", created="2026-02-02"), seen("b", "y")], ["a", "b"], None)
    assert decision.current is not None
    assert decision.current.slot == "b"
