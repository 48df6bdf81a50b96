"""From a source tree to a release: build, push, ask the registry what it got, record it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException
from docker.errors import BuildError as DockerBuildError

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.store import Store
from drcloud.delivery import releases, repository
from drcloud.delivery import source as sources
from drcloud.delivery.registry import Credentials, Registry, RegistryDeniedError, check_tag, credentials
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError, UnreachableError

LABEL = "com.dianrong.cloud."
ENGINE_TIMEOUT = 600
TOLD_LINES = 15
Progress = Callable[[str], None]


class BuildError(DrcloudError):
    """The image could not be built or pushed."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build. ``source`` is the tree that the app's ``build`` section is relative to.

    With ``from_git`` it is what that commit has of the tree; ``git_ref`` only says what a tree is that
    git knows nothing of.
    """

    app: str
    tag: str
    source: Path
    git_ref: str | None = None
    build_id: str | None = None
    args: Mapping[str, str] | None = None
    from_git: str | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A release that is in the registry."""

    app: str
    tag: str
    digest: str
    image: str
    git_ref: str | None
    news: bool


def build(store: Store, request: BuildRequest, progress: Progress = lambda line: None) -> Built:
    """Build, push and record a release. Nothing is recorded unless the registry serves the digest."""
    app, registry = repository.find(store, request.app)
    check_tag(request.tag)
    if request.from_git and request.git_ref:
        raise InvalidInputError("--from-git knows its commit: leave --git-ref out")
    # A tag that policy guards would have moved in the registry before the CMDB could say no.
    releases.allow(store, app.name, request.tag, request.ticket)
    spec = AppSpec.model_validate(app.spec)
    place = f"{registry.endpoint}/{spec.image}"
    with sources.tree(request.source, request.from_git) as tree, Registry.of(registry) as client:
        context, dockerfile = _files(request.app, tree.path, spec)
        git_ref = request.git_ref or tree.commit
        client.tags(spec.image)  # a registry that is down or refuses us is told before the build
        engine = _engine()
        _build(engine, request, context, dockerfile, f"{place}:{request.tag}", git_ref, progress)
        pushed = _push(engine, place, request.tag, credentials(registry), progress)
        digest = client.digest(app.name, spec.image, request.tag)
    if digest != pushed:
        raise BuildError(
            f"pushed {pushed}, but {place}:{request.tag} is {digest}: "
            "somebody else pushed the same tag at this moment; build again"
        )
    news = releases.record(
        store,
        app.name,
        request.tag,
        digest,
        git_ref=git_ref,
        build=request.build_id,
        ticket=request.ticket,
    )
    return Built(app.name, request.tag, digest, f"{place}@{digest}", git_ref, news)


def _files(app: str, tree: Path, spec: AppSpec) -> tuple[Path, str]:
    context = (tree / spec.build.context).resolve()
    if not context.is_dir():
        raise NotFoundError(
            f"app {app} is built from {spec.build.context} of the source tree, but {context} is no "
            "directory: name the tree with --source"
        )
    if not (context / spec.build.dockerfile).is_file():
        raise NotFoundError(f"app {app} has no {spec.build.dockerfile} in {context}")
    return context, spec.build.dockerfile


def _engine() -> docker.DockerClient:
    try:
        engine = docker.from_env(timeout=ENGINE_TIMEOUT)
        engine.ping()
    except (DockerException, requests.RequestException) as error:
        raise UnreachableError(
            f"no Docker Engine to build with: start one, or name one in DOCKER_HOST ({_first_line(error)})"
        ) from error
    return engine


def labels(request: BuildRequest, git_ref: str | None) -> dict[str, str]:
    """Return the labels of the image: where it comes from. Pure."""
    found = {
        "app": request.app,
        "tag": request.tag,
        "git-ref": request.from_git or git_ref,
        "build": request.build_id,
        "ticket": request.ticket,
    }
    ours = {LABEL + name: value for name, value in found.items() if value}
    if git_ref:
        ours["org.opencontainers.image.revision"] = git_ref
    return {**ours, "org.opencontainers.image.version": request.tag}


def build_args(request: BuildRequest, git_ref: str | None) -> dict[str, str]:
    """Return the build arguments every Dockerfile may use, and those that were asked for. Pure."""
    return {"VERSION": request.tag, "GIT_REF": git_ref or "", **(request.args or {})}


def _build(
    engine: docker.DockerClient,
    request: BuildRequest,
    context: Path,
    dockerfile: str,
    name: str,
    git_ref: str | None,
    progress: Progress,
) -> None:
    try:
        stream = engine.api.build(
            path=str(context),
            dockerfile=dockerfile,
            tag=name,
            labels=labels(request, git_ref),
            buildargs=build_args(request, git_ref),
            rm=True,
            forcerm=True,
            decode=True,
        )
        follow_build(stream, request, progress)
    except (APIError, DockerBuildError, TypeError, requests.RequestException) as error:
        raise BuildError(f"cannot build {request.app}:{request.tag}: {_first_line(error)}") from error


# What the classic builder says of its own layers, and of arguments that not every Dockerfile uses.
HOUSEKEEPING = ("--->", "Removing intermediate container", "[Warning] One or more build-args")


def follow_build(stream: Iterable[Mapping[str, Any]], request: BuildRequest, progress: Progress) -> None:
    """Show what the engine says while it builds; BuildError with its last lines where it fails."""
    told: list[str] = []
    for message in stream:
        if "error" in message:
            context = "\n  ".join(told[-TOLD_LINES:])
            raise BuildError(
                f"cannot build {request.app}:{request.tag}: {message['error'].strip()}"
                + (f"; before that:\n  {context}" if context else "")
            )
        for line in str(message.get("stream", "")).splitlines():
            if line.strip():
                told.append(line.rstrip())
            if line.strip() and not line.strip().startswith(HOUSEKEEPING):
                progress(line.rstrip())


def _push(
    engine: docker.DockerClient, repository: str, tag: str, auth: Credentials | None, progress: Progress
) -> str:
    config = {"username": auth.username, "password": auth.password} if auth else None
    try:
        stream = engine.api.push(repository, tag=tag, stream=True, decode=True, auth_config=config)
        return follow_push(stream, f"{repository}:{tag}", progress)
    except (APIError, requests.RequestException) as error:
        raise BuildError(f"cannot push {repository}:{tag}: {_first_line(error)}") from error


def follow_push(stream: Iterable[Mapping[str, Any]], name: str, progress: Progress) -> str:
    """Follow a push and return the digest; the engine reports errors inside its answer only."""
    digest = ""
    for message in stream:
        if "error" in message:
            raise _push_error(name, str(message["error"]))
        status = message.get("status")
        if status == "Pushed":
            progress(f"pushed layer {message.get('id', '')}")
        digest = (message.get("aux") or {}).get("Digest", digest)
    if not digest:
        raise BuildError(f"cannot push {name}: the engine did not say which digest it pushed")
    return digest


def _push_error(name: str, words: str) -> DrcloudError:
    lowered = words.lower()
    if "unauthorized" in lowered or "denied" in lowered or "no basic auth" in lowered:
        return RegistryDeniedError(f"cannot push {name}: {words}")
    if "x509" in lowered or "certificate" in lowered:
        endpoint = name.partition("/")[0]
        return InvalidInputError(
            f"cannot push {name}: the engine that builds does not trust the registry; put its CA at "
            f"/etc/docker/certs.d/{endpoint}/ca.crt of that machine ({words})"
        )
    if "connection refused" in lowered or "no route" in lowered or "timeout" in lowered:
        return UnreachableError(f"cannot push {name}: {words}")
    return BuildError(f"cannot push {name}: {words}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
