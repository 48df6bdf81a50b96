#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_packages
short_description: Have Debian packages installed
version_added: 0.1.0
description:
  - Installs the packages that are missing or of another version than asked for, in one run of C(apt-get).
  - Needs nothing but C(dpkg) and C(apt-get), so it also predicts on a bare host, where
    M(ansible.builtin.apt) asks for C(python3-apt) first; when there is nothing to do it costs one
    C(dpkg-query).
  - An installation that was interrupted before is completed first.
options:
  names:
    description:
      - Packages, as V(name) for any version or V(name=version) for exactly that one.
    type: list
    elements: str
    required: true
  recommends:
    description:
      - Also install what the packages recommend.
    type: bool
    default: false
  with_recommended:
    description:
      - Packages to install as well where one of O(names) recommends them. What is one package in a release of
        Debian may be two in the next.
    type: list
    elements: str
    default: []
  start_services:
    description:
      - Whether the services of the packages may start at once, or only when they have been configured.
    type: bool
    default: true
  lists_valid_for:
    description:
      - How old, in seconds, the package lists may be before they are fetched again. They are only fetched
        when something has to be installed; lists older than what says where they come from and how are too
        old in any case.
    type: int
    default: 3600
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: The distribution's Docker Engine, not started before it is configured
  dianrong.cloud.debian_packages:
    names: [docker.io, python3-docker]
    with_recommended: [docker-cli]
    start_services: false
"""

RETURN = r"""
installed:
  description: What was, or in check mode would be, installed.
  returned: success
  type: list
  elements: str
  sample: [docker.io]
"""

import contextlib
import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _packages

LISTS = "/var/lib/apt/lists"
SOURCES = ("/etc/apt", "/etc/apt/sources.list.d")
SETTINGS = "/etc/apt/apt.conf.d"
POLICY = "/usr/sbin/policy-rc.d"
# invoke-rc.d(8): 101 forbids the action.
FORBID = "#!/bin/sh\n# drCloud: no service starts before it is configured\nexit 101\n"
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "NEEDRESTART_SUSPEND": "1"}
# In seconds: for how long somebody else's lock is waited for, and how often it is asked for.
PATIENCE = 300
PAUSE = 2
APT_GET = (
    "apt-get", "--quiet", "--yes",
    f"--option=DPkg::Lock::Timeout={PATIENCE}", "--option=Acquire::Retries=3",
    "--option=Dpkg::Options::=--force-confdef", "--option=Dpkg::Options::=--force-confold",
)  # fmt: skip


def read_installed(module):
    """Return what dpkg says of the packages and those that come along where they are recommended."""
    program = module.get_bin_path("dpkg-query")
    if program is None:
        module.fail_json(msg="this host has no dpkg; dianrong.cloud installs on Debian and its kin only")
    names = [_packages.split(name)[0] for name in module.params["names"] + module.params["with_recommended"]]
    return module.run_command([program, "--show", "--showformat", _packages.QUERY_FORMAT, *names])[1]


def make_plan(module):
    """Return what has to be installed, as the host is now."""
    said = read_installed(module)
    recommended = _packages.parse_recommended(said)
    along = [name for name in module.params["with_recommended"] if name in recommended]
    return _packages.plan(module.params["names"] + along, _packages.parse_installed(said))


def run(module, *arguments):
    """Run apt-get or dpkg, again while another one has the lock; fail with its own words."""
    deadline = time.monotonic() + PATIENCE
    while True:
        # The module of a run that was killed goes on without it. dpkg waits for no lock, and apt-get only for
        # dpkg's, not for that of the lists.
        code, output, errors = module.run_command(list(arguments), environ_update=ENVIRONMENT)
        if code == 0:
            return
        if not _packages.locked(errors) or time.monotonic() > deadline:
            said = _packages.complaint(output, errors)
            module.fail_json(msg=f"{' '.join(arguments[:1] + arguments[-1:])}: {said}", rc=code)
        time.sleep(PAUSE)


def lists_age():
    """Return the age of the package lists in seconds; endless when apt's configuration is newer."""
    with contextlib.suppress(FileNotFoundError):
        lists = [entry for entry in os.scandir(LISTS) if entry.name.endswith(("Release", "Packages", ".lz4"))]
        fetched = os.stat(LISTS).st_mtime
        if lists and fetched >= configured_at():
            return time.time() - fetched
    return float("inf")


def configured_at():
    """Return when apt was last told where to fetch from and how."""
    entries = [entry for path in SOURCES for entry in files_of(path)]
    entries += [entry for entry in files_of(SETTINGS) if _packages.fetches(text_of(entry.path))]
    return max((entry.stat().st_mtime for entry in entries), default=0.0)


def files_of(directory):
    """Return the files of a directory, none where there is no such directory."""
    return [entry for entry in os.scandir(directory) if entry.is_file()] if os.path.isdir(directory) else []


def text_of(path):
    """Return what a file says, nothing where there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8", errors="replace") as handle:
        return handle.read()
    return ""


def left_behind():
    """Return whether a run that was killed left services forbidden to start; a policy of others is theirs."""
    return text_of(POLICY) == FORBID


@contextlib.contextmanager
def services_held(hold):
    """Keep Debian's maintainer scripts from starting services meanwhile."""
    if not hold or (os.path.exists(POLICY) and not left_behind()):
        yield
        return
    with open(POLICY, "w", encoding="utf-8") as handle:
        handle.write(FORBID)
        os.fchmod(handle.fileno(), 0o755)
    try:
        yield
    finally:
        # The module of a run that was killed may have removed it before us.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(POLICY)


def repair(module):
    """Complete an installation that was interrupted, or wait until the one that goes on is done."""
    run(module, "dpkg", "--force-confdef", "--force-confold", "--pending", "--configure")


def install(module, plan, interrupted):
    """Complete what was interrupted, and install what the plan names."""
    given = module.params
    if interrupted:
        with services_held(left_behind() or not given["start_services"]):
            repair(module)
    if not plan.install:
        return
    with services_held(not given["start_services"]):
        if lists_age() > given["lists_valid_for"]:
            run(module, *APT_GET, "update")
        recommends = "--install-recommends" if given["recommends"] else "--no-install-recommends"
        downgrades = ["--allow-downgrades"] if any("=" in name for name in plan.install) else []
        run(module, *APT_GET, recommends, *downgrades, "install", *plan.install)


def ensure(module):
    """Read, plan, apply; return the task's result."""
    plan, forbidden = make_plan(module), left_behind()
    interrupted = plan.repair or forbidden
    changed = bool(plan.install) or interrupted
    diff = {"before": plan.before, "after": plan.after}
    if forbidden:
        diff = {"before": {**diff["before"], POLICY: "no service starts"}, "after": diff["after"]}
    installed = list(plan.install)
    while changed and not module.check_mode:
        install(module, plan, interrupted)
        # What a new package recommends shows only now.
        plan = make_plan(module)
        interrupted = plan.repair
        if not set(plan.install) - set(installed):
            break
        installed += plan.install
    return {"changed": changed, "installed": installed, "diff": diff}


def main():
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "recommends": {"type": "bool", "default": False},
            "with_recommended": {"type": "list", "elements": "str", "default": []},
            "start_services": {"type": "bool", "default": True},
            "lists_valid_for": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except _packages.PackageError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
