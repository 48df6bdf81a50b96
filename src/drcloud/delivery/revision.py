"""A revision: what actually runs. Releases name images, revisions name what runs.

Pure functions: the same image, settings, configuration and secrets give the same revision on any
controller, so "nothing to do", drift and "back to the last stable one" all compare one string.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from drcloud.cmdb.appspec import AppSpec

# Fields of a specification that say how an image is made or filed, not how it runs.
# Of secrets it says where they are; what they are goes in by fingerprint.
NOT_RUNNING = frozenset({"build", "image", "tier", "canary_watch", "hooks", "overrides", "secrets"})
SHORT = 8


def revision(
    digest: str,
    spec: AppSpec,
    *,
    config_version: int = 0,
    secrets: Mapping[str, str] | None = None,
) -> str:
    """Return the revision, 64 hexadecimal digits.

    ``spec`` is the specification for the environment (``AppSpec.for_environment``), ``secrets`` maps
    names to fingerprints, never to values. Fields at their default are left out, so that a new field of
    a later version changes no revision until somebody uses it.
    """
    parts = {
        "digest": digest,
        "spec": running(spec),
        "config": config_version,
        "secrets": dict(secrets or {}),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def running(spec: AppSpec) -> dict[str, Any]:
    """Return the part of a specification that decides how an instance runs."""
    return spec.model_dump(mode="json", exclude=set(NOT_RUNNING), exclude_defaults=True)
