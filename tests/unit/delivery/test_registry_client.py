"""What the registry client makes of answers; the real registry is asked in the lab."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from drcloud.delivery.manifest import Manifest
from drcloud.delivery.platforms import Platform
from drcloud.delivery.registry import (
    Credentials,
    Registry,
    RegistryDeniedError,
    RegistryReadOnlyError,
    check_tag,
)
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


INDEX = b'{"manifests": [{"platform": {"os": "linux", "architecture": "arm64"}}]}'
KIND = "application/vnd.oci.image.index.v1+json"


class Shelf:
    """A registry that keeps what is put, and speaks tokens where ``scope`` names the one for pushes."""

    def __init__(self, scope: str = "", refusal: int = 0, swap: bytes | None = None) -> None:
        self.tags = {"rt67": INDEX}
        self.scope, self.refusal, self.swap = scope, refusal, swap
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.host == "auth.test":
            return httpx.Response(200, json={"token": request.url.params["scope"]})
        tag = request.url.path.rpartition("/")[2]
        if request.method == "GET":
            found = self.tags.get(tag)
            return httpx.Response(200, content=found, headers={"Content-Type": KIND}) if found else GONE
        if self.refusal:
            return httpx.Response(self.refusal)
        if self.scope and request.headers.get("Authorization") != f"Bearer {self.scope}":
            challenge = f'Bearer realm="https://auth.test/token",scope="{self.scope}"'
            return httpx.Response(401, headers={"WWW-Authenticate": challenge})
        assert request.headers["Content-Type"] == KIND
        self.tags[tag] = self.swap or request.content
        return httpx.Response(201)


GONE = httpx.Response(404)


@pytest.mark.parametrize("scope", ["", "repository:dianrong/demo:pull,push"])
def test_a_tag_is_put_on_the_same_bytes(scope: str) -> None:
    shelf = Shelf(scope)
    with client(shelf) as registry:
        found = registry.manifest("demo", "dianrong/demo", "rt67")
        assert (found.media_type, found.is_index) == (KIND, True)
        assert registry.platforms("dianrong/demo", found) == (Platform("linux", "arm64"),)
        assert registry.known_digest("dianrong/demo", "prod") is None
        registry.point("dianrong/demo", "prod", found)
        assert registry.known_digest("dianrong/demo", "prod") == found.digest
    assert shelf.tags["prod"] == INDEX


@pytest.mark.parametrize(
    ("shelf", "kind", "words"),
    [
        (Shelf(refusal=403), RegistryDeniedError, "refused drcloud: .*, and that this account may push"),
        (Shelf(refusal=405), RegistryReadOnlyError, "takes no writes, so dianrong/demo:prod was not moved"),
        (Shelf(refusal=500), DrcloudError, "HTTP 500 when asked to take dianrong/demo:prod"),
        (Shelf(swap=b"{}"), DrcloudError, "but serves sha256:44136.*: somebody else moved it"),
    ],
)
def test_a_tag_that_cannot_be_moved(shelf: Shelf, kind: type[DrcloudError], words: str) -> None:
    with client(shelf) as registry, pytest.raises(kind, match=words):
        registry.point("dianrong/demo", "prod", Manifest(INDEX, KIND))


def test_a_manifest_that_no_engine_of_today_makes_is_not_promoted() -> None:
    first = Manifest(MANIFEST, "application/vnd.docker.distribution.manifest.v1+prettyjws")
    with client(Shelf()) as registry, pytest.raises(InvalidInputError, match="no image of today"):
        registry.point("dianrong/demo", "prod", first)


def test_a_digest_names_its_bytes_or_nothing() -> None:
    with client(Shelf()) as registry:
        with pytest.raises(NotFoundError, match=rf"app demo has no image {DIGEST} in registry main"):
            registry.manifest("demo", "dianrong/demo", DIGEST)
        with pytest.raises(InvalidInputError, match="is not a tag"):
            registry.manifest("demo", "dianrong/demo", "sha256:short")


@pytest.mark.parametrize(
    ("manifest", "config", "found"),
    [
        (f'{{"config": {{"digest": "{DIGEST}"}}}}', b'{"os":"linux","architecture":"amd64"}', "linux/amd64"),
        (f'{{"config": {{"digest": "{DIGEST}"}}}}', b"no json", None),
        (f'{{"config": {{"digest": "{DIGEST}"}}}}', None, None),
        ('{"config": "odd"}', None, None),
        ("[]", None, None),
    ],
)
def test_an_image_is_for_what_its_configuration_says(
    manifest: str, config: bytes | None, found: str | None
) -> None:
    answer = GONE if config is None else httpx.Response(200, content=config)
    with client(lambda request: answer) as registry:
        image = Manifest(manifest.encode(), "application/vnd.oci.image.manifest.v1+json")
        told = registry.platforms("dianrong/demo", image)
    assert [str(one) for one in told] == ([found] if found else [])


IMAGE_KIND = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    ("layers", "rootfs", "found"),
    [
        (
            [{"size": 10}, {"size": 20}],
            {"diff_ids": ["sha256:a", "sha256:b"]},
            {"sha256:a": 10, "sha256:b": 20},
        ),
        ([{"size": 10}, {"size": "20"}], {"diff_ids": ["sha256:a", "sha256:b"]}, {"sha256:a": 10}),
        ([{"size": 10}, "odd"], {"diff_ids": ["sha256:a", "sha256:b"]}, {"sha256:a": 10}),
        ([{"size": 10}], {"diff_ids": ["sha256:a", "sha256:b"]}, {}),
        ([{"size": 10}], {"diff_ids": "odd"}, {}),
        ([{"size": 10}], None, {}),
        (None, {"diff_ids": []}, {}),
    ],
)
def test_the_layers_of_an_image_are_named_by_what_is_in_them(layers: Any, rootfs: Any, found: Any) -> None:
    document = {"config": {"digest": DIGEST}, **({"layers": layers} if layers else {})}
    config = httpx.Response(200, json={"rootfs": rootfs} if rootfs else {})
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return config

    with client(serve) as registry:
        image = Manifest(json.dumps(document).encode(), IMAGE_KIND)
        assert registry.layers("dianrong/demo", image) == found
        registry.platforms("dianrong/demo", image)
    assert asked == [f"/v2/dianrong/demo/blobs/{DIGEST}"]


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
