"""Registries: they must answer over TLS that we trust, and take our credentials."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

import httpx

from drcloud.cmdb.snapshot import RegistryRow
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, fine, problem, skipped
from drcloud.errors import DrcloudError
from drcloud.exitcodes import ExitCode
from drcloud.secrets import resolve

CHECK = "registry"
FIELD = re.compile(r'(\w+)="([^"]*)"')


def registries(context: Context) -> Iterator[Finding]:
    """Ask every registry of the CMDB for the root of its API."""
    if context.snapshot is None:
        yield skipped(CHECK, "registries", "the CMDB cannot be read")
    elif not context.snapshot.registries:
        yield skipped(CHECK, "registries", "the CMDB names none")
    else:
        for row in context.snapshot.registries:
            context.watch(f"registry {row.name}")
            yield _registry(row, context.seconds)


def _registry(row: RegistryRow, seconds: float) -> Finding:
    subject = f"{row.name} ({row.endpoint})"
    try:
        trust = ssl.create_default_context(cadata=resolve(row.ca) if row.ca else None)
        auth = (row.username, resolve(row.password)) if row.username and row.password else None
    except ssl.SSLError as error:
        advice = f"let {row.ca} hold the certificate of the authority, in PEM form"
        return problem(CHECK, subject, f"its CA is no certificate: {error.reason}", advice)
    except DrcloudError as error:
        return problem(CHECK, subject, str(error), "put the secret where the reference says", error.exit_code)
    try:
        with httpx.Client(verify=trust, timeout=seconds, trust_env=False) as client:
            return _answer(subject, row, _asked(client, f"https://{row.endpoint}/v2/", auth))
    except httpx.TransportError as error:
        return _silence(subject, row, error)


def _asked(client: httpx.Client, url: str, auth: tuple[str, str] | None) -> httpx.Response:
    """Ask, with a token where the registry wants one.

    See https://distribution.github.io/distribution/spec/auth/token/
    """
    answer = client.get(url, auth=auth)
    challenge = answer.headers.get("WWW-Authenticate", "")
    if answer.status_code != httpx.codes.UNAUTHORIZED or not challenge.lower().startswith("bearer"):
        return answer
    fields = dict(FIELD.findall(challenge))
    query = {"service": fields["service"]} if "service" in fields else {}
    granted = client.get(fields.get("realm", url), params=query, auth=auth)
    if granted.status_code != httpx.codes.OK:
        return granted
    token = granted.json().get("token") or granted.json().get("access_token")
    return client.get(url, headers={"Authorization": f"Bearer {token}"})


def _answer(subject: str, row: RegistryRow, answer: httpx.Response) -> Finding:
    if answer.status_code == httpx.codes.OK:
        return fine(CHECK, subject, f"answers, and takes {row.username or 'everybody'}")
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        advice = "correct username and password reference of this registry in the CMDB, or the secret itself"
        return problem(
            CHECK, subject, f"refuses {row.username or 'who names no user'}", advice, ExitCode.DENIED
        )
    advice = "is this a registry (Docker Registry HTTP API V2)? look at its log"
    return problem(CHECK, subject, f"answers HTTP {answer.status_code}", advice)


def _silence(subject: str, row: RegistryRow, error: httpx.TransportError) -> Finding:
    said = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        advice = (
            f"let the CA of this registry in the CMDB ({row.ca or 'none is named'}) be the one that signed it"
        )
        return problem(
            CHECK, subject, f"its certificate is not trusted: {said}", advice, ExitCode.UNREACHABLE
        )
    advice = "is it up, and can this machine reach it?"
    return problem(CHECK, subject, f"does not answer: {said}", advice, ExitCode.UNREACHABLE)
