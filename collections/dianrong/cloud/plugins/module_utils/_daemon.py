# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine's daemon.json: what an engine knows, whether options are valid, what a change needs.

Everything here is pure: texts and values in, values out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# Docker's manual, "dockerd: configuration reload behavior": what a SIGHUP takes over.
RELOADABLE = frozenset(
    (
        "authorization-plugins",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    )
)
# Of these, the ones that a reload puts back to their default when the file does not name them any more
# (tried: `debug` stays on until the engine restarts).
RESET_BY_RELOAD = frozenset(
    ("features", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts")
)
# Flags whose key in the file has another name.
KEY_OF_FLAG = {
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
SHORT_FLAGS = {
    "D": "debug", "G": "group", "H": "hosts", "b": "bridge",
    "l": "log-level", "p": "pidfile", "s": "storage-driver",
}  # fmt: skip
FLAGS_ONLY = frozenset(("config-file", "help", "validate", "version"))
FILE_ONLY = {"builder": "map", "features": "map"}
# Flags (from 23) that the file holds as parts of `proxies`; at its top the engine takes and ignores them.
PROXY_FLAGS = frozenset(("http-proxy", "https-proxy", "no-proxy"))
TLS_FILES = ("tlscacert", "tlscert", "tlskey")
LOCAL_HOSTS = frozenset(("fd://", "unix:///var/run/docker.sock", "unix:///run/docker.sock"))
LOCAL_SCHEMES = ("fd:", "unix:")
# What a flag's type in `dockerd --help` means in JSON; types not named here are not checked.
JSON_TYPES = {
    "bool": (bool, "true or false"),
    "int": (int, "a number"),
    "ip": (str, "a string"),
    "ipSlice": (list, "a list"),
    "list": (list, "a list"),
    "map": (dict, "a map"),
    "mapmap": (dict, "a map"),
    "pool-options": (list, "a list"),
    "runtime": (dict, "a map"),
    "string": (str, "a string"),
    "ulimit": (dict, "a map"),
}
FLAG_LINE = re.compile(r"^\s+(?:-(?P<short>\w), )?--(?P<flag>[\w-]+)(?: (?P<type>\S+))?(?:\s{2,}|$)")
GIVEN_FLAG = re.compile(r"(?:^|[\s\"'])(?:--(?P<flag>[a-z][\w-]*)|-(?P<short>[A-Za-z])(?=[\s=]))")
# How an option shows in the engine's GET /info, for those that show.
INFO_READERS = {
    "data-root": "DockerRootDir",
    "debug": "Debug",
    "default-runtime": "DefaultRuntime",
    "live-restore": "LiveRestoreEnabled",
    "log-driver": "LoggingDriver",
    "storage-driver": "Driver",
}


@dataclass(frozen=True)
class Plan:
    """The file's new content and what the engine needs to follow it."""

    content: str
    rewrite: bool
    action: str
    reasons: tuple[str, ...]


def render(options):
    """Return daemon.json for the options; the same options give the same bytes."""
    return json.dumps(options, indent=4, sort_keys=True, ensure_ascii=False) + "\n"


def parse(content):
    """Return the options of a daemon.json; None when it is missing or no JSON object."""
    try:
        options = json.loads(content) if content and content.strip() else {}
    except ValueError:
        return None
    return options if isinstance(options, dict) else None


def known_options(help_text):
    """Return ``{key in daemon.json: type}`` from ``dockerd --help`` of the installed engine."""
    known = dict(FILE_ONLY)
    for line in help_text.splitlines():
        match = FLAG_LINE.match(line)
        if match and match["flag"] not in FLAGS_ONLY:
            known[KEY_OF_FLAG.get(match["flag"], match["flag"])] = match["type"] or "bool"
    if known.keys() >= PROXY_FLAGS:
        known["proxies"] = "map"
    return {key: kind for key, kind in known.items() if key not in PROXY_FLAGS}


def can_validate(help_text):
    """Whether this engine has ``--validate`` (from 23)."""
    return any(match["flag"] == "validate" for match in map(FLAG_LINE.match, help_text.splitlines()) if match)


def given_flags(command_line):
    """Return the keys that the unit's command line sets already."""
    keys = set()
    for match in GIVEN_FLAG.finditer(command_line):
        flag = match["flag"] or SHORT_FLAGS.get(match["short"], "")
        keys.add(KEY_OF_FLAG.get(flag, flag))
    return keys - {""}


def complaints(options, known, given, version):
    """Return one sentence per option that this engine would refuse; empty when it would start."""
    said = []
    for key in sorted(options):
        if key not in known:
            said.append(f"option {key!r} is not known to Docker Engine {version}")
            continue
        if key in given:
            said.append(f"option {key!r} is set by the unit's command line already; the engine refuses both")
        expected = JSON_TYPES.get(known[key])
        if expected and not _is_a(options[key], expected[0]):
            said.append(f"option {key!r} must be {expected[1]}, not {options[key]!r}")
    return said


def exposures(options):
    """Return one sentence per listener that would let in strangers, or keep out drCloud itself."""
    hosts = options.get("hosts")
    if not isinstance(hosts, list):
        return []
    guarded = options.get("tlsverify") is True and all(options.get(name) for name in TLS_FILES)
    said = [
        f"option 'hosts' opens {host} to everybody: it takes tlsverify, {', '.join(TLS_FILES)} as well"
        for host in hosts
        # dockerd takes an address without a scheme for one of TCP.
        if not str(host).strip().startswith(LOCAL_SCHEMES) and not guarded
    ]
    if not LOCAL_HOSTS & set(hosts):
        said.append("option 'hosts' leaves the engine without its local socket: add fd://")
    return said


def start_files(options):
    """Return the files that the engine reads when it starts, and not again."""
    return [str(options[name]) for name in TLS_FILES if options.get(name)]


def without_tls(options):
    """Return the options without those for which an engine that validates would read certificates."""
    return {key: value for key, value in options.items() if not key.startswith("tls") and key != "hosts"}


def newer_files(recorded, digests):
    """Return the paths that differ from what the running engine read when it started; pure."""
    return sorted(path for path in {*recorded, *digests} if recorded.get(path) != digests.get(path))


def plan(wanted, current, applied, active, because=()):
    """Return what makes the file the wanted one and the engine follow it.

    ``current`` is the file's text or None; ``applied`` are the options the running engine has
    loaded, None when nobody knows; ``because`` are other reasons for a restart.
    """
    # Same options in another layout are the same file: not worth a change.
    rewrite = current is None or parse(current) != wanted
    content = render(wanted) if rewrite else current
    if not active:
        return Plan(content, rewrite, "start", ("the engine is not running",))
    if applied is None:
        why = "daemon.json changed after the engine started, and nothing shows that the engine took it over"
        return Plan(content, rewrite, "restart", (why, *because))
    keys = [key for key in sorted(set(wanted) | set(applied)) if wanted.get(key) != applied.get(key)]
    reasons = (*(_reason(key, applied, wanted) for key in keys), *because)
    restart = because or any(not _reload_is_enough(key, wanted) for key in keys)
    action = "restart" if restart else "reload" if keys else "none"
    return Plan(content, rewrite, action, reasons)


def protected(wanted, loaded):
    """Return the options with which an engine has to be reloaded before it restarts; pure.

    An engine that is told of live-restore first leaves the containers alone when it restarts. Nothing
    else changes yet: a reload with options that need a restart may be refused as a whole.
    """
    return {**(loaded or {}), "live-restore": True} if wanted.get("live-restore") is True else None


def not_honoured(options, info):
    """Return one sentence per option that the running engine shows with another value."""
    return [
        f"option {key!r} is {options[key]!r} in daemon.json, but the running engine has {info[field]!r}"
        for key, field in sorted(INFO_READERS.items())
        if key in options and field in info and info[field] != options[key]
    ]


def _reason(key, applied, wanted):
    def side(options):
        return json.dumps(options[key], sort_keys=True) if key in options else "unset"

    need = "a reload is enough" if _reload_is_enough(key, wanted) else "needs a restart"
    return f"{key}: {side(applied)} -> {side(wanted)}: {need}"


def _reload_is_enough(key, wanted):
    return key in (RELOADABLE if key in wanted else RESET_BY_RELOAD)


def _is_a(value, kind):
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)
