"""Names for the shell's completion: quickly, and without a word where there is no CMDB to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import natural, nearby
from drcloud.cmdb.store import Store

Complete = Callable[[str], list[str]]
# More names than anybody reads.
MOST = 200


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of objects that begin like this."""
    return [name for name in natural.kinds() if name.startswith(incomplete)]


def of(kind: str) -> Complete:
    """Return what completes the names of a kind."""

    def complete(incomplete: str) -> list[str]:
        return _asked(lambda session: _keys(session, kind, incomplete))

    return complete


def objects(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the kind that stands on the command line already."""
    kind = context.params.get("kind")
    if kind not in natural.kinds():
        return []
    return _asked(lambda session: _keys(session, kind, incomplete))


def tags(context: typer.Context, incomplete: str) -> list[str]:
    """Return the tags of the releases of the app that stands on the command line already."""
    app = context.params.get("app_name") or context.params.get("app")
    found = _asked(lambda session: _keys(session, "channel", f"{app}:"))
    return [tag for name in found if (tag := name.partition(":")[2]).startswith(incomplete)]


def _keys(session: Session, kind: str, begin: str) -> list[str]:
    known = natural.kinds()[kind]
    [first, *rest] = known.natural.parts
    if rest or first not in known.fields or known.fields[first].target is not None:
        return sorted(key for key in nearby.keys(session, kind) if key.startswith(begin))[:MOST]
    column = getattr(known.model, known.fields[first].column)
    query = select(column).where(column.startswith(begin, autoescape=True)).order_by(column).limit(MOST)
    return list(session.scalars(query))


def _asked(question: Callable[[Session], list[Any]]) -> list[str]:
    """Return what the CMDB answers; a shell that completes a word is no place for troubles."""
    try:
        with Store.open().read() as session:
            return question(session)
    except Exception:
        return []
