"""Watches of the audit: which rules are written, and which of them the kernel has."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _audit, _files
from ansible_collections.dianrong.cloud.plugins.modules import audit_watches

DIRECTORIES = {"/usr/bin", "/etc"}
RULE = "-w /usr/bin/runc -p rwxa -k docker"


def plan(*paths, loaded=None, permissions="rwxa", key="docker", locked=False):
    return _audit.plan(paths, permissions, key, DIRECTORIES, loaded, locked)


def test_a_path_is_watched_also_before_it_is_there():
    made = plan("/etc/docker", "/usr/bin/runc")
    assert made.rules == ("-w /etc/docker -p rwxa -k docker", RULE)
    assert made.left_out == ()


def test_a_path_without_a_directory_is_left_out_and_named():
    made = plan("/etc/containerd/config.toml", "/usr/bin/runc")
    assert made.rules == (RULE,)
    assert made.left_out == ("/etc/containerd/config.toml",)


def test_a_path_stands_in_the_file_once():
    assert plan("/usr/bin/runc", "/usr/bin/runc").rules == (RULE,)


@pytest.mark.parametrize(
    ("loaded", "missing"),
    [
        (None, ()),
        ([], (RULE,)),
        ([RULE], ()),
        # auditctl lists permissions in its own order.
        (["-w /usr/bin/runc -p rxwa -k docker"], ()),
        (["-w /usr/bin/runc -p wa -k docker"], (RULE,)),
        (["-w /usr/bin/runc -p rwxa -k other"], (RULE,)),
        (["-a always,exit -F arch=b64 -S mount -F key=mounts"], (RULE,)),
    ],
)
def test_what_the_kernel_lacks_is_loaded(loaded, missing):
    assert plan("/usr/bin/runc", loaded=loaded).missing == missing


@pytest.mark.parametrize("path", ["relative", "/", "/etc/with blank", "/etc/line\nbreak"])
def test_a_path_that_would_make_another_rule_is_refused(path):
    with pytest.raises(_audit.AuditError, match="expected an absolute path without blanks"):
        plan(path)


@pytest.mark.parametrize(("permissions", "key"), [("", "k"), ("rz", "k"), ("wa", ""), ("wa", "a b")])
def test_permissions_and_key_are_checked(permissions, key):
    with pytest.raises(_audit.AuditError, match="make no rule"):
        plan("/usr/bin/runc", permissions=permissions, key=key)


def test_the_file_says_who_wrote_it():
    head, *rules = _audit.render((RULE,)).splitlines()
    assert head.startswith("## Written by drCloud")
    assert rules == [RULE]


@pytest.mark.parametrize(
    ("status", "locked"),
    [
        ("enabled 2\nfailure 1\npid 612\nrate_limit 0\nbacklog_limit 8192\n", True),
        ("enabled 1\nfailure 2\npid 22\nrate_limit 2\n", False),
        # Before 2.4.
        ("AUDIT_STATUS: enabled=2 flag=1 pid=612 rate_limit=0\n", True),
        ("AUDIT_STATUS: enabled=1 flag=2 pid=22\n", False),
    ],
)
def test_locked_rules_are_known_by_the_kernels_status(status, locked):
    assert _audit.locked(status) is locked


class Host:
    """A host whose kernel answers, has one rule of others, and takes no more until the next boot."""

    def __init__(self, file, check_mode):
        self.params = {"paths": ["/etc/docker"], "permissions": "rwxa", "key": "docker", "file": str(file)}
        self.check_mode = check_mode
        self.warnings = []

    def get_bin_path(self, name, required=False):
        return name

    def run_command(self, command, check_rc=False):
        """Answer what is asked; nobody loads rules into a kernel that refuses them."""
        said = {
            ("auditctl", "-l"): "-w /etc/passwd -p wa -k identity\n",
            ("auditctl", "-s"): "enabled 2\n",
        }
        shown = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n"
        return 0, shown if command[0] == "systemctl" else said[tuple(command)], ""

    def warn(self, text):
        self.warnings.append(text)


@pytest.mark.parametrize("check_mode", [True, False])
def test_locked_rules_are_written_for_the_next_boot_and_stop_nobody(tmp_path, check_mode, monkeypatch):
    file = tmp_path / "60-docker.rules"
    written = []
    monkeypatch.setattr(_files, "apply", written.extend)
    first = audit_watches.ensure(host := Host(file, check_mode))
    assert (first["changed"], first["loaded"], len(written)) == (True, False, 0 if check_mode else 1)
    assert host.warnings == [
        "audit rules are on disk but not loaded, for the rules are locked until the next boot"
    ]
    # Once it is on disk there is nothing left to do but to boot.
    monkeypatch.setattr(_files, "plan", lambda wanted, found: [])
    again = audit_watches.ensure(Host(file, check_mode))
    assert (again["changed"], again["loaded"], again["reason"]) == (False, False, audit_watches.LOCKED)
