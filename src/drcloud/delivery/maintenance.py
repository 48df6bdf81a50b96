"""Maintenance of an app: its load balancers answer with status 503 and a page instead of it.

Pure: what a load balancer says of itself, and what is wrong with that. The declared side is
``attrs.maintenance`` of the placement, so a load balancer that is provisioned does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from drcloud.cmdb.snapshot import MAINTENANCE

FIELD = f"attrs.{MAINTENANCE}"
WORDS = ("serves", "keeps")


@dataclass(frozen=True, slots=True)
class Page:
    """What a load balancer does for a pool: ``serves`` the page now, ``keeps`` it for its next start."""

    serves: bool
    keeps: bool

    def __str__(self) -> str:
        if self.serves and self.keeps:
            return "page"
        if self.serves or self.keeps:
            return "page until it restarts" if self.serves else "page when it restarts"
        return "app"


def parse(pool: str, answer: str) -> Page:
    """Return what ``haproxy-maintenance`` said at a load balancer; ValueError where that is no answer."""
    found: dict[str, set[str]] = {word: set() for word in WORDS}
    for line in answer.splitlines():
        word, _, name = line.partition(" ")
        if word not in found or not name:
            raise ValueError(f"it says of its pools in maintenance: {' '.join(answer.split())[:200]}")
        found[word].add(name)
    return Page(*(pool in found[word] for word in WORDS))


def wanted(enabled: bool) -> Page:
    """Return what every load balancer should do."""
    return Page(enabled, enabled)
