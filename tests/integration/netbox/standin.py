"""A small server that answers like NetBox, as far as drCloud asks it; ``test_shape`` holds it to that.

It pages, filters, picks fields, and lets objects be made, changed and deleted over the API. ``twist`` changes
its answers: that is how it fails, which a real NetBox does not do when asked to.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN = "standin-0123456789abcdef0123456789abcdef"
VERSION = "4.7.3"

Row = dict[str, Any]
Query = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Ref:
    """A field that holds another object, or several."""

    path: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A field with a value and a label."""

    default: str | None


SCHEMA: dict[str, dict[str, Any]] = {
    "dcim/sites": {"name": "", "slug": ""},
    "dcim/locations": {"name": "", "slug": "", "site": Ref("dcim/sites"), "parent": Ref("dcim/locations")},
    "dcim/racks": {
        "name": "",
        "site": Ref("dcim/sites"),
        "location": Ref("dcim/locations"),
        "u_height": 42,
        "starting_unit": 1,
    },
    "dcim/device-roles": {"name": "", "slug": ""},
    "dcim/manufacturers": {"name": "", "slug": ""},
    "dcim/device-types": {
        "model": "",
        "slug": "",
        "manufacturer": Ref("dcim/manufacturers"),
        "u_height": 1.0,
    },
    "dcim/devices": {
        "name": None,
        "device_type": Ref("dcim/device-types"),
        "role": Ref("dcim/device-roles"),
        "site": Ref("dcim/sites"),
        "rack": Ref("dcim/racks"),
        "position": None,
        "face": Choice(None),
        "serial": "",
        "asset_tag": None,
        "primary_ip4": Ref("ipam/ip-addresses"),
        "tags": Ref("extras/tags", many=True),
    },
    "dcim/interfaces": {
        "device": Ref("dcim/devices"),
        "name": "",
        "type": Choice(None),
        "mac_address": None,
        "speed": None,
    },
    "ipam/vrfs": {"name": ""},
    "ipam/roles": {"name": "", "slug": ""},
    "ipam/prefixes": {
        "prefix": "",
        "vrf": Ref("ipam/vrfs"),
        "status": Choice("active"),
        "role": Ref("ipam/roles"),
        "scope_type": None,
        "scope_id": None,
    },
    "ipam/ip-addresses": {
        "address": "",
        "vrf": Ref("ipam/vrfs"),
        "role": Choice(None),
        "assigned_object_type": None,
        "assigned_object_id": None,
    },
    "extras/tags": {"name": "", "slug": ""},
}
FLOATS = ("u_height", "position")


@dataclass
class Twist:
    """What happens to the answers of an endpoint, so many times."""

    path: str
    act: Callable[[Query, Row], Any]
    times: int


@dataclass
class Answer:
    """An answer that is not what NetBox would say."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Standin:
    """The objects, and how they are served."""

    url: str = ""
    page_size: int = 1000
    version: str = VERSION
    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {path: {} for path in SCHEMA})
    asked: list[tuple[str, Query]] = field(default_factory=list)
    twists: list[Twist] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    last: dict[str, int] = field(default_factory=dict)
    ticks: int = 0

    def twist(self, path: str, act: Callable[[Query, Row], Any], times: int = 1) -> None:
        """Let ``act`` change (in place) or replace (an ``Answer``) the next answers of an endpoint."""
        self.twists.append(Twist(path, act, times))

    def get(self, path: str, query: Query) -> Any:
        """Answer a GET."""
        self.asked.append((path, query))
        document = {"netbox-version": self.version} if path == "status" else self._list(path, query)
        for twist in self.twists:
            if twist.path == path and twist.times:
                twist.times -= 1
                return twist.act(query, document) or document
        return document

    def make(self, path: str, payload: Row) -> Row:
        """Answer a POST."""
        number = self.last[path] = self.last.get(path, 0) + 1
        row = {name: spec for name, spec in SCHEMA[path].items() if not isinstance(spec, Ref | Choice)}
        row |= {name: spec.default for name, spec in SCHEMA[path].items() if isinstance(spec, Choice)}
        row |= {
            name: [] if spec.many else None for name, spec in SCHEMA[path].items() if isinstance(spec, Ref)
        }
        self.rows[path][number] = {"id": number, **row}
        return self.change(path, number, payload)

    def change(self, path: str, number: int, payload: Row) -> Row:
        """Answer a PATCH."""
        row = self.rows[path][number]
        row |= {name: value for name, value in payload.items() if name in SCHEMA[path]}
        row |= {
            name: float(row[name]) for name in FLOATS if row.get(name) is not None and path != "dcim/racks"
        }
        self._touch(row)
        return self._shown(path, row)

    def _touch(self, row: Row) -> None:
        self.ticks += 1
        moment = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + self.ticks
        row["last_updated"] = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"

    def remove(self, path: str, number: int) -> None:
        """Answer a DELETE: what belongs to the object goes too; of a tag no stamp tells, as in NetBox."""
        del self.rows[path][number]
        for other, specs in SCHEMA.items():
            for name, spec in specs.items():
                if isinstance(spec, Ref) and spec.path == path:
                    self._forget(other, name, number, many=spec.many)
        if path == "dcim/interfaces":
            on_it = ("dcim.interface", number)
            for one in list(self.rows["ipam/ip-addresses"].values()):
                if (one["assigned_object_type"], one["assigned_object_id"]) == on_it:
                    self.remove("ipam/ip-addresses", one["id"])

    def _forget(self, path: str, name: str, number: int, *, many: bool) -> None:
        for row in list(self.rows[path].values()):
            if many:
                row[name] = [one for one in row[name] if one != number]
            elif row[name] == number and (path, name) == ("dcim/interfaces", "device"):
                self.remove(path, row["id"])
            elif row[name] == number:
                row[name] = None
                self._touch(row)

    def _list(self, path: str, query: Query) -> Row:
        rows = [row for row in self.rows[path].values() if self._matches(path, row, query)]
        rows.sort(key=lambda row: row["id"], reverse=query.get("ordering") == ["-id"])
        limit = min(int(query.get("limit", ["50"])[0]), self.page_size)
        offset = int(query.get("offset", ["0"])[0])
        following = {**query, "limit": [str(limit)], "offset": [str(offset + limit)]}
        link = f"{self.url}/api/{path}/?{urlencode(following, doseq=True)}"
        fields = query["fields"][0].split(",") if "fields" in query else None
        shown = [self._shown(path, row) for row in rows[offset : offset + limit]]
        return {
            "count": len(rows),
            "next": link if offset + limit < len(rows) else None,
            "previous": None,
            "results": [{k: v for k, v in row.items() if not fields or k in fields} for row in shown],
        }

    def _matches(self, path: str, row: Row, query: Query) -> bool:
        if "id" in query and str(row["id"]) not in query["id"]:
            return False
        if "slug" in query and row["slug"] not in query["slug"]:
            return False
        return "site" not in query or self._site(path, row) in query["site"]

    def _site(self, path: str, row: Row) -> str:
        if path == "dcim/interfaces":
            row = self.rows["dcim/devices"][row["device"]]
        return str(self.rows["dcim/sites"][row["site"]]["slug"])

    def _shown(self, path: str, row: Row) -> Row:
        shown = {"url": f"{self.url}/api/{path}/{row['id']}/", "display": str(row.get("name")), **row}
        for name, spec in SCHEMA[path].items():
            if isinstance(spec, Choice):
                shown[name] = row[name] and {"value": row[name], "label": row[name].capitalize()}
            elif isinstance(spec, Ref) and spec.many:
                shown[name] = [self._nested(spec.path, one) for one in row[name]]
            elif isinstance(spec, Ref):
                shown[name] = row[name] and self._nested(spec.path, row[name])
        if path == "dcim/devices":
            shown["primary_ip"] = shown["primary_ip4"]
        return shown

    def _nested(self, path: str, number: int) -> Row:
        row = self.rows[path][number]
        named = {name: row[name] for name in ("name", "slug", "model", "address") if name in row}
        return {"id": number, "url": f"{self.url}/api/{path}/{number}/", "display": str(number), **named}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave together: apart, they wait for one another 40 ms in every answer.
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer(lambda standin, path, _number: standin.get(path, self._query()))

    def do_POST(self) -> None:
        payload = self._payload()
        self._answer(lambda standin, path, _number: standin.make(path, payload), 201)

    def do_PATCH(self) -> None:
        payload = self._payload()
        self._answer(lambda standin, path, number: standin.change(path, number, payload))

    def do_DELETE(self) -> None:
        self._answer(lambda standin, path, number: standin.remove(path, number), 204)

    def log_message(self, *_arguments: Any) -> None:
        """Be quiet."""

    def _query(self) -> Query:
        return parse_qs(urlsplit(self.path).query)

    def _payload(self) -> Row:
        return dict(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, act: Callable[[Standin, str, int], Any], status: int = 200) -> None:
        standin: Standin = self.server.standin  # type: ignore[attr-defined]
        found = re.fullmatch(r"/api/(status|[a-z]+/[a-z-]+)/(?:(\d+)/)?", urlsplit(self.path).path)
        if found is None:
            self._send(Answer(404, b'{"detail": "Not found."}'))
        elif self.headers.get("Authorization") != f"Token {TOKEN}":
            self._send(Answer(403, b'{"detail": "Invalid v1 token"}'))
        else:
            with standin.lock:
                value = act(standin, found[1], int(found[2] or 0))
            body = b"" if value is None else json.dumps(value, default=str).encode()
            self._send(value if isinstance(value, Answer) else Answer(status, body))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        else:
            self.close_connection = True  # it said that more would come
        self.end_headers()
        self.wfile.write(answer.body)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Standin]:
    """Give a server without objects, on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    standin = Standin(url=f"{scheme}://127.0.0.1:{server.server_address[1]}")
    server.standin = standin  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
