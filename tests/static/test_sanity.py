"""ansible-test sanity, on an installed copy of the collection, as Galaxy and its users will see it.

ansible-test refuses a symlinked or git-ignored path, so the collection is built and installed outside the
repository. Its virtual environments are kept in drCloud's cache directory; an empty cache costs a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# What ansible-test's virtual environments get their pip from. It would download a script from a host that
# many build machines cannot reach; the interpreter's ensurepip does the same without a network.
GET_PIP = "import ensurepip\n\nensurepip.bootstrap(upgrade=True)\n"
GET_PIP_NAMES = ("get_pip_24_2.py", "get_pip_25_3.py")


def cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "drcloud" / "ansible-test"


def environment() -> dict[str, str]:
    """Return an environment whose home is the cache, with the user's own pip still configured as it was."""
    changed = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(cache()), "LC_ALL": "C.UTF-8"}
    for settings in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if settings.is_file():
            changed.setdefault("PIP_CONFIG_FILE", str(settings))
    changed.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache/pip"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return changed | {name: value for name, value in kept.items() if name not in ("PATH", "HOME", "LC_ALL")}


def galaxy(*arguments: str | Path) -> None:
    """Call ``ansible-galaxy collection``."""
    subprocess.run([BIN / "ansible-galaxy", "collection", *arguments], check=True, capture_output=True)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    galaxy("build", "--output-path", tmp_path, ROOT / "collections/dianrong/cloud")
    (archive,) = tmp_path.glob("*.tar.gz")
    # Forced, for the editable install of this checkout counts as installed already.
    galaxy("install", "--offline", "--force", "--collections-path", tmp_path, archive)
    return tmp_path / "ansible_collections/dianrong/cloud"


@pytest.mark.sanity
def test_sanity(installed: Path) -> None:
    scripts = cache() / ".ansible/test/cache"
    scripts.mkdir(parents=True, exist_ok=True)
    for name in GET_PIP_NAMES:
        (scripts / name).write_text(GET_PIP, "utf-8")
    command = [BIN / "ansible-test", "sanity", "--color", "no", "--python", PYTHON]
    done = subprocess.run(
        command, cwd=installed, env=environment(), capture_output=True, text=True, check=False, timeout=2400
    )
    said = (done.stdout + done.stderr).splitlines()
    findings = [line for line in said if line.startswith(("ERROR:", "FATAL:"))]
    assert done.returncode == 0, "\n".join(findings or said)
