"""The image registry over HTTP: a tag is a question, the digest is the answer.

Speaks the OCI distribution API (https://github.com/opencontainers/distribution-spec) with basic or token
authentication and the registry's own CA. The digest of a tag is the digest of what the registry serves
for it: of the index where the tag names a multi-platform index, else of the manifest. It is computed from
the bytes received, so a registry cannot name one thing and send another.
"""

from __future__ import annotations

import difflib
import re
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from drcloud.cmdb.snapshot import RegistryRow
from drcloud.delivery import platforms
from drcloud.delivery.manifest import ACCEPTED, DIGEST, KINDS, Manifest, digest_of, parsed
from drcloud.delivery.platforms import Platform
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError, UnreachableError
from drcloud.exitcodes import ExitCode
from drcloud.secrets import resolve

# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
TIMEOUT = httpx.Timeout(15.0, connect=5.0)
QUICK = httpx.Timeout(3.0)
NAMED_TAGS = 3


class RegistryDeniedError(DrcloudError):
    """The registry refused the credentials, or these credentials may not do it."""

    exit_code = ExitCode.DENIED


class RegistryReadOnlyError(DrcloudError):
    """The registry takes no writes: it is a mirror, or its garbage is being collected."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are at a registry. Never shown: the password is no part of the representation."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ...)"


def credentials(row: RegistryRow) -> Credentials | None:
    """Resolve the credentials of a registry of the CMDB, or None where it needs none."""
    if not row.username or not row.password:
        return None
    return Credentials(row.username, resolve(row.password))


def check_tag(tag: str) -> None:
    """Raise InvalidInputError if this cannot be a tag."""
    if not TAG.fullmatch(tag):
        raise InvalidInputError(
            f"{tag!r} is not a tag: letters, digits, '_', '.' and '-', at most 128, not '.' or '-' first"
        )


def check_reference(reference: str) -> None:
    """Raise InvalidInputError if this is neither a tag nor a digest."""
    if not DIGEST.fullmatch(reference):
        check_tag(reference)


class Registry:
    """A client of one registry. Use it as a context manager."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        *,
        ca: str | None = None,
        auth: Credentials | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self._auth = auth
        self._token: str | None = None
        self._configurations: dict[str, dict[str, Any]] = {}
        self._client = httpx.Client(
            base_url=f"https://{endpoint}",
            verify=_trust(name, ca),
            timeout=timeout,
            transport=transport,
            trust_env=False,
        )

    @classmethod
    def of(cls, row: RegistryRow, *, quick: bool = False) -> Self:
        """Return a client for a registry of the CMDB; resolves its password and CA.

        A ``quick`` one soon gives up: for work that goes on without the answer.
        """
        ca = resolve(row.ca) if row.ca else None
        timeout = QUICK if quick else TIMEOUT
        return cls(row.name, row.endpoint, ca=ca, auth=credentials(row), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def digest(self, app: str, repository: str, tag: str) -> str:
        """Return the digest that the tag points at now; errors as of ``manifest``."""
        return self.manifest(app, repository, tag).digest

    def manifest(self, app: str, repository: str, reference: str) -> Manifest:
        """Return what a tag or a digest names now, an index as an index.

        Raises NotFoundError (with the closest tags) for an unknown one, UnreachableError for a registry
        that does not answer and RegistryDeniedError for refused credentials.
        """
        check_reference(reference)
        found = self._find(repository, reference)
        if found is None:
            raise NotFoundError(self._unknown(app, reference, self.tags(repository)))
        return found

    def known_digest(self, repository: str, tag: str) -> str | None:
        """Return the digest that a tag points at now, None where there is no such tag."""
        check_tag(tag)
        found = self._find(repository, tag)
        return found.digest if found else None

    def point(self, repository: str, tag: str, manifest: Manifest) -> None:
        """Let a tag name a manifest that the repository has already, and read it back.

        Nothing is built or pulled: the same bytes are put under another name.
        """
        check_tag(tag)
        if manifest.media_type not in KINDS:
            raise InvalidInputError(
                f"{repository}@{manifest.digest} in registry {self._said()} is of the kind "
                f"{manifest.media_type or 'nothing'!r}, which is no image of today: push it again"
            )
        answer = self._ask("PUT", f"/v2/{repository}/manifests/{tag}", repository, manifest=manifest)
        name = f"{repository}:{tag}"
        if answer.status_code == httpx.codes.METHOD_NOT_ALLOWED:
            raise RegistryReadOnlyError(
                f"registry {self._said()} takes no writes, so {name} was not moved: it is a mirror, "
                "or read-only while its garbage is collected; wait, or push to the registry that is mirrored"
            )
        if answer.status_code != httpx.codes.CREATED:
            raise self._unexpected(answer, f"to take {name}")
        served = self.known_digest(repository, tag)
        if served != manifest.digest:
            raise DrcloudError(
                f"registry {self._said()} took {name} as {manifest.digest}, but serves "
                f"{served or 'nothing'}: somebody else moved it at this moment; see who, then do it again"
            )

    def platforms(self, repository: str, manifest: Manifest) -> tuple[Platform, ...]:
        """Return what an image or an index is built for; nothing where that cannot be told."""
        if manifest.is_index:
            return platforms.of_index(manifest.document())
        return platforms.of_config(self._configuration(repository, manifest))

    def layers(self, repository: str, manifest: Manifest) -> dict[str, int]:
        """Return the layers of an image: the digest of each one's content, and the bytes that are sent.

        Of an index, those of its largest image. Nothing where that cannot be told.
        """
        images = [manifest]
        if manifest.is_index:
            images = [one for digest in manifest.members if (one := self._find(repository, digest))]
        found = [one.layers(self._configuration(repository, one)) for one in images]
        return max(found, key=lambda layers: sum(layers.values()), default={})

    def _configuration(self, repository: str, manifest: Manifest) -> dict[str, Any]:
        """Return the configuration of an image; nothing where it has none."""
        config = manifest.document().get("config")
        digest = str(config.get("digest")) if isinstance(config, dict) else ""
        if not DIGEST.fullmatch(digest):
            return {}
        if digest not in self._configurations:
            answer = self._ask("GET", f"/v2/{repository}/blobs/{digest}", repository)
            found = parsed(answer.content) if answer.status_code == httpx.codes.OK else {}
            self._configurations[digest] = found
        return self._configurations[digest]

    def _find(self, repository: str, reference: str) -> Manifest | None:
        name = f"{repository}{'@' if DIGEST.fullmatch(reference) else ':'}{reference}"
        answer = self._ask("GET", f"/v2/{repository}/manifests/{reference}", repository, accept=ACCEPTED)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        self._expect_ok(answer, f"the manifest of {name}")
        digest = digest_of(answer.content)
        asked = [reference] if DIGEST.fullmatch(reference) else []
        for claimed in [*asked, answer.headers.get("Docker-Content-Digest", digest)]:
            if claimed != digest:
                raise DrcloudError(
                    f"registry {self._said()} says that {name} is {claimed} but sent {digest}: "
                    "do not trust it before this is explained"
                )
        said = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        # A document's own word counts where the registry says nothing or calls it plain JSON.
        kind = said if said in KINDS else parsed(answer.content).get("mediaType", said)
        return Manifest(answer.content, str(kind))

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, sorted; none if the repository does not exist."""
        answer = self._ask("GET", f"/v2/{repository}/tags/list", repository)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        self._expect_ok(answer, f"the tags of {repository}")
        return sorted(answer.json().get("tags") or [])

    def _unknown(self, app: str, tag: str, known: list[str]) -> str:
        if DIGEST.fullmatch(tag):
            return (
                f"app {app} has no image {tag} in registry {self._said()}: `drcloud release list` tells which"
            )
        message = f"app {app} has no tag {tag} in registry {self._said()}"
        if not known:
            return f"{message}: nothing of it was pushed yet; `drcloud build {app} --tag {tag}` does"
        close = difflib.get_close_matches(tag, known, NAMED_TAGS, cutoff=0.4) or known[-NAMED_TAGS:]
        return f"{message}; it has {', '.join(close)}" + (" and others" if len(known) > len(close) else "")

    def _said(self) -> str:
        return f"{self.name} ({self.endpoint})"

    def _ask(
        self,
        method: str,
        path: str,
        repository: str,
        *,
        accept: str = "application/json",
        manifest: Manifest | None = None,
    ) -> httpx.Response:
        """Ask, once more with a token where the registry wants one that we do not have yet."""
        answer = self._send(method, path, accept, manifest)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code == httpx.codes.UNAUTHORIZED and challenge.lower().startswith("bearer"):
            self._token = self._fetch_token(challenge, repository)
            answer = self._send(method, path, accept, manifest)
        if answer.status_code in REFUSED:
            who = self._auth.username if self._auth else "nobody (the CMDB names no user)"
            more = ", and that this account may push" if manifest else ""
            raise RegistryDeniedError(
                f"registry {self._said()} refused {who}: "
                f"check user and password reference of this registry{more}"
            )
        return answer

    def _send(self, method: str, path: str, accept: str, manifest: Manifest | None) -> httpx.Response:
        headers = {"Accept": accept}
        auth = None
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._auth:
            auth = httpx.BasicAuth(self._auth.username, self._auth.password)
        if manifest:
            headers["Content-Type"] = manifest.media_type
        return self._request(
            path, headers, auth, method=method, content=manifest.content if manifest else None
        )

    def _fetch_token(self, challenge: str, repository: str) -> str:
        # https://distribution.github.io/distribution/spec/auth/token/
        fields = dict(CHALLENGE.findall(challenge))
        query = {"scope": fields.get("scope", f"repository:{repository}:pull")}
        if "service" in fields:
            query["service"] = fields["service"]
        auth = httpx.BasicAuth(self._auth.username, self._auth.password) if self._auth else None
        answer = self._request(fields.get("realm", ""), {}, auth, query=query)
        if answer.status_code != httpx.codes.OK:
            return ""
        document = answer.json()
        return str(document.get("token") or document.get("access_token") or "")

    def _request(
        self,
        url: str,
        headers: dict[str, str],
        auth: httpx.BasicAuth | None,
        *,
        method: str = "GET",
        query: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        try:
            return self._client.request(
                method, url, headers=headers, auth=auth, params=query, content=content
            )
        except httpx.TransportError as error:
            raise UnreachableError(
                f"registry {self._said()} does not answer: {error or type(error).__name__}; "
                "is it up, and is its CA the one that the CMDB names?"
            ) from error

    def _expect_ok(self, answer: httpx.Response, subject: str) -> None:
        if answer.status_code != httpx.codes.OK:
            raise self._unexpected(answer, f"for {subject}")

    def _unexpected(self, answer: httpx.Response, what: str) -> DrcloudError:
        return DrcloudError(
            f"registry {self._said()} answered HTTP {answer.status_code} when asked {what}: "
            f"{answer.text[:200]}"
        )


def _trust(name: str, ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except ssl.SSLError as error:
        raise InvalidInputError(
            f"registry {name}: its CA is not a certificate in PEM form ({error.reason})"
        ) from error
