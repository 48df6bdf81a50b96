"""Start ansible-playbook so that it can be interrupted and never outlives its controller.

Run as ``python -m drcloud.runs.launch ARGUMENTS``. It is ansible-core's own command in this
interpreter, after two calls that only the process itself can make.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys

from drcloud.runs.environment import PARENT

_PR_SET_PDEATHSIG = 1  # prctl(2)


def prepare() -> None:
    """Make SIGINT work and have the kernel send it when the controller dies.

    A shell's background job inherits SIGINT as ignored; Python would then not raise on it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    parent = os.environ.pop(PARENT, "")
    if parent and int(parent) != os.getppid():
        sys.exit("the controller ended before ansible-playbook began")


def main() -> None:
    """Become ansible-playbook."""
    prepare()
    sys.argv[0] = "ansible-playbook"
    importlib.import_module("ansible.cli.playbook").main()


if __name__ == "__main__":
    main()
