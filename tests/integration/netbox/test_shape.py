"""The stand-in answers like the real NetBox: the same fields of the same types to the same questions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from tests.integration.netbox import standin
from tests.integration.netbox.box import Box, Company
from tests.integration.netbox.standin import SCHEMA, Standin

from drcloud.cmdb.netbox.records import ENDPOINTS, Record

pytestmark = [pytest.mark.netbox, pytest.mark.timeout(3600)]


def shape(value: Any) -> Any:
    """Return the types of a value, and of what is in it; numbers are numbers, as JSON has only one kind."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return (
        "number" if isinstance(value, float | int) and not isinstance(value, bool) else type(value).__name__
    )


def lacks(small: Any, big: Any, place: str) -> list[str]:
    """Return what the first shape has and the second has not, or has otherwise."""
    if isinstance(small, dict) and isinstance(big, dict):
        return [
            word
            for name, one in small.items()
            for word in (
                lacks(one, big[name], f"{place}.{name}") if name in big else [f"{place}.{name}: missing"]
            )
        ]
    if isinstance(small, list) and isinstance(big, list):
        pairs = zip(small, big, strict=True)
        return [word for one, other in pairs for word in lacks(one, other, f"{place}[]")]
    return [] if small == big else [f"{place}: {small} here, {big} there"]


def filled(*boxes: Box) -> None:
    """Put the same objects into all boxes."""
    for box in boxes:
        company = Company(box).found()
        box.make("ipam/vrfs", name="blue")
        role = box.make("ipam/roles", name="Service", slug="service")
        box.change("ipam/prefixes", company.prefix, role=role)
        company.address("10.20.1.40/24", None, role="vip")


@pytest.fixture(scope="module")
def boxes(real_netbox: Box) -> Iterator[tuple[Box, Box]]:
    """Give the stand-in and the real NetBox with the same objects, to be read only."""
    real_netbox.clear()
    with standin.serving() as server:
        both = Box(server.url, standin.TOKEN), real_netbox
        filled(*both)
        yield both


@pytest.mark.parametrize("model", ENDPOINTS, ids=lambda model: model.path)
def test_objects_have_the_same_fields_of_the_same_types(model: type[Record], boxes: tuple[Box, Box]) -> None:
    here, there = (box.listed(model.path, fields=model.asked(), ordering="id") for box in boxes)
    assert len(here) == len(there) > 0
    for one, other in zip(here, there, strict=True):
        assert one.keys() == other.keys() == set(model.model_fields)
        assert lacks(shape(one), shape(other), model.path) == []


@pytest.mark.parametrize("path", sorted(SCHEMA))
def test_whole_objects_have_all_that_the_stand_in_has(path: str, boxes: tuple[Box, Box]) -> None:
    here, there = (box.listed(path, ordering="id") for box in boxes)
    assert len(here) == len(there) > 0
    for one, other in zip(here, there, strict=True):
        assert lacks(shape(one), shape(other), path) == []


QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("dcim/devices", {"limit": 1, "ordering": "-id", "fields": "id"}),
    ("dcim/devices", {"limit": 1, "ordering": "id", "fields": "id,last_updated"}),
    ("dcim/interfaces", {"site": "bj1", "ordering": "id", "fields": "id,last_updated,mac_address"}),
    ("dcim/racks", {"site": ["bj1"], "fields": "id"}),
    ("dcim/locations", {"site": ["bj1"], "ordering": "id", "fields": "id,slug"}),
    ("dcim/sites", {"slug": ["bj1", "bj2"], "fields": "id,slug"}),
]


@pytest.mark.parametrize(("path", "params"), QUESTIONS)
def test_pages_have_the_same_shape(path: str, params: dict[str, Any], boxes: tuple[Box, Box]) -> None:
    here, there = (box.http.get(f"{path}/", params=params).json() for box in boxes)
    assert here.keys() == there.keys()
    assert shape(here) == shape(there)
    assert here["count"] == there["count"]


def test_links_to_next_pages_lead_on(boxes: tuple[Box, Box]) -> None:
    for box in boxes:
        first = box.http.get("dcim/devices/", params={"limit": 1, "ordering": "id", "fields": "id"}).json()
        second = box.http.get(first["next"]).json()
        assert [second["count"], second["next"], len(second["results"])] == [2, None, 1]
        assert second["results"][0]["id"] > first["results"][0]["id"]
        assert first["next"].startswith(f"{box.url}/api/dcim/devices/?")


def test_a_wrong_token_is_refused_in_the_same_words(boxes: tuple[Box, Box]) -> None:
    answers = []
    for box in boxes:
        response = box.http.get("status/", headers={"Authorization": "Token " + "0" * 40})
        answers.append((response.status_code, shape(response.json())))
    assert answers[0] == answers[1]


def test_what_a_deletion_takes_along_and_which_stamps_tell_of_it(server: Standin, real_netbox: Box) -> None:
    """A tag that is deleted leaves devices without telling; an address tells its device."""
    real_netbox.clear()
    seen = []
    for box in (Box(server.url, standin.TOKEN), real_netbox):
        filled(box)
        before = box.listed("dcim/devices", ordering="id")[0]
        box.remove("extras/tags", box.listed("extras/tags")[0]["id"])
        untagged = box.listed("dcim/devices", ordering="id")[0]
        [ip] = [row["id"] for row in box.listed("ipam/ip-addresses") if row["address"] == "10.20.1.11/24"]
        box.remove("ipam/ip-addresses", ip)
        unreached = box.listed("dcim/devices", ordering="id")[0]
        box.remove("dcim/devices", before["id"])
        left = [len(box.listed(path)) for path in ("dcim/devices", "dcim/interfaces", "ipam/ip-addresses")]
        stamps = [before["last_updated"], untagged["last_updated"], unreached["last_updated"]]
        told = [one == other for one, other in pairwise(stamps)]
        seen.append([told, untagged["tags"], unreached["primary_ip"], left])
    assert seen == [[[True, False], [], None, [1, 1, 2]]] * 2
