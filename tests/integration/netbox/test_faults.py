"""A NetBox that fails: nothing is written, and the sentence names the endpoint, never the token."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.netbox.box import Company
from tests.integration.netbox.standin import TOKEN, Answer, Query, Row, Standin

from drcloud.cmdb.netbox import sync
from drcloud.cmdb.netbox.client import ATTEMPTS, Access, Client
from drcloud.cmdb.netbox.sync import Request, Result
from drcloud.cmdb.netbox.trouble import NetboxDeniedError, NetboxIncompleteError
from drcloud.cmdb.store import Store
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError, UnreachableError
from drcloud.exitcodes import ExitCode

Pull = Callable[..., Result]
Act = Callable[[Query, Row], Any]
ALWAYS = 10**6


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def failing(small: Company, store: Store, waited: list[float]) -> Callable[[], DrcloudError]:
    """Pull, which must fail and write nothing; return the error."""

    def failed() -> DrcloudError:
        with pytest.raises(DrcloudError) as caught:
            sync.pull(store, Request(small.box.access), pause=waited.append)
        assert store.declared_seq() == 0
        assert TOKEN not in str(caught.value)
        return caught.value

    return failed


def answer(status: int, text: str = "{}", **headers: str) -> Act:
    return lambda _query, _document: Answer(status, text.encode(), headers)


def whole(change: Callable[[Row], None]) -> Act:
    """Change the answers that hold objects, not the question for the newest id."""

    def act(query: Query, document: Row) -> None:
        if query.get("limit") != ["1"]:
            change(document)

    return act


def test_a_token_that_may_not_see_an_endpoint(server: Standin, failing: Callable[[], DrcloudError]) -> None:
    detail = f"You do not have permission, {TOKEN}."
    server.twist("dcim/interfaces", answer(403, json.dumps({"detail": detail})), ALWAYS)
    error = failing()
    assert isinstance(error, NetboxDeniedError)
    assert error.exit_code is ExitCode.DENIED
    assert "dcim/interfaces is refused (403, You do not have permission, ….)" in str(error)


def test_a_wrong_token(small: Company, store: Store) -> None:
    with pytest.raises(NetboxDeniedError, match=r"status is refused \(403, Invalid v1 token\)") as caught:
        sync.pull(store, Request(Access.make(small.box.url, "wrong-token")))
    assert "wrong-token" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_an_endpoint_that_fails_for_good(
    server: Standin, failing: Callable[[], DrcloudError], waited: list[float], status: int
) -> None:
    server.twist("dcim/racks", answer(status), ALWAYS)
    error = failing()
    assert isinstance(error, UnreachableError)
    assert f"dcim/racks cannot be read: it answers {status}" in str(error)
    assert waited == [0.5, 1.0, 2.0, 4.0]


def test_one_that_recovers_is_waited_for_as_long_as_it_says(
    server: Standin, small: Company, store: Store, waited: list[float]
) -> None:
    server.twist("dcim/racks", answer(429, **{"Retry-After": "7"}))
    server.twist("dcim/racks", answer(503, **{"Retry-After": "Thu, 01 Jan 2099 00:00:00 GMT"}))
    server.twist("dcim/racks", answer(500))
    result = sync.pull(store, Request(small.box.access), pause=waited.append)
    assert result.read["dcim/racks"] == 2
    assert waited == [7.0, 60.0, 2.0]


def test_half_an_answer_is_asked_for_again_and_then_an_error(
    server: Standin, failing: Callable[[], DrcloudError], waited: list[float]
) -> None:
    server.twist("dcim/devices", answer(200, '{"count": 2, "resu', **{"Content-Length": "5000"}), ALWAYS)
    assert "dcim/devices cannot be read" in str(failing())
    assert len(waited) == ATTEMPTS - 1


def test_half_a_page(server: Standin, failing: Callable[[], DrcloudError]) -> None:
    server.twist("dcim/devices", whole(lambda page: page["results"].pop()), ALWAYS)
    error = failing()
    assert isinstance(error, NetboxIncompleteError)
    assert error.exit_code is ExitCode.INCOMPLETE
    assert "dcim/devices says it has 2 objects and sent 1" in str(error)


def test_half_a_page_once_is_read_again(server: Standin, small: Company, store: Store) -> None:
    server.twist("dcim/devices", lambda _query, _page: None)
    server.twist("dcim/devices", lambda _query, page: page["results"].pop() and None)
    assert sync.pull(store, Request(small.box.access)).read["dcim/devices"] == 2


def test_an_object_that_is_deleted_and_another_made_between_two_pages(
    server: Standin, small: Company, pull: Pull
) -> None:
    """By offset, the third object takes the place of the second, and no page has it; count says nothing."""
    server.page_size = 2
    tags = [small.box.make("extras/tags", name=f"t{n}", slug=f"t{n}") for n in range(4)]
    small.box.change("dcim/devices", small.web, tags=tags[2:])

    def shift(query: Query, _page: Row) -> None:
        if "offset" not in query and query.get("limit") != ["1"]:
            server.remove("extras/tags", tags[0])
            server.make("extras/tags", {"name": "late", "slug": "late"})
            server.twists.clear()

    server.twist("extras/tags", shift, ALWAYS)
    result = pull(small.box)
    assert result.read["extras/tags"] == 5
    assert {"web-01/t2", "web-01/t3"} <= {change.key for change in result.plan.changes}


def test_a_count_that_never_stands_still(server: Standin, failing: Callable[[], DrcloudError]) -> None:
    server.page_size = 1
    counts = iter(range(10, ALWAYS))
    server.twist("dcim/devices", lambda _query, page: page.update(count=next(counts)), ALWAYS)
    assert "it changes while it is read" in str(failing())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<html>Welcome</html>", "answers what is not JSON"),
        ("[1, 2]", "answers no JSON object but a list"),
        ('{"count": 1}', "answers without a list of results"),
        ('{"results": []}', "answers without a count"),
        ('{"count": 1, "next": null, "results": [{"name": "x"}]}', "answers an object without an id"),
        ('{"count": 1, "next": null, "results": [{"id": true}]}', "answers an object without an id"),
        ('{"count": 1, "next": "http://127.0.0.1", "results": []}', "sends an empty page"),
    ],
)
def test_nonsense(server: Standin, failing: Callable[[], DrcloudError], text: str, sentence: str) -> None:
    server.twist("dcim/sites", answer(200, text), ALWAYS)
    error = failing()
    assert isinstance(error, NetboxIncompleteError)
    assert f"dcim/sites {sentence}" in str(error)


def test_an_object_that_makes_no_sense_is_named(
    server: Standin, small: Company, failing: Callable[[], DrcloudError]
) -> None:
    server.twist("dcim/racks", whole(lambda page: page["results"][0].update(u_height="tall")), ALWAYS)
    assert f"dcim/racks/{small.rack} makes no sense: u_height" in str(failing())


def test_a_reference_to_what_may_not_be_seen(
    server: Standin, small: Company, failing: Callable[[], DrcloudError]
) -> None:
    def hide(_query: Query, page: Row) -> None:
        page["results"] = [row for row in page["results"] if row["id"] != small.rack]
        page["count"] = 1

    server.twist("dcim/racks", hide, ALWAYS)
    assert f"dcim/devices/{small.web} refers to dcim/racks/{small.rack}, which is not there" in str(failing())


def test_a_next_page_on_another_server_is_not_followed(
    server: Standin, failing: Callable[[], DrcloudError]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        port = elsewhere.getsockname()[1]
        link = f"http://127.0.0.1:{port}/api/dcim/sites/?offset=1"
        server.twist("dcim/sites", whole(lambda page: page.update(next=link)), ALWAYS)
        assert f"its next page is at http://127.0.0.1:{port}, which is another server" in str(failing())
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_a_redirect_is_not_followed(server: Standin, failing: Callable[[], DrcloudError]) -> None:
    server.twist("status", answer(301, Location="https://netbox.example.com/api/status/"))
    error = failing()
    assert isinstance(error, InvalidInputError)
    assert "status redirects to https://netbox.example.com/api/status/: give the true address" in str(error)


def test_what_is_no_netbox_and_one_that_is_too_old(
    server: Standin, failing: Callable[[], DrcloudError]
) -> None:
    server.twist("status", answer(404, '{"detail": "Not found."}'))
    assert "status answers 404 Not Found, Not found." in str(failing())
    server.twist("status", answer(200, '{"service": "something"}'))
    assert "is no NetBox: its status names no netbox-version" in str(failing())
    server.version = "3.7.8"
    assert "is version 3.7.8: 4.2 or newer is needed" in str(failing())


def test_nobody_is_there(store: Store) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=r"status cannot be read: .*refused"):
            sync.pull(store, Request(Access.make(url, "token")), pause=lambda _seconds: None)


def test_a_site_that_is_not_there(small: Company, pull: Pull) -> None:
    with pytest.raises(NotFoundError, match="has no site 'bj2': did you mean bj1"):
        pull(small.box, sites=("bj2",))


def test_an_adoption_of_nothing(small: Company, pull: Pull) -> None:
    with pytest.raises(NotFoundError, match="there is no 'host:web-77' in the CMDB to be adopted"):
        pull(small.box, adopt=frozenset({"host:web-77"}))


@pytest.mark.parametrize(
    "url",
    [
        "netbox.example.com",
        "ftp://netbox",
        "https://",
        "https://me:pw@netbox",
        "https://n/?q=1",
        "https://n:x",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Access.make(url, "token")
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  \n", "two words", "标记"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(InvalidInputError, match="the NetBox token is empty or holds blanks"):
        Access.make("https://netbox", token)


def test_the_url_is_tidied_and_the_token_never_shown() -> None:
    access = Access.make("HTTPS://NetBox.example.com:8443/nb/api/", "secret-word\n")
    assert access.url == "https://netbox.example.com:8443/nb"
    assert access.token == "secret-word"
    assert "secret-word" not in repr(access)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(InvalidInputError, match=r"ca\.pem cannot be used"):
        Client(Access.make("https://netbox", "token", file))


def test_many_objects_and_small_pages(server: Standin, small: Company, pull: Pull) -> None:
    for number in range(50):
        host = small.device(f"n-{number:03}")
        port = small.port(host, "eth0")
        small.address(f"10.20.1.{100 + number}/24", port, primary_of=host)
    server.page_size = 7
    assert pull(small.box).read["dcim/devices"] == 52
    assert pull(small.box).plan.changes == ()


def test_only_what_changed_is_fetched(server: Standin, small: Company, pull: Pull) -> None:
    pull(small.box)
    small.box.change("dcim/devices", small.web, serial="SN9")
    server.asked.clear()
    pull(small.box)
    whole_devices = [
        query for path, query in server.asked if path == "dcim/devices" and "name" in query["fields"][0]
    ]
    assert [query["id"] for query in whole_devices] == [[str(small.web)]]
    assert all("name" not in query["fields"][0] for path, query in server.asked if path == "dcim/interfaces")


def test_a_damaged_cache_costs_a_full_reading_only(
    small: Company, pull: Pull, tmp_path: Path, server: Standin
) -> None:
    pull(small.box)
    [file] = (tmp_path / "cache/drcloud/netbox-objects").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"no gzip")
    assert pull(small.box).plan.changes == ()
    file.chmod(0o000)
    file.unlink()
    file.mkdir()
    assert pull(small.box).plan.changes == ()


def test_what_a_stamp_does_not_tell_is_noticed(server: Standin, small: Company, pull: Pull) -> None:
    """NetBox takes a deleted tag off its devices without touching them."""
    pull(small.box)
    server.remove("extras/tags", small.tag)
    result = pull(small.box)
    assert [(change.action, change.key) for change in result.plan.changes] == [
        ("delete", "web-01/core-service")
    ]
    assert result.plan.vanished == (("tag", "core-service"),)


def test_a_box_is_asked_with_a_bearer_for_tokens_of_version_two(server: Standin) -> None:
    with Client(Access.make(server.url, "nbt_abc.def")) as client:
        assert client._http.headers["Authorization"] == "Bearer nbt_abc.def"
    with Client(Access.make(server.url, "abcdef")) as client:
        assert client._http.headers["Authorization"] == "Token abcdef"


def test_a_whole_netbox_and_one_site_of_it_have_caches_of_their_own(
    small: Company, pull: Pull, tmp_path: Path
) -> None:
    pull(small.box)
    pull(small.box, sites=("bj1",))
    assert len(list((tmp_path / "cache/drcloud/netbox-objects").iterdir())) == 2
