"""NetBox' names in the form that the CMDB has for them: the same for the same name, or a ``ValueError``.

Letters of any script stay what they are where the CMDB takes them (IDCs, rooms, racks); host names are those
of DNS.
"""

from __future__ import annotations

import re
import unicodedata


def code(text: str) -> str:
    """Return a code of an IDC, room or rack: letters, digits, ``. _ -``; everything else becomes ``-``."""
    found = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", text)).strip("-_.")
    return _within(found, text, 32)


def host(text: str) -> str:
    """Return a host name: in small letters, with ``-`` for blanks and underscores."""
    found = re.sub(r"[\s_]+", "-", text.strip().lower()).strip("-")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", found):
        raise ValueError(f"{text!r} gives no host name: it may have a-z, 0-9, - and . only")
    return _within(found, text, 64)


def word(slug: str) -> str:
    """Return a word (a role, a purpose) from a slug."""
    found = slug.lower()
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", found):
        raise ValueError(f"{slug!r} gives no word: it begins with a-z and has a-z, 0-9, - and _ only")
    return _within(found, slug, 32)


def model(manufacturer: str, slug: str) -> str:
    """Return the name of a hardware model: slugs of models are unique by manufacturer only."""
    found = slug if slug.startswith(f"{manufacturer}-") else f"{manufacturer}-{slug}"
    return _within(found, slug, 64)


def _within(found: str, text: str, longest: int) -> str:
    if not found or len(found) > longest:
        raise ValueError(f"{text!r} gives {found!r}, which is no name of 1 to {longest} characters")
    return found
