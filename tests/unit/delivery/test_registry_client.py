"""What the registry client makes of answers; the real registry is asked in the lab."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import httpx
import pytest

from drcloud.delivery.registry import Credentials, Registry, RegistryDeniedError, check_tag
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError, UnreachableError

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> Registry:
    return Registry(
        "main",
        "registry.test:5000",
        auth=Credentials("drcloud", "secret"),
        transport=httpx.MockTransport(answer),
    )


def serving(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/v2/dianrong/demo/manifests/rt67":
        assert "application/vnd.oci.image.index.v1+json" in request.headers["Accept"]
        return httpx.Response(200, content=MANIFEST, headers={"Docker-Content-Digest": DIGEST})
    if request.url.path.endswith("/tags/list"):
        return httpx.Response(200, json={"name": "dianrong/demo", "tags": ["rt68", "rt67", "latest"]})
    return httpx.Response(404, json={"errors": [{"code": "MANIFEST_UNKNOWN"}]})


def test_a_tag_is_resolved_to_the_digest_of_what_is_served() -> None:
    with client(serving) as registry:
        assert registry.digest("demo", "dianrong/demo", "rt67") == DIGEST


def test_an_unknown_tag_names_app_registry_and_the_closest() -> None:
    with client(serving) as registry, pytest.raises(NotFoundError) as refused:
        registry.digest("demo", "dianrong/demo", "rt66")
    assert str(refused.value) == (
        "app demo has no tag rt66 in registry main (registry.test:5000); it has rt68, rt67 and others"
    )


def test_an_image_that_was_never_pushed() -> None:
    with client(lambda request: httpx.Response(404)) as registry:
        with pytest.raises(
            NotFoundError, match="nothing of it was pushed yet; `drcloud build demo --tag v1` does"
        ):
            registry.digest("demo", "dianrong/demo", "v1")
        assert registry.tags("dianrong/demo") == []


def test_a_registry_that_names_one_thing_and_sends_another() -> None:
    def lying(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"{}", headers={"Docker-Content-Digest": DIGEST})

    with client(lying) as registry, pytest.raises(DrcloudError, match="do not trust it"):
        registry.digest("demo", "dianrong/demo", "rt67")


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials(status: int) -> None:
    answer = httpx.Response(status, headers={"WWW-Authenticate": 'Basic realm="r"'})
    with (
        client(lambda request: answer) as registry,
        pytest.raises(RegistryDeniedError, match="refused drcloud"),
    ):
        registry.digest("demo", "dianrong/demo", "rt67")


def test_a_registry_that_is_down() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with (
        client(down) as registry,
        pytest.raises(UnreachableError, match=r"main .* does not answer: Connection"),
    ):
        registry.digest("demo", "dianrong/demo", "rt67")


def test_a_token_is_fetched_where_the_registry_wants_one() -> None:
    asked: list[httpx.Request] = []

    def tokens(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.host == "auth.test":
            return httpx.Response(200, json={"token": "t0"})
        if request.headers.get("Authorization") == "Bearer t0":
            return serving(request)
        challenge = 'Bearer realm="https://auth.test/token",service="registry"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})

    with client(tokens) as registry:
        assert registry.digest("demo", "dianrong/demo", "rt67") == DIGEST
    assert dict(asked[1].url.params) == {"service": "registry", "scope": "repository:dianrong/demo:pull"}


def test_a_broken_registry_is_quoted() -> None:
    with (
        client(lambda request: httpx.Response(500, text="disk full")) as registry,
        pytest.raises(DrcloudError, match=r"HTTP 500 .* disk full"),
    ):
        registry.tags("dianrong/demo")


@pytest.mark.parametrize("tag", ["", ".hidden", "-x", "a b", "a" * 129, "ü"])
def test_what_cannot_be_a_tag(tag: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a tag"):
        check_tag(tag)


def test_a_password_never_shows() -> None:
    assert "secret" not in repr(Credentials("drcloud", "secret"))


def test_a_ca_that_is_none() -> None:
    with pytest.raises(InvalidInputError, match="registry main: its CA is not a certificate"):
        Registry("main", "registry.test:5000", ca="nonsense")
