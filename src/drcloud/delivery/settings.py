"""What an environment gives to an app at deploy: configuration as variables.

Precedence, low to high: specification, the environment's override in it, configuration, secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from drcloud.cmdb import appconfig
from drcloud.cmdb.appspec import AppSpec


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of an app in an environment; version 0 is that of an app without one."""

    config_version: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)

    def applied(self, spec: AppSpec) -> AppSpec:
        """Return a specification with the configuration over its variables."""
        return spec.model_copy(update={"env": {**spec.env, **self.variables}})


def read(session: Session, app: str, env: str) -> Settings:
    """Return the settings that hold now."""
    found = appconfig.present(session, app, env)
    subject = f"configuration {found.number} of {app} in {env}"
    return Settings(found.number, appconfig.variables(found.values, subject))
