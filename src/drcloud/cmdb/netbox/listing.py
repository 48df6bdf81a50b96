"""A complete listing of an endpoint, or an error: pages are followed, counted, and read again if they shift.

NetBox pages by offset. What is made or deleted between two pages shifts the rest, and an object may fall
in between, unseen. Pages are therefore ordered by id, and the newest id is asked for before the first of
them: while neither the count nor the newest id moves, nothing was made, so nothing can have been deleted
without lowering the count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from drcloud.cmdb.netbox.client import Client
from drcloud.cmdb.netbox.trouble import NetboxIncompleteError, ShiftedError

PAGE = 1000  # objects; NetBox' own limit, MAX_PAGE_SIZE, may make it less
CHOSEN = 100  # ids in one request: a URL stays below 2 kB
READINGS = 3

Row = dict[str, Any]
Filters = Mapping[str, Sequence[str]]


def whole(client: Client, path: str, fields: str, filters: Filters) -> list[Row]:
    """Return all objects of an endpoint, ordered by id."""
    return _again(partial(_whole, client, path, fields, filters))


def chosen(client: Client, path: str, fields: str, ids: Sequence[int]) -> list[Row]:
    """Return the objects with these ids; one that is gone is a ``ShiftedError``."""
    rows = []
    for start in range(0, len(ids), CHOSEN):
        part = ids[start : start + CHOSEN]
        wanted = {"id": [str(one) for one in part]}
        found = _again(partial(_listed, client, path, fields, wanted))
        if gone := set(part) - {row["id"] for row in found}:
            raise ShiftedError(f"NetBox {client.url}: {path}/{min(gone)} was deleted while it was read")
        rows += found
    return rows


def _listed(client: Client, path: str, fields: str, filters: Filters) -> list[Row]:
    return list(_pages(client, path, fields, filters))


def _again(read: Callable[[], list[Row]]) -> list[Row]:
    for reading in range(READINGS):
        try:
            return read()
        except ShiftedError:
            if reading == READINGS - 1:
                raise
    raise AssertionError("the last reading returns or raises")


def _whole(client: Client, path: str, fields: str, filters: Filters) -> list[Row]:
    probe = client.get(path, {**filters, "limit": "1", "ordering": "-id", "fields": "id"})
    count, newest = _count(client, path, probe), _results(client, path, probe)
    rows = _listed(client, path, fields, filters)
    if len(rows) != count or [row["id"] for row in rows[-1:]] != [row["id"] for row in newest[:1]]:
        raise ShiftedError(
            f"NetBox {client.url}: {path} says it has {count} objects and sent {len(rows)}: it changes while "
            "it is read, or its pages are incomplete; nothing was written, try again"
        )
    return rows


def _pages(client: Client, path: str, fields: str, filters: Filters) -> Iterator[Row]:
    page = client.get(path, {**filters, "limit": str(PAGE), "ordering": "id", "fields": fields})
    count, seen, last = _count(client, path, page), 0, 0
    while True:
        results = _results(client, path, page)
        for row in results:
            if row["id"] <= last:
                raise ShiftedError(f"NetBox {client.url}: {path}/{row['id']} came twice, or out of order")
            last = row["id"]
            yield row
        seen += len(results)
        link = page.get("next")
        if link is None:
            break
        if not isinstance(link, str) or not results:
            raise NetboxIncompleteError(
                f"NetBox {client.url}: {path} sends an empty page and names a next one"
            )
        page = client.follow(path, link)
        if (now := _count(client, path, page)) != count:
            raise ShiftedError(
                f"NetBox {client.url}: {path} had {count} objects and has {now} now: it changes while it is "
                "read; nothing was written, try again"
            )
    if seen != count:
        raise ShiftedError(
            f"NetBox {client.url}: {path} says it has {count} objects and sent {seen}; nothing was written"
        )


def _count(client: Client, path: str, page: Row) -> int:
    count = page.get("count")
    if not isinstance(count, int) or isinstance(count, bool):
        raise NetboxIncompleteError(f"NetBox {client.url}: {path} answers without a count of its objects")
    return count


def _results(client: Client, path: str, page: Row) -> list[Row]:
    results = page.get("results")
    if not isinstance(results, list):
        raise NetboxIncompleteError(f"NetBox {client.url}: {path} answers without a list of results")
    for row in results:
        if not isinstance(row, dict) or type(row.get("id")) is not int:
            raise NetboxIncompleteError(f"NetBox {client.url}: {path} answers an object without an id")
    return results
