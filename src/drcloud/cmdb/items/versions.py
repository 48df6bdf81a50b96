"""New versions of what is never changed: specifications and configurations of apps."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import AppConfigEntry, AppEntry, Document
from drcloud.cmdb.items.item import Item, here
from drcloud.cmdb.state import State


def versions(document: Document, state: State) -> Iterator[Item]:
    """Yield a version of each specification and configuration that differs from the present one."""
    for number, app in enumerate(document.apps):
        yield from _spec(app, state, number)
    latest: dict[str, int] = {}
    for fields in state["app_config"].values():
        pair = f"{fields['app']}/{fields['environment']}"
        latest[pair] = max(latest.get(pair, 0), fields["number"])
    for number, config in enumerate(document.app_configs):
        yield from _config(config, state, latest.get(f"{config.app}/{config.env}", 0), number)


def _spec(app: AppEntry, state: State, number: int) -> Iterator[Item]:
    known = state["app"].get(app.name)
    present = known["spec_version"] if known else 0
    wanted = app.spec_version or present
    stored = state["app_spec_version"].get(f"{app.name}/{wanted}")
    if stored and _same(stored["document"], app.spec):
        return
    wanted = app.spec_version or present + 1
    fields = {"app": app.name, "number": wanted, "document": app.spec.model_dump(mode="json")}
    place = ("apps", number, "spec")
    yield Item("app_spec_version", f"{app.name}/{wanted}", fields, place, here(fields))


def _same(stored: Fields, spec: AppSpec) -> bool:
    try:
        return AppSpec.model_validate(stored) == spec
    except ValidationError:
        return False


def _config(config: AppConfigEntry, state: State, latest: int, number: int) -> Iterator[Item]:
    pair = f"{config.app}/{config.env}"
    known = state["app_config"].get(f"{pair}/{latest}")
    if config.number is None and known and known["document"] == config.document:
        return
    wanted = config.number or latest + 1
    fields = {"app": config.app, "environment": config.env, "number": wanted, "document": config.document}
    at = {"environment": ("env",)}
    yield Item("app_config", f"{pair}/{wanted}", fields | config.said("attrs"), ("app_configs", number), at)
