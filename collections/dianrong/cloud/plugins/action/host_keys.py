# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pin the SSH host keys of new hosts: first contact, once, on the record."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

from ansible import constants as C

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _host_keys
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.cmdb import hosts, lookup, snapshot, ssh
except ImportError:
    hosts = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Works on all hosts of the play at once, for a bastion has to come before the hosts behind it."""

    BYPASS_HOST_LOOP = True

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Scan, record, and let OpenSSH know."""
        given = self.arguments(
            names={"type": "list", "elements": "str", "required": True},
            ssh_config={"type": "path"},
            timeout={"type": "int", "default": 10},
        )
        store = open_store()
        rows = snapshot.read(store)
        wave_of = _host_keys.waves(rows, given["names"])
        if not wave_of.wanted:
            return self._result({}, wave_of.refused, None)
        with tempfile.TemporaryDirectory(prefix="drcloud-keys-") as scratch:
            found = self._scan(rows, wave_of, given, Path(scratch))
        refused = {**wave_of.refused, **_host_keys.silent(rows, wave_of, found)}
        config = self._record(store, rows, found, given["ssh_config"])
        return self._result(found, refused, config)

    def _scan(
        self, rows: t.Any, wave_of: t.Any, given: dict[str, t.Any], scratch: Path
    ) -> dict[str, dict[str, str]]:
        """Return the keys that the hosts show; each wave is reached with the keys of those before."""
        found: dict[str, dict[str, str]] = {}
        for wave in wave_of.waves:
            config = _write_trial(rows, found, given["ssh_config"], scratch)
            commands = _host_keys.commands(rows, wave, config, given["timeout"])
            found |= _host_keys.ask(commands, given["timeout"])
        return found

    def _record(
        self, store: t.Any, rows: t.Any, found: dict[str, dict[str, str]], config: str | None
    ) -> str | None:
        """Pin the keys in the CMDB; in check mode only in files that this run alone uses."""
        if self.check_mode:
            # ansible-core removes this directory when it ends.
            directory = Path(tempfile.mkdtemp(prefix="drcloud-check-", dir=C.DEFAULT_LOCAL_TMP))
            return _write_trial(rows, found, config, directory)
        if found:
            with store.write(reason="first contact: SSH host keys pinned") as session:
                for name, keys in found.items():
                    hosts.pin_keys(session, lookup.host(session, name), keys)
            _write_known_hosts(snapshot.read(store), config)
        return config

    def _result(
        self, found: dict[str, dict[str, str]], refused: dict[str, str], config: str | None
    ) -> dict[str, t.Any]:
        for name, reason in sorted(refused.items()):
            self._display.warning(f"{name}: {reason}")
        after = {name: sorted(keys) for name, keys in sorted(found.items())}
        return {
            "changed": bool(found),
            "pinned": after,
            "refused": refused,
            "ssh_config": config,
            "diff": {"before": {name: [] for name in after}, "after": after},
        }


def _write_trial(
    rows: t.Any, found: dict[str, dict[str, str]], config: str | None, directory: Path
) -> str | None:
    """Write a copy of the fleet's configuration that trusts the keys found so far as well."""
    if config is None:
        return None
    known = directory / ssh.KNOWN_HOSTS
    known.write_text(ssh.known_hosts_text(_host_keys.with_keys(rows, found)), encoding="utf-8")
    text = Path(config).read_text(encoding="utf-8")
    trial = directory / ssh.CONFIG
    trial.write_text(text.replace(str(Path(config).parent / ssh.KNOWN_HOSTS), str(known)), encoding="utf-8")
    return str(trial)


def _write_known_hosts(rows: t.Any, config: str | None) -> None:
    if config is None:
        return
    target = Path(config).parent / ssh.KNOWN_HOSTS
    descriptor, scratch = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(ssh.known_hosts_text(rows))
    Path(scratch).replace(target)
