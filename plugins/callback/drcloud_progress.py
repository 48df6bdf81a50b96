# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: drcloud_progress
type: stdout
short_description: One line per task, with counts of hosts
description:
  - Shows when a task began, its name, and on how many hosts it was ok, changed something or failed.
  - On a terminal the line of the running task counts hosts; in a log it is written once.
  - A host that fails is named at once, with its message. Tasks that every host skipped are not shown.
  - With C(-v) the results are shown as well, with C(--diff) the differences.
author:
  - drCloud contributors (@drcloud)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
  - the C(drcloud) Python package beside ansible-core
"""

import shutil
import sys
import time

from ansible import constants
from ansible.plugins.callback import CallbackBase

from drcloud.runs.events import message
from drcloud.runs.lines import BAD, Batches, Tally, counts, failure

RECAP = {
    "ok": "ok",
    "changed": "changed",
    "unreachable": "unreachable",
    "failed": "failures",
    "skipped": "skipped",
    "rescued": "rescued",
    "ignored": "ignored",
}
ERASE = "\r\x1b[2K"


def _color(bad, changed):
    if bad:
        return constants.COLOR_ERROR
    return constants.COLOR_CHANGED if changed else constants.COLOR_OK


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "drcloud_progress"

    def __init__(self):
        super().__init__()
        self._began = time.monotonic()
        self._batches = Batches()
        self._tally = None
        self._partial = False
        self._terminal = sys.stdout.isatty()

    def v2_playbook_on_play_start(self, play):
        self._end_task()
        mode = " (check mode)" if play.check_mode else ""
        title = self._batches.title(play.get_name().strip() or "unnamed")
        self._say(title + mode, constants.COLOR_HIGHLIGHT)

    def v2_playbook_on_no_hosts_matched(self):
        self._say("      no host matched", constants.COLOR_SKIP)

    def v2_playbook_on_no_hosts_remaining(self):
        self._say("      no host left", constants.COLOR_ERROR)

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._begin_task(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._begin_task(task)

    def v2_runner_on_start(self, host, task):
        if self._tally:
            self._tally.begin(host.get_name())
            self._redraw()

    def v2_runner_on_ok(self, result):
        self._record(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_skipped(self, result):
        self._record(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self._record(result, "unreachable")

    def v2_runner_retry(self, result):
        attempts = f"{result.result.get('attempts')} of {result.result.get('retries')}"
        self._say(f"      {result.host.get_name()} tries again ({attempts})", constants.COLOR_DEBUG)

    def v2_on_file_diff(self, result):
        changes = [one.get("diff") for one in result.result.get("results", ()) if one.get("changed")]
        for diff in changes or [result.result.get("diff")]:
            text = self._get_diff(diff) if diff and result.is_changed() else ""
            if text:
                self._say(f"      {result.host.get_name()}\n{text}")

    def v2_playbook_on_stats(self, stats):
        self._end_task()
        for host in sorted(stats.processed):
            told = stats.summarize(host)
            bad = told["failures"] or told["unreachable"]
            # The form that people and scripts know from ansible-core.
            line = " ".join(f"{word}={told[name]:<4}" for word, name in RECAP.items())
            self._say(f"{host:<24} : {line.rstrip()}", _color(bad, told["changed"]))

    def _begin_task(self, task):
        self._end_task()
        self._tally = Tally(task.get_name().strip(), time.monotonic() - self._began)
        self._write(self._tally.head())

    def _record(self, result, word):
        if not self._tally:
            return
        host = result.host.get_name()
        self._tally.end(host, word)
        if word in BAD:
            self._say(failure(host, word, message(result.result)), constants.COLOR_ERROR)
        elif self._display.verbosity or "_ansible_verbose_always" in result.result:
            self._say(f"      {host}: {self._details(result)}", constants.COLOR_VERBOSE)
        if result.result.get("warnings"):
            self._end_line()
            self._handle_warnings(result.result)
        self._redraw()

    def _details(self, result):
        """Return what a task says: the message of a debug task as it is, else the whole result."""
        said = result.result.get("msg")
        if isinstance(said, str) and not self._display.verbosity:
            return said
        return self._dump_results(result.result)

    def _end_task(self):
        tally, self._tally = self._tally, None
        if not tally:
            return
        if tally.silent and self._partial and self._terminal:
            self._write(ERASE)
            self._partial = False
            return
        color = (
            constants.COLOR_ERROR
            if tally.bad
            else constants.COLOR_CHANGED
            if tally.changed
            else constants.COLOR_OK
        )
        if self._partial and not self._terminal:
            self._partial = False
            self._display.display(f"  {counts(tally.words())}", color=color)
        else:
            self._say(tally.line() if self._terminal else f"      {counts(tally.words())}", color)

    def _redraw(self):
        if self._terminal and self._tally:
            line = f"{self._tally.head()}  {self._tally.progress()}"
            self._write(ERASE + line[: shutil.get_terminal_size().columns - 1])

    def _write(self, text):
        """Write a line that is not finished yet."""
        self._display.display(text, newline=False)
        self._partial = text != ERASE

    def _say(self, line, color=None):
        """Write a whole line, whatever stands on the screen before it."""
        self._end_line()
        self._display.display(line, color=color)

    def _end_line(self):
        if self._partial:
            self._display.display(ERASE if self._terminal else "\n", newline=False)
            self._partial = False
