"""Running the lab's own playbooks, which come before there is anything to record a run in."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys

from drcloud.errors import DrcloudError, InvalidInputError
from drcloud.lab import lock, removal
from drcloud.lab.engine import MARK
from drcloud.lab.identity import Lab


def check_machine() -> None:
    """Say what the lab needs unless this is root on Debian with what the playbooks import."""
    like = platform.freedesktop_os_release()
    if "debian" not in (like.get("ID"), *like.get("ID_LIKE", "").split()):
        raise InvalidInputError(f"the lab needs Debian 12 or newer, and this is {like.get('PRETTY_NAME')}")
    if os.geteuid() != 0:
        raise InvalidInputError("the lab needs root, for loop devices and containers: run it with sudo")
    for module in ("cryptography", "ansible_collections.community.docker"):
        if not _importable(module):
            raise InvalidInputError(f"the lab needs {module}: pip install 'drcloud[lab]'")


def play(lab: Lab, playbook: str) -> None:
    """Run one of the lab's playbooks in the foreground, after ending what a killed one left running."""
    check_machine()
    with lock.exclusive(lab):
        removal.end_orphans(lab)
        command = [sys.executable, "-m", "ansible", "playbook", "--inventory", "localhost,"]
        code = subprocess.call(
            [*command, str(lab.checkout / "playbooks" / playbook)], cwd=lab.checkout, env=_environment(lab)
        )
    if code:
        raise DrcloudError(f"{playbook} failed: its last task above says why; the command may be run again")


def _environment(lab: Lab) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {
        **kept,
        MARK: lab.id,
        "DRCLOUD_LAB_ID": lab.id,
        "ANSIBLE_CONFIG": str(lab.checkout / "ansible.cfg"),
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
