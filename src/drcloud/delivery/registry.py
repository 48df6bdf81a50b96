"""The image registry over HTTP: a tag is a question, the digest is the answer.

Speaks the OCI distribution API (https://github.com/opencontainers/distribution-spec) with basic or token
authentication and the registry's own CA. The digest of a tag is the digest of what the registry serves
for it: of the index where the tag names a multi-platform index, else of the manifest. It is computed from
the bytes received, so a registry cannot name one thing and send another.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from drcloud.cmdb.snapshot import RegistryRow
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError, UnreachableError
from drcloud.exitcodes import ExitCode
from drcloud.secrets import resolve

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
TIMEOUT = httpx.Timeout(15.0, connect=5.0)
NAMED_TAGS = 3


class RegistryDeniedError(DrcloudError):
    """The registry refused the credentials, or these credentials may not do it."""

    exit_code = ExitCode.DENIED


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


class Registry:
    """A client of one registry. Use it as a context manager."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        *,
        ca: str | None = None,
        auth: Credentials | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self._auth = auth
        self._token: str | None = None
        self._client = httpx.Client(
            base_url=f"https://{endpoint}",
            verify=_trust(name, ca),
            timeout=TIMEOUT,
            transport=transport,
            trust_env=False,
        )

    @classmethod
    def of(cls, row: RegistryRow) -> Self:
        """Return a client for a registry of the CMDB; resolves its password and CA."""
        return cls(row.name, row.endpoint, ca=resolve(row.ca) if row.ca else None, auth=credentials(row))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def digest(self, app: str, repository: str, tag: str) -> str:
        """Return the digest that the tag points at now.

        Raises NotFoundError (with the closest tags) for an unknown tag, UnreachableError for a registry
        that does not answer and RegistryDeniedError for refused credentials.
        """
        check_tag(tag)
        answer = self._get(f"/v2/{repository}/manifests/{tag}", repository, accept=MANIFESTS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundError(self._unknown(app, tag, self.tags(repository)))
        self._expect_ok(answer, f"the manifest of {repository}:{tag}")
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        claimed = answer.headers.get("Docker-Content-Digest", digest)
        if claimed != digest:
            raise DrcloudError(
                f"registry {self._said()} says that {repository}:{tag} is {claimed} but sent {digest}: "
                "do not trust it before this is explained"
            )
        return digest

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, sorted; none if the repository does not exist."""
        answer = self._get(f"/v2/{repository}/tags/list", repository)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        self._expect_ok(answer, f"the tags of {repository}")
        return sorted(answer.json().get("tags") or [])

    def _unknown(self, app: str, tag: str, known: list[str]) -> str:
        message = f"app {app} has no tag {tag} in registry {self._said()}"
        if not known:
            return f"{message}: nothing of it was pushed yet; `drcloud build {app} --tag {tag}` does"
        close = difflib.get_close_matches(tag, known, NAMED_TAGS, cutoff=0.4) or known[-NAMED_TAGS:]
        return f"{message}; it has {', '.join(close)}" + (" and others" if len(known) > len(close) else "")

    def _said(self) -> str:
        return f"{self.name} ({self.endpoint})"

    def _get(self, path: str, repository: str, accept: str = "application/json") -> httpx.Response:
        answer = self._send(path, accept)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code == httpx.codes.UNAUTHORIZED and challenge.lower().startswith("bearer"):
            self._token = self._fetch_token(challenge, repository)
            answer = self._send(path, accept)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            who = self._auth.username if self._auth else "nobody (the CMDB names no user)"
            raise RegistryDeniedError(
                f"registry {self._said()} refused {who}: check user and password reference of this registry"
            )
        return answer

    def _send(self, path: str, accept: str) -> httpx.Response:
        headers = {"Accept": accept}
        auth = None
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._auth:
            auth = httpx.BasicAuth(self._auth.username, self._auth.password)
        return self._request(path, headers, auth)

    def _fetch_token(self, challenge: str, repository: str) -> str:
        # https://distribution.github.io/distribution/spec/auth/token/
        fields = dict(CHALLENGE.findall(challenge))
        query = {"scope": fields.get("scope", f"repository:{repository}:pull")}
        if "service" in fields:
            query["service"] = fields["service"]
        auth = httpx.BasicAuth(self._auth.username, self._auth.password) if self._auth else None
        answer = self._request(fields.get("realm", ""), {}, auth, query)
        if answer.status_code != httpx.codes.OK:
            return ""
        document = answer.json()
        return str(document.get("token") or document.get("access_token") or "")

    def _request(
        self,
        url: str,
        headers: dict[str, str],
        auth: httpx.BasicAuth | None,
        query: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._client.get(url, headers=headers, auth=auth, params=query)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"registry {self._said()} does not answer: {error or type(error).__name__}; "
                "is it up, and is its CA the one that the CMDB names?"
            ) from error

    def _expect_ok(self, answer: httpx.Response, subject: str) -> None:
        if answer.status_code != httpx.codes.OK:
            raise DrcloudError(
                f"registry {self._said()} answered HTTP {answer.status_code} when asked for {subject}: "
                f"{answer.text[:200]}"
            )


def _trust(name: str, ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except ssl.SSLError as error:
        raise InvalidInputError(
            f"registry {name}: its CA is not a certificate in PEM form ({error.reason})"
        ) from error
