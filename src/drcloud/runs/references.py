"""Which environment variables the CMDB's secret references need while a playbook runs."""

from __future__ import annotations

import re

from sqlalchemy import select

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.declared import App, AppSpecVersion, Registry
from drcloud.cmdb.store import Store

_SECRET = re.compile(r"env:(\w+)\Z")
_IN_PATH = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def names(store: Store) -> set[str]:
    """Return the variables in ``env:NAME`` and ``file:${NAME}/…`` references of the CMDB."""
    return secrets(store) | paths(store)


def secrets(store: Store) -> set[str]:
    """Return the variables whose values are secrets."""
    return {match[1] for text in _references(store) if (match := _SECRET.match(text))}


def paths(store: Store) -> set[str]:
    """Return the variables that stand in paths of secret files."""
    found = (_IN_PATH.findall(text) for text in _references(store) if text.startswith(("file:", "vault:")))
    return {braced or bare for matches in found for braced, bare in matches}


def _references(store: Store) -> list[str]:
    with store.read() as session:
        rows = session.execute(select(Registry.password, Registry.ca)).all()
        present = (AppSpecVersion.app_id == App.id) & (AppSpecVersion.number == App.spec_version)
        specs = session.scalars(
            select(AppSpecVersion.document).select_from(App).join(AppSpecVersion, present)
        )
        apps = [reference for spec in specs for reference in _of_app(AppSpec.model_validate(spec))]
    return [*(text for row in rows for text in row if text), *apps]


def _of_app(spec: AppSpec) -> list[str]:
    """Return the references of an app in all environments."""
    parts = [spec.secrets, *(override.secrets for override in spec.overrides.values())]
    return [secret.source for part in parts for secret in part.values()]
