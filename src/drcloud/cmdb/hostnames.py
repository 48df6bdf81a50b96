"""Names of hosts in an inventory: chosen by the source, unique by its policy."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from drcloud.cmdb import paths
from drcloud.cmdb.options import BY_NAME, Duplicates, Options
from drcloud.cmdb.paths import Path
from drcloud.errors import InvalidInputError

Variables = Mapping[str, Any]

# Letters and digits of any script and what names and addresses are joined with: no pattern, no template.
NAME = re.compile(r"\w[\w.:@+-]*")


def choice(name: str, variables: Variables, options: Options) -> str:
    """Return the host's name in the inventory: the first of the choices that it has."""
    if options.hostname == BY_NAME:
        return name
    for path in options.hostname:
        found = paths.read({**variables, "dr_name": name}, path)
        if not found:
            continue
        [value, *more] = found
        if more or not isinstance(value, str) or not NAME.fullmatch(value):
            shown = found if more else value
            raise InvalidInputError(
                f"host {name}: its {'.'.join(path)} {shown!r} cannot be the name of a host"
            )
        return value
    raise InvalidInputError(
        f"host {name} has no {_said(options.hostname)} to be named by: "
        "give it one, or name another choice after it in the option hostname"
    )


def unique(
    chosen: Mapping[str, str], idcs: Mapping[str, str | None], policy: Duplicates
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the inventory's name of each host that stays, by its name in the CMDB, and warnings.

    ``error`` refuses a name that two hosts share, ``qualify`` adds the IDC (and, where that is not enough,
    the name in the CMDB instead), ``skip`` leaves out all hosts that share a name: none of them is the one.
    """
    sharing = defaultdict(list)
    for name, label in chosen.items():
        sharing[label].append(name)
    shared = {label: names for label, names in sharing.items() if len(names) > 1}
    if not shared:
        return dict(chosen), ()
    told = [f"{label!r} ({' and '.join(names)})" for label, names in sorted(shared.items())]
    if policy == "error":
        raise InvalidInputError(
            f"hosts share a name in the inventory: {_few(told)}; choose another hostname, "
            "or say duplicates: qualify or skip"
        )
    if policy == "skip":
        kept = {name: label for name, label in chosen.items() if label not in shared}
        return kept, (f"left out of the inventory, because they share a name: {_few(told)}",)
    return _qualified(chosen, shared, idcs), ()


def _qualified(
    chosen: Mapping[str, str], shared: Mapping[str, list[str]], idcs: Mapping[str, str | None]
) -> dict[str, str]:
    labels = {
        name: f"{label}@{idcs[name] or name}" if label in shared else label for name, label in chosen.items()
    }
    for label, count in Counter(labels.values()).items():
        if count > 1:
            for name in [name for name, other in labels.items() if other == label]:
                labels[name] = f"{chosen[name]}@{name}"
    again = [label for label, count in Counter(labels.values()).items() if count > 1]
    if again:
        raise InvalidInputError(
            f"hosts share the name {again[0]!r} in the inventory, also when it is qualified"
        )
    return labels


def _few(told: list[str]) -> str:
    rest = len(told) - 5
    return ", ".join(told[:5]) + (f" and {rest} more" if rest > 0 else "")


def _said(choices: Iterable[Path]) -> str:
    return " or ".join(".".join(path) for path in choices)
