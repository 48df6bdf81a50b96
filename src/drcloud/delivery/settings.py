"""What an environment gives to an app at deploy: configuration as variables, and secrets by reference.

Precedence, low to high: specification, the environment's override in it, configuration, secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from drcloud.cmdb import appconfig
from drcloud.cmdb.appspec import AppSpec
from drcloud.delivery import fingerprints
from drcloud.delivery.fingerprints import Taken


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of an app in an environment; version 0 is that of an app without one."""

    config_version: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Taken] = field(default_factory=dict)

    @property
    def marks(self) -> dict[str, str]:
        """What of the secrets goes into the revision."""
        return {name: secret.mark for name, secret in self.secrets.items()}

    def applied(self, spec: AppSpec) -> AppSpec:
        """Return a specification with the configuration over its variables."""
        return spec.model_copy(update={"env": {**spec.env, **self.variables}})


def read(session: Session, app: str, env: str, number: int | None = None) -> Settings:
    """Return the settings that hold now, or those of a version of the configuration; 0 is that of none."""
    if number == 0:
        return Settings()
    found = (
        appconfig.present(session, app, env)
        if number is None
        else appconfig.version(session, app, env, number)
    )
    subject = f"configuration {found.number} of {app} in {env}"
    return Settings(found.number, appconfig.variables(found.values, subject))


def with_secrets(given: Settings, spec: AppSpec, app: str, env: str) -> Settings:
    """Return settings with the secrets of a specification for the environment, read now."""
    return replace(given, secrets=fingerprints.take(spec, app, env))
