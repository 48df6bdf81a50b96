"""An event of a run: what ansible-runner told, reduced to what may be kept and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MESSAGE_LIMIT = 1000
CENSORED = "no details: the task has no_log"
PLAYBOOK_START = "playbook_on_start"
PLAY_START = "playbook_on_play_start"
TASK_START = "playbook_on_task_start"
NO_HOSTS_MATCHED = "playbook_on_no_hosts_matched"
PROMPT = "playbook_on_vars_prompt"
STATS = "playbook_on_stats"
HOST_START = "runner_on_start"
OK = "runner_on_ok"
FAILED = "runner_on_failed"
UNREACHABLE = "runner_on_unreachable"
SKIPPED = "runner_on_skipped"
TEXT = "verbose"
DIFF = "runner_on_file_diff"
RESULTS = frozenset({OK, FAILED, UNREACHABLE, SKIPPED})
# The rest (items, retries, diffs, plain text) may carry results and is dropped at the door.
KNOWN = RESULTS | {
    PLAYBOOK_START,
    PLAY_START,
    TASK_START,
    NO_HOSTS_MATCHED,
    PROMPT,
    STATS,
    HOST_START,
    TEXT,
    DIFF,
}
STORED = KNOWN - {HOST_START, TEXT, DIFF}


# Lines that belong to no other event; warnings and errors among them.
_PLAIN = frozenset({"verbose", "warning", "system_warning", "deprecated", "error"})
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run.

    ``data`` holds no results: status, duration, a failure's message. ``text`` is what
    ansible-playbook printed for it, to be shown where somebody asked for it, and never stored.
    """

    counter: int
    at: datetime
    type: str
    play: str | None = None
    task: str | None = None
    host: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


def read(raw: Mapping[str, Any]) -> Event | None:
    """Return the event in ansible-runner's form ``raw``, ``None`` when it is of no interest."""
    kind = raw.get("event")
    if kind in _PLAIN:
        kind = TEXT
    if kind not in KNOWN:
        return None
    told = raw.get("event_data") or {}
    return Event(
        counter=int(raw.get("counter", 0)),
        at=_moment(raw.get("created")),
        type=kind,
        play=_text(told.get("play")),
        task=_text(told.get("name") if kind == TASK_START else told.get("task")),
        host=_text(told.get("host")),
        data=dict(_kept(kind, told)),
        text=_ESCAPE.sub("", str(raw.get("stdout") or "")).replace("\r", ""),
    )


def _kept(kind: str, told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if kind == PLAY_START:
        yield "name", _text(told.get("name"))
        yield "pattern", _text(told.get("pattern"))
    elif kind == PROMPT:
        yield "variable", _text(told.get("varname"))
    elif kind == STATS:
        for name in ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored", "processed"):
            yield name, dict(told.get(name) or {})
    elif kind in RESULTS:
        yield from _result(kind, told)


def _result(kind: str, told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    result = told.get("res") or {}
    yield "changed", bool(result.get("changed"))
    yield "duration", told.get("duration")
    if kind in (FAILED, UNREACHABLE):
        yield "msg", message(result)
        yield "ignored", bool(told.get("ignore_errors"))
        codes = [code for code in _codes(result) if isinstance(code, int)]
        if codes:
            yield "exit_codes", codes


def _codes(result: Mapping[str, Any]) -> Iterator[Any]:
    yield result.get("dr_exit_code")
    for item in result.get("results") or ():
        if isinstance(item, Mapping) and item.get("failed"):
            yield item.get("dr_exit_code")


def message(result: Mapping[str, Any]) -> str:
    """Return one line that says why a task failed, as good as the result lets us."""
    if "censored" in result:
        return CENSORED
    failed = next(
        (i for i in result.get("results") or () if isinstance(i, Mapping) and i.get("failed")), None
    )
    if failed is not None:
        item = failed.get("_ansible_item_label", failed.get("item"))
        prefix = f"item {item}: " if isinstance(item, str | int) else ""
        return shorten(prefix + message(failed))
    text = str(result.get("msg") or "failed without a message").removeprefix("Task failed: ")
    errors = str(result.get("stderr") or "").strip().splitlines()
    if errors and "non-zero return code" in text:
        text = f"{text} ({result.get('rc')}): {errors[-1]}"
    return shorten(text)


def shorten(text: str) -> str:
    """Return the text in one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
