"""The only place that knows ansible-runner: one playbook, its events, its return code.

What ansible-runner would do and we do not want (see ``docs/runs.md``): write the environment to a
file, switch host-key checking off, kill on cancel, keep every event as a file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drcloud.errors import DrcloudError
from drcloud.runs.request import RunRequest
from drcloud.runs.stopping import Control

POLL_SECONDS = 0.5
# What ansible-runner's display plugin needs to find its way back to us.
_PLUGIN_VARIABLES = ("ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_STDOUT_CALLBACK", "AWX_ISOLATED_DATA_DIR")


def check_installed() -> None:
    """Fail in one sentence when the controller lacks what runs need."""
    for module, package in (("ansible", "ansible-core"), ("ansible_runner", "ansible-runner")):
        if importlib.util.find_spec(module) is None:
            raise DrcloudError(
                f"{package} is not installed for {sys.executable}: install it with "
                f"'{sys.executable} -m pip install drcloud'"
            )


def command(request: RunRequest, playbook: str, inventory: Sequence[str], directory: Path) -> list[str]:
    """Return ansible-playbook's command line; values of variables go to a file, for ps shows arguments."""
    line = [sys.executable, "-P", "-m", "drcloud.runs.launch"]
    for source in inventory:
        line += ["-i", source]
    for name in request.vars_files:
        line += ["-e", f"@{Path(name).expanduser().absolute()}"]
    if request.extra_vars:
        line += ["-e", f"@{_variables(request.extra_vars, directory)}"]
    if request.limit is not None:
        line += ["--limit", request.limit]
    for option, values in (("--tags", request.tags), ("--skip-tags", request.skip_tags)):
        line += [option, ",".join(values)] if values else []
    line += ["--check"] if request.check else []
    line += ["--diff"] if request.diff else []
    line += ["-" + "v" * request.verbosity] if request.verbosity else []
    line += ["--forks", str(request.forks)] if request.forks else []
    return [*line, playbook]


def _variables(values: Mapping[str, Any], directory: Path) -> Path:
    file = directory / "variables.json"
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(dict(values), out)
    return file


def run(
    line: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    *,
    on_event: Callable[[Mapping[str, Any]], None],
    control: Control,
) -> int | None:
    """Run ansible-playbook to its end and return its code, ``None`` if a signal killed it.

    ``directory`` is private to this run and its owner removes it. ``on_event`` gets events in
    ansible-runner's form, in the calling thread; it must be quick, for the play waits for it.
    """
    from ansible_runner.config.runner import RunnerConfig  # late: heavy, and may be missing
    from ansible_runner.runner import Runner

    config = RunnerConfig(str(directory), playbook=line[-1], ident="run", fact_cache_type="")
    config.prepare()
    theirs = {name: config.env[name] for name in _PLUGIN_VARIABLES}
    config.command = list(line)
    config.cwd = str(Path.cwd())
    config.env = {**environment, **theirs}
    config.pexpect_timeout = POLL_SECONDS
    config.suppress_ansible_output = True
    config.suppress_output_file = True

    def keep_no_file(event: dict[str, Any]) -> bool:
        on_event(event)
        return False

    _swallow(Path(config.artifact_dir) / "command")
    runner = Runner(config, event_handler=keep_no_file, cancel_callback=control.poll)
    runner.run()
    return _code(runner)


def _code(runner: Any) -> int | None:
    code = runner.rc
    return code if isinstance(code, int) else None


def _swallow(file: Path) -> None:
    """Let ansible-runner write its ``command`` file, environment included, to nobody.

    A pipe keeps it in memory, also when we are killed before we could remove a file.
    """
    os.mkfifo(file, 0o600)
    threading.Thread(target=file.read_bytes, name="drcloud-swallow", daemon=True).start()
