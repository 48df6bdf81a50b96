"""A dry run ends like the write, also where only a constraint or a trigger of the database would refuse."""

from __future__ import annotations

import pytest

from drcloud.cmdb import objects
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.errors import DrcloudError

from .conftest import Controller

# Each is tried on what the ones before have made; the words are of the refusal.
TRIES: tuple[tuple[Wanted, str | None], ...] = (
    (Wanted("address", {"address": "10.90.0.99", "host": "dk-01"}), "has the management address 10.90.0.11"),
    (Wanted("address", {"address": "10.90.0.99", "host": "dk-01", "purpose": "storage"}), None),
    (Wanted("nic", {"mac": "52-54-00-00-00-01"}, "dk-01/eth0"), None),
    (Wanted("nic", {"mac": "52:54:00:00:00:01"}, "dk-02/eth0"), "belongs to nic dk-01/eth0 already"),
    (Wanted("address", {"host": "dk-02", "nic": "dk-01/eth0"}, "10.90.0.99"), "is not one of host dk-02"),
    (Wanted("rack_slot", {"host": "dk-01"}, "bj1/r1/a01/43"), "has 42 units"),
    (Wanted("rack_slot", {"host": "dk-02"}, "bj1/r1/a01/9"), "stands in rack bj1/r1/a02"),
    (Wanted("rack_slot", {"host": "dk-01"}, "bj1/r1/a01/9"), None),
    (Wanted("host", {"rack": "bj1/r1/a02"}, "dk-01"), "rack"),
    (Wanted("rack", {"units": 5}, "bj1/r1/a01"), "unit 9"),
    (Wanted("prefix", {"cidr": "10.0.0.0/8"}), "overlaps 10.90.0.0/24"),
    (Wanted("prefix", {"cidr": "10.0.0.0/8", "aggregate": True}), None),
    (Wanted("change", {"ticket": "CHG-1", "window_start": "2026-03-01T22:00+08:00"}), "window_end"),
    (Wanted("change", {"ticket": "CHG-1"}), None),
    (Wanted("change", {"state": "open"}, "CHG-1"), "is draft and cannot become open"),
    (Wanted("app", {"name": "shop", "image_registry": "main"}), "there is no specification 1"),
    (Wanted("block_device", {"host": "dk-01", "purpose": "raw", "serial": "S1"}), None),
    (Wanted("block_device", {"host": "dk-02", "purpose": "raw", "serial": "S1"}), "already"),
    (Wanted("prefix", key="10.90.0.0/24", state="absent"), "is still used by address"),
    (Wanted("host", key="dk-01", state="absent"), None),
)


def ending(store: Store, wanted: Wanted, *, dry_run: bool) -> objects.Outcome | str:
    try:
        return objects.change(store, [wanted], reason="test", dry_run=dry_run)
    except DrcloudError as error:
        return str(error)


def test_a_dry_run_ends_like_the_write(controller: Controller) -> None:
    store = Store.open(controller.url)
    for wanted, refusal in TRIES:
        foretold = ending(store, wanted, dry_run=True)
        assert foretold == ending(store, wanted, dry_run=False), wanted
        if refusal is None:
            assert isinstance(foretold, objects.Outcome), foretold
        elif not isinstance(foretold, str) or refusal not in foretold:
            pytest.fail(f"{wanted.name}: {refusal!r} was not said: {foretold}")
