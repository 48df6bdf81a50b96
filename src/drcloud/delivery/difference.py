"""What differs between what runs and what shall run, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drcloud.delivery.target import Target

DIGEST = 7
# Their values may be nobody's business; that they changed is.
NAMES_ONLY = ("env",)


def differences(old: Target, new: Target) -> list[str]:
    """Return one text per field: image and configuration first, then the settings by their names."""
    found = []
    if old.digest != new.digest:
        found.append(f"image {_image(old)} -> {_image(new)}")
    if old.config_version != new.config_version:
        found.append(f"configuration {old.config_version or 'none'} -> {new.config_version or 'none'}")
    before, after = dict(_flat(old.spec)), dict(_flat(new.spec))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            found.append(_told(name, before, after))
    return found


def _image(target: Target) -> str:
    return f"{target.tag} {target.digest.removeprefix('sha256:')[:DIGEST]}"


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _told(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if name.partition(".")[0] in NAMES_ONLY:
        word = "changed" if name in before and name in after else "added" if name in after else "removed"
        return f"{name} {word}"
    return f"{name} {_value(before.get(name))} -> {_value(after.get(name))}"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
