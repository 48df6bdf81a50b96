"""Counts what a run of ansible-playbook did on each host, for tests/bench/provision_bench.py.

``results`` are those of the recap (a loop is one, what was skipped counts); ``modules`` are the actions that
were really carried out, each turn of a loop for itself: this is what round trips are paid for.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bench_results
type: aggregate
short_description: Counts of results for a benchmark
description: Writes them to the file that the environment variable DRCLOUD_BENCH_RESULTS names.
"""

# What never leaves the controller and changes nothing there.
THINKING = {"assert", "debug", "group_by", "include_role", "include_tasks", "meta", "set_fact"}
THINKING |= {"import_role", "import_tasks", "validate_argument_spec"}


def modules(action: str, result: dict) -> int:
    """Return how many actions stand behind a result."""
    if action.rpartition(".")[2] in THINKING:
        return 0
    turns = result.get("results")
    if isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
        return sum(not turn.get("skipped") for turn in turns)
    return 1


class CallbackModule(CallbackBase):
    """Count, and write it down at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bench_results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._modules = defaultdict(int)
        self._changed = defaultdict(list)

    def v2_runner_on_ok(self, result):
        host = result.host.get_name()
        self._modules[host] += modules(result.task.action, result.result)
        if result.is_changed():
            self._changed[host].append(result.task.get_name().strip())

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._modules[result.host.get_name()] += modules(result.task.action, result.result)

    def v2_playbook_on_stats(self, stats):
        counted = {}
        for host in stats.processed:
            told = stats.summarize(host)
            counted[host] = {
                "results": told["ok"] + told["skipped"],
                "modules": self._modules[host],
                "changed": self._changed[host],
            }
        Path(os.environ["DRCLOUD_BENCH_RESULTS"]).write_text(json.dumps(counted), encoding="utf-8")
