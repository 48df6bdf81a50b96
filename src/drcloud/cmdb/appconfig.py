"""The configuration of an app in an environment: numbered versions that never change, the newest holds.

A change is the next version, going back too: what ran under a number can always be told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import entries, lookup
from drcloud.cmdb.appspec import VARIABLE
from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import AppConfig
from drcloud.cmdb.entries import Entry
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

NAME = re.compile(VARIABLE)
REFERENCE = re.compile(r"(env|file|vault):\S")
Edit = Callable[[Document], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A version of a configuration; number 0, without values, is that of an app that has none."""

    number: int = 0
    values: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigCard:
    """A version with who made it, when and why."""

    app: str
    env: str
    number: int
    newest: int
    values: Document
    at: str | None = None
    actor: str | None = None
    reason: str | None = None
    ticket: str | None = None

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``."""
        return asdict(self)


def present(session: Session, app: str, env: str) -> Configuration:
    """Return the configuration that holds; ``NotFoundError`` for unknown names."""
    row = session.scalars(_versions(session, app, env).limit(1)).one_or_none()
    return Configuration(row.number, dict(row.document)) if row is not None else Configuration()


def version(session: Session, app: str, env: str, number: int) -> Configuration:
    """Return a version by its number; ``NotFoundError`` where there is none."""
    row = session.scalars(_versions(session, app, env).where(AppConfig.number == number)).one_or_none()
    if row is None:
        newest = present(session, app, env).number
        known = f"the newest is {newest}" if newest else "it has none yet: `drcloud app config set` makes one"
        raise NotFoundError(f"app {app} has no configuration {number} in {env}: {known}")
    return Configuration(row.number, dict(row.document))


def before(session: Session, app: str, env: str, number: int) -> Configuration:
    """Return the version before another one; the empty one before the first."""
    earlier = _versions(session, app, env).where(AppConfig.number < number).limit(1)
    row = session.scalars(earlier).one_or_none()
    return Configuration(row.number, dict(row.document)) if row is not None else Configuration()


def _versions(session: Session, app: str, env: str) -> Any:
    return (
        select(AppConfig)
        .where(
            AppConfig.app_id == lookup.app(session, app).id,
            AppConfig.environment_id == lookup.environment(session, env).id,
        )
        .order_by(AppConfig.number.desc())
    )


def card(session: Session, app: str, env: str, number: int | None = None) -> ConfigCard:
    """Return a version, the present one by default, with what the change log says of it."""
    newest = present(session, app, env)
    found = newest if number is None else version(session, app, env, number)
    key = f"{app}/{env}/{found.number}"
    logged = select(ChangeLog).where(
        ChangeLog.kind == "app_config", ChangeLog.key == key, ChangeLog.action == "create"
    )
    row = session.scalars(logged.order_by(ChangeLog.seq.desc()).limit(1)).one_or_none()
    who = (row.at.isoformat(), row.actor, row.reason, row.ticket) if row is not None else (None,) * 4
    return ConfigCard(app, env, found.number, newest.number, found.values, *who)


def change(
    store: Store,
    app: str,
    env: str,
    edit: Edit,
    *,
    reason: str,
    ticket: str | None = None,
    dry_run: bool = False,
) -> tuple[Change, ...]:
    """Make the next version of what ``edit`` makes of the present one; nothing where that is the same.

    ``edit`` is asked where nobody else writes meanwhile, so no version is made of an old one; it may be
    asked more than once. Errors as of ``entries.declare``.
    """

    def wanted(session: Session) -> list[Entry]:
        known = present(session, app, env)
        document = dict(edit(known.values))
        if document == known.values:
            return []
        return [Entry("app_configs", {"app": app, "env": env, "document": document})]

    return entries.declare(store, wanted, reason=reason, ticket=ticket, dry_run=dry_run).changes


def refuse_bad(values: Mapping[str, Any]) -> None:
    """Refuse names that are no environment variables, and what looks like a reference to a secret."""
    for name, value in values.items():
        if not NAME.fullmatch(name):
            raise InvalidInputError(
                f"{name!r} is not the name of an environment variable: letters, digits and _, no digit first"
            )
        if isinstance(value, str) and "\0" in value:
            raise InvalidInputError(f"{name}: an environment variable holds no NUL character")
        if isinstance(value, str) and REFERENCE.match(value):
            raise InvalidInputError(
                f"{name}: this looks like a reference to a secret, and configuration is shown to everybody: "
                f"name it under `secrets` of the app's specification, as {name}: {{source: …}}"
            )


def variables(values: Mapping[str, Any], subject: str) -> dict[str, str]:
    """Return a configuration as environment variables; null leaves a variable out. Pure.

    Text is taken as it is; anything else is written as JSON. ``subject`` names the configuration in the
    error (``InvalidInputError``) about a name that no variable can have, as an import may bring.
    """
    found = {}
    for name, value in values.items():
        if not NAME.fullmatch(name):
            raise InvalidInputError(
                f"{subject}: {name!r} is not the name of an environment variable: "
                f"`drcloud app config set` takes it out with --unset"
            )
        if value is not None:
            found[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found
