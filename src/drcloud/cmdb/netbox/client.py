"""NetBox over HTTP: GET with retries; an answer is a JSON object or an error that names the endpoint.

Only this file knows httpx. The token travels in a header, to the origin of ``--url`` and nowhere else:
redirects are not followed, and no message ever holds it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from drcloud.cmdb.base import now
from drcloud.cmdb.netbox.trouble import NetboxDeniedError, NetboxIncompleteError
from drcloud.errors import DrcloudError, InvalidInputError, UnreachableError

TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds; a page of a thousand devices takes some
ATTEMPTS = 5
FIRST_PAUSE = 0.5  # seconds, doubled with every attempt
LONGEST_PAUSE = 60.0  # seconds, whatever Retry-After says
BUSY = frozenset({429, 500, 502, 503, 504})
V2_TOKEN = "nbt_"  # noqa: S105 (how tokens of version 2 begin: NetBox 4.5, users/constants.py)

Params = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Access:
    """How a NetBox is reached. Never shown: the token is no part of the representation."""

    url: str
    token: str = field(repr=False)
    ca: Path | None = None

    @classmethod
    def make(cls, url: str, token: str, ca: Path | None = None) -> Access:
        """Check and tidy what a user gave; ``InvalidInputError`` says what is wrong with it."""
        words = token.split()
        if len(words) != 1 or not token.isascii():
            raise InvalidInputError(
                "the NetBox token is empty or holds blanks: it is one word of ASCII letters"
            )
        return cls(_tidy(url), words[0], ca)


def _tidy(url: str) -> str:
    """Return the URL under which ``/api`` lies, without a slash at its end."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise InvalidInputError(f"{url!r} is no URL of a NetBox: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInputError(f"{url!r} is no URL of a NetBox: write https://netbox.example.com")
    if "@" in parts.netloc:
        raise InvalidInputError(
            "the URL of the NetBox must not hold a user or a password: the token is enough"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/').removesuffix('/api')}"


class Client:
    """A NetBox, to be read. ``pause`` sleeps for seconds between attempts."""

    def __init__(self, access: Access, pause: Callable[[float], None] = time.sleep) -> None:
        scheme = "Bearer" if access.token.startswith(V2_TOKEN) else "Token"
        headers = {"Authorization": f"{scheme} {access.token}", "Accept": "application/json"}
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT, verify=_trust(access))
        self._access = access
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    @property
    def url(self) -> str:
        """The NetBox' URL, as it is named in messages and in what is recorded."""
        return self._access.url

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """Return the JSON object of an endpoint below ``/api/``, as ``dcim/sites``."""
        return self._object(path, httpx.URL(f"{self.url}/api/{path}/", params=params))

    def follow(self, path: str, link: str) -> dict[str, Any]:
        """Return the next page of an endpoint; a link that leads elsewhere is an error."""
        target = httpx.URL(link)
        home = httpx.URL(f"{self.url}/api/{path}/")
        if (target.scheme, target.host, target.port) != (home.scheme, home.host, home.port):
            raise NetboxIncompleteError(
                f"{self._named(path)} says its next page is at {target.scheme}://{target.netloc.decode()}, "
                "which is another server: give its true address with --url, or correct its proxy's headers"
            )
        if target.path != home.path:
            raise NetboxIncompleteError(f"{self._named(path)} says that its next page is at {target.path}")
        return self._object(path, target)

    def _named(self, path: str) -> str:
        return f"NetBox {self.url}: {path}"

    def _object(self, path: str, url: httpx.URL) -> dict[str, Any]:
        response = self._patiently(path, url)
        self._require_success(path, response)
        try:
            value = response.json()
        except ValueError as error:
            raise NetboxIncompleteError(f"{self._named(path)} answers what is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise NetboxIncompleteError(
                f"{self._named(path)} answers no JSON object but a {type(value).__name__}"
            )
        return value

    def _patiently(self, path: str, url: httpx.URL) -> httpx.Response:
        """Ask until there is an answer that means something; give up with what was wrong the last time."""
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            wait = FIRST_PAUSE * 2**attempt
            try:
                response = self._http.get(url)
            except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
                if last or _is_certificate(error):
                    raise self._unreachable(path, _reason(error)) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unreachable(path, _reason(error)) from error
            else:
                if response.status_code not in BUSY:
                    return response
                if last:
                    raise self._unreachable(
                        path, f"it answers {response.status_code} {response.reason_phrase}"
                    )
                wait = _retry_after(response) or wait
            self._pause(min(wait, LONGEST_PAUSE))
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, path: str, reason: str) -> DrcloudError:
        return UnreachableError(f"{self._named(path)} cannot be read: {reason}; nothing was written")

    def _require_success(self, path: str, response: httpx.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise NetboxDeniedError(
                f"{self._named(path)} is refused ({status}{self._detail(response)}): the token needs the "
                "permission to view these objects; nothing was written"
            )
        if response.is_redirect:
            target = self._clean(response.headers.get("Location", "nowhere"))
            raise InvalidInputError(
                f"{self._named(path)} redirects to {target}: give the true address with --url"
            )
        if status != httpx.codes.OK:
            raise NetboxIncompleteError(
                f"{self._named(path)} answers {status} {response.reason_phrase}{self._detail(response)}; "
                "nothing was written"
            )

    def _detail(self, response: httpx.Response) -> str:
        """Return what NetBox says about a refusal, in one short line."""
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            return ""
        return f", {self._clean(detail)}" if isinstance(detail, str) else ""

    def _clean(self, text: str) -> str:
        return " ".join(text.replace(self._access.token, "…").split())[:200]


def _trust(access: Access) -> ssl.SSLContext:
    """Return what is trusted: the CA file where one is given, else the machine's authorities."""
    if not access.url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody, for there is nobody to trust
    try:
        return ssl.create_default_context(cafile=None if access.ca is None else str(access.ca))
    except OSError as error:
        raise InvalidInputError(f"the CA file {access.ca} cannot be used: {error}") from error


def _is_certificate(error: httpx.HTTPError) -> bool:
    """Tell whether a connection failed because of the certificate, which no second attempt makes better."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    return str(error).strip() or type(error).__name__


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that the server asks for (RFC 9110, 10.2.3: seconds or a date)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - now()).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
