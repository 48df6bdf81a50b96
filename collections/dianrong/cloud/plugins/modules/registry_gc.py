#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_gc
short_description: Collect the garbage of an image registry, and keep what the CMDB names
version_added: 0.1.0
description:
  - Removes manifests that neither a release, a channel, a deployment nor an observed instance of the CMDB
    names, and that were last pushed longer ago than O(older_than_days); then has the registry give back the
    space.
  - Looks only at repositories of apps whose images this registry holds, and of these only at those of which
    the CMDB names a digest. Whatever else is in the registry stays.
  - Stays with a manifest - the parts of a multi-platform index, what names it as its subject, and what is
    filed under its digest, as signatures are.
  - While something is removed, the registry runs in read-only mode. It answers pulls, and refuses pushes with
    an error. Before and after, it restarts, which takes a moment; in the end it takes connections again.
  - A run that was killed leaves the registry in read-only mode, at most until the host boots; the next run
    ends that.
  - Removes nothing when the CMDB names no digest, when none of those that it names is there, when anything in
    the registry's directory cannot be read, or while a push is going on.
options:
  registry:
    description:
      - Name of the registry in the CMDB. The default is what the CMDB declares on the host; when that is
        none, the module fails.
    type: str
  storage:
    description: Directory that the registry keeps its images in.
    type: path
    default: /var/lib/docker-registry
  config:
    description: The registry's configuration file.
    type: path
    default: /etc/drcloud/registry/config.yml
  older_than_days:
    description: What was pushed more recently stays, whoever names it.
    type: float
    default: 14
  keep_tags:
    description: Patterns of C(repository:tag) that stay, whoever names them, such as V(dianrong/*:base-*).
    type: list
    elements: str
    default: []
  quiet_minutes:
    description: How long no push may have been seen. A push in hand would have to be repeated.
    type: float
    default: 15
  named:
    description:
      - The digests that somebody names. The controller fills this in from the CMDB.
      - Without any, nothing is removed and the module fails.
    type: list
    elements: str
    default: []
  repositories:
    description: The repositories that are looked at. The controller fills this in from the CMDB.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Collect what nobody has named for a month
  dianrong.cloud.registry_gc:
    older_than_days: 30
"""

RETURN = r"""
removed:
  description: The manifests that were, or in check mode would be, removed.
  returned: success
  type: list
  elements: dict
  sample:
    - repository: dianrong/demo
      digest: sha256:6737effbec3981d46377ae5470c84f3483eb15de3b7e412fb409f8b29557fe03
      tags: [t1]
      days: 40
blobs:
  description: How many blobs go with them, or were left of an earlier run.
  returned: success
  type: int
  sample: 12
bytes:
  description: How many bytes that frees.
  returned: success
  type: int
  sample: 80312345
missing:
  description: Digests that the CMDB names and that this registry does not have.
  returned: success
  type: list
  elements: str
  sample: []
lifted:
  description: Whether a run that was killed had left the registry in read-only mode.
  returned: success
  type: bool
  sample: false
"""

import contextlib
import fcntl
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _image_store, _units

UNIT = "docker-registry.service"
USER = "docker-registry"
PATIENCE = 20
LOCK = "/run/drcloud-registry-gc.lock"
# In /run: what a crash leaves behind ends with the next boot at the latest.
READ_ONLY = f"/run/systemd/system/{UNIT}.d/drcloud-read-only.conf"
SETTING = 'REGISTRY_STORAGE_MAINTENANCE_READONLY={"enabled":true}'
# Of the configuration: the block that says how to listen, and the addresses in it.
LISTENING = re.compile(r"^http:.*\n((?:[ \t#].*\n|\n)*)", re.MULTILINE)
ADDRESS = re.compile(r"^( +)addr: *[\"']?([^\s\"']*)", re.MULTILINE)
DROP_IN = f"# Written by drCloud (module registry_gc), for a moment.\n[Service]\nEnvironment='{SETTING}'\n"


class Collection:
    """One run on one registry."""

    def __init__(self, module):
        self._module = module
        given = module.params
        self._storage = given["storage"]
        self._rules = _image_store.Rules(
            named=frozenset(given["named"]),
            repositories=frozenset(given["repositories"]),
            older_than=given["older_than_days"] * _image_store.DAY,
            keep_tags=tuple(given["keep_tags"]),
        )

    def run(self):
        """Lift what an earlier run left, look, and collect what there is to collect."""
        lifted = os.path.exists(READ_ONLY)
        if lifted and not self._module.check_mode:
            self._write()
        _listing, plan = self._look()
        if (plan.manifests or plan.blobs) and not self._module.check_mode:
            self._refuse_while_pushing(plan)
            plan = self._collect()
        return result(plan, lifted)

    def _look(self):
        listing = _image_store.read(self._storage)
        return listing, _image_store.plan(listing, self._rules, time.time())

    def _refuse_while_pushing(self, plan):
        seconds = time.time() - plan.pushing
        if seconds < self._module.params["quiet_minutes"] * 60:
            raise _image_store.ListingError(
                f"a push was seen {seconds:.0f} s ago and may be going on; try again when it has ended"
            )

    def _collect(self):
        """Remove in read-only mode, in which nobody can push what is just being looked at."""
        try:
            self._read_only()
            before, plan = self._look()
            self._refuse_while_pushing(plan)
            _image_store.remove(self._storage, plan.manifests)
            self._sweep()
            self._require_whole(before, plan)
            return plan
        finally:
            # The registry remembers blobs that are gone now: it restarts in any case.
            self._write()

    def _sweep(self):
        command = [
            "runuser",
            "-u",
            USER,
            "--",
            "docker-registry",
            "garbage-collect",
            self._module.params["config"],
        ]
        code, output, errors = self._module.run_command(command)
        if code:
            words = " ".join((errors or output).split())[-300:]
            self._module.fail_json(
                msg=f"docker-registry garbage-collect failed, the next run goes on: {words}"
            )

    def _require_whole(self, before, plan):
        """Look again: what stays must be as whole as it was."""
        after = _image_store.read(self._storage)
        doomed = {manifest for manifest, _tags in plan.manifests}
        for manifest in set(before.manifests) - doomed:
            for digest in {manifest.digest, *manifest.blobs} & set(before.blobs):
                if digest not in after.blobs:
                    raise _image_store.ListingError(
                        f"{manifest.repository}: blob {digest} is gone and was in use"
                    )

    def _read_only(self):
        os.makedirs(os.path.dirname(READ_ONLY), exist_ok=True)
        with open(READ_ONLY, "w", encoding="ascii") as handle:
            handle.write(DROP_IN)
        self._restart()
        # A unit counts as started before its program runs.
        end = time.monotonic() + PATIENCE
        while SETTING.encode() not in self._environment():
            if time.monotonic() > end:
                words = _units.last_words(self._module, UNIT)
                self._module.fail_json(
                    msg=f"unit {UNIT}: it does not run in read-only mode; nothing was removed: {words}"
                )
            time.sleep(0.1)

    def _write(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(READ_ONLY)
        self._restart()
        # Whoever pulls next shall not meet a registry that does not listen yet.
        place = listens_at(self._module.params["config"])
        if place:
            _units.await_connection(self._module, {"name": UNIT, "patience": PATIENCE, **place})

    def _restart(self):
        _units.apply(self._module, _units.read(self._module, UNIT), _units.Steps(True, False, "restart"))

    def _environment(self):
        shown = self._module.run_command(["systemctl", "show", UNIT, "--property=MainPID", "--value"])[1]
        try:
            with open(f"/proc/{int(shown)}/environ", "rb") as handle:
                return handle.read().split(b"\0")
        except OSError:
            return []


def listens_at(config):
    """Return where a registry with this configuration takes connections; nothing where it does not say."""
    try:
        with open(config, encoding="utf-8") as handle:
            block = LISTENING.search(handle.read() + "\n")
    except OSError:
        return {}
    # Its own address is the least indented one; another may follow for debugging.
    found = min(ADDRESS.findall(block[1]) if block else [], key=lambda one: len(one[0]), default=("", ""))
    host, port = found[1].rpartition(":")[::2]
    return {"listens_at": host.strip("[]") or "127.0.0.1", "listens_on": int(port)} if port.isdigit() else {}


def result(plan, lifted):
    """Return the task's result; ``changed`` and ``diff`` come from the plan."""
    removed = [
        {
            "repository": manifest.repository,
            "digest": manifest.digest,
            "tags": list(tags),
            "days": int((time.time() - manifest.pushed) / _image_store.DAY),
        }
        for manifest, tags in plan.manifests
    ]
    lines = [f"{one['repository']}@{one['digest']} {' '.join(one['tags'])}".rstrip() for one in removed]
    lines += [f"blob {digest} {blob.size} bytes" for digest, blob in sorted(plan.blobs.items())]
    lines += ["read-only mode"] if lifted else []
    return {
        "changed": bool(lines),
        "removed": removed,
        "blobs": len(plan.blobs),
        "bytes": plan.size,
        "missing": list(plan.missing),
        "lifted": lifted,
        "diff": {"before": "".join(f"{line}\n" for line in lines), "after": ""},
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "registry": {"type": "str"},
            "storage": {"type": "path", "default": "/var/lib/docker-registry"},
            "config": {"type": "path", "default": "/etc/drcloud/registry/config.yml"},
            "older_than_days": {"type": "float", "default": 14},
            "keep_tags": {"type": "list", "elements": "str", "default": []},
            "quiet_minutes": {"type": "float", "default": 15},
            # The action plugin's part: what the CMDB says.
            "named": {"type": "list", "elements": "str", "default": []},
            "repositories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    with open(LOCK, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            module.fail_json(msg="the garbage of this registry is being collected by another run")
        try:
            module.exit_json(**Collection(module).run())
        except _image_store.ListingError as error:
            name = module.params["registry"]
            module.fail_json(msg=f"registry {name}: {error}; nothing more was removed")


if __name__ == "__main__":
    main()
