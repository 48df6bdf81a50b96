"""The words of progress, the same for the command and for plain ansible-playbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAME_WIDTH = 56
_SECONDS_PER_MINUTE = 60
# In the order in which counts are told.
WORDS = ("ok", "changed", "skipped", "ignored", "failed", "unreachable")
BAD = frozenset({"failed", "unreachable"})


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds."""
    minutes, rest = divmod(int(seconds), _SECONDS_PER_MINUTE)
    return f"{minutes}:{rest:02d}"


def counts(words: Mapping[str, int]) -> str:
    """Return what happened how often, as in ``4 ok, 2 changed``."""
    return ", ".join(f"{words[word]} {word}" for word in WORDS if words.get(word))


def failure(host: str, word: str, message: str) -> str:
    """Return the line of a host on which something went wrong."""
    return f"      {host} {word}: {message}"


@dataclass(slots=True)
class Tally:
    """One task: when it began (seconds into the run), who has begun it, how it went where it is done."""

    name: str
    began: float = 0.0
    hosts: set[str] = field(default_factory=set)
    results: dict[str, str] = field(default_factory=dict)

    def begin(self, host: str) -> None:
        """Note that a host has begun the task."""
        self.hosts.add(host)

    def end(self, host: str, word: str) -> None:
        """Note how the task went on a host."""
        self.hosts.add(host)
        self.results[host] = word

    @property
    def silent(self) -> bool:
        """Tell whether there is nothing to tell: no host had to do it."""
        return all(word == "skipped" for word in self.results.values())

    @property
    def bad(self) -> bool:
        """Tell whether the task went wrong somewhere."""
        return any(word in BAD for word in self.results.values())

    @property
    def changed(self) -> bool:
        """Tell whether the task changed something somewhere."""
        return "changed" in self.results.values()

    def words(self) -> dict[str, int]:
        """Return how many hosts ended in which way."""
        found = list(self.results.values())
        return {word: found.count(word) for word in WORDS if word in found}

    def progress(self) -> str:
        """Return how far the task is."""
        return f"{len(self.results)} of {len(self.hosts)} hosts" if self.hosts else ""

    def head(self) -> str:
        """Return the part of the line that is known when the task begins."""
        return f"{clock(self.began):>6}  {self.name:<{NAME_WIDTH}}"

    def line(self) -> str:
        """Return the line of a finished task."""
        return f"{self.head()}  {counts(self.words())}".rstrip()


@dataclass(slots=True)
class Batches:
    """Numbers the batches of a play, for a serial play begins anew with each."""

    name: str = ""
    number: int = 0

    def title(self, name: str) -> str:
        """Return the heading of a play that begins, or of its next batch."""
        self.number = self.number + 1 if name == self.name else 1
        self.name = name
        return f"PLAY {name}" + (f" (batch {self.number})" if self.number > 1 else "")
