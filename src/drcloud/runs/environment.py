"""The environment of ansible-playbook: a list of what it needs, not whatever Jenkins has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

RUN_ID = "DRCLOUD_RUN_ID"
PARENT = "DRCLOUD_RUN_PARENT"
NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG", "LANGUAGE"),
        *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "KRB5CCNAME"),
        *("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONTEXT"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    }
)
PREFIXES = ("DRCLOUD_", "ANSIBLE_", "LC_", "XDG_", "PG")
# These belong to ansible-runner's own display and would confuse it.
_OWNED = frozenset({"ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_FORCE_COLOR", "ANSIBLE_DISPLAY_ARGS_TO_STDOUT"})


def allowed(name: str) -> bool:
    """Tell whether a variable is passed on."""
    return (name.upper() in NAMES or name.startswith(PREFIXES)) and name not in _OWNED


def compose(outer: Mapping[str, str], added: Mapping[str, str], wanted: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment for ansible-playbook.

    Of ``outer`` only the list above and the names in ``wanted`` (secrets that the CMDB refers to as
    ``env:NAME``) survive; ``added`` wins.
    """
    names = {name for name in outer if allowed(name)} | {name for name in wanted if name in outer}
    env = {name: outer[name] for name in sorted(names)}
    env["PATH"] = _path(outer.get("PATH", os.defpath))
    env.setdefault("HOME", str(Path.home()))
    env |= _utf8(outer)
    paths = [*collection_roots(), outer.get("PYTHONPATH", "")]
    if any(paths):
        env["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    # A source that cannot be read must end the run, not shrink it.
    env.setdefault("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true")
    # Nobody sits at this terminal: a question of ssh is answered with a failure, not with waiting.
    env |= {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force", "ANSIBLE_NOCOLOR": "1"}
    return env | dict(added)


def _path(path: str) -> str:
    """Return ``path`` with this interpreter's scripts first, also when its venv is not activated."""
    scripts = str(Path(sys.executable).parent)
    rest = [entry for entry in path.split(os.pathsep) if entry and entry != scripts]
    return os.pathsep.join([scripts, *rest])


def _utf8(outer: Mapping[str, str]) -> dict[str, str]:
    """Return what makes the locale UTF-8, without which ansible-core refuses to start."""
    chosen = next((outer[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if outer.get(name)), "")
    return {} if "utf" in chosen.lower() else {"LC_ALL": "C.UTF-8"}


def collection_roots() -> list[str]:
    """Return where this package's own collection lies, unless Python would find it there anyway.

    In a wheel that is the directory beside the package, in a checkout ``collections`` two above. Another
    copy that comes earlier on the path (of an older installation) must not win.
    """
    package = Path(__file__).resolve().parents[1]
    own = next(
        (str(root) for root in (package.parents[1] / "collections", package.parent) if _holds(root)), None
    )
    first = next((entry for entry in sys.path if _holds(Path(entry))), None)
    if own is None or (first is not None and os.path.realpath(first) == os.path.realpath(own)):
        return []
    return [own]


def _holds(root: Path) -> bool:
    return (root / "ansible_collections/dianrong/cloud").is_dir()
