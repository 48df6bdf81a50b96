"""Watches of the audit: which rules are written, and which of them the kernel has."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _audit

DIRECTORIES = {"/usr/bin", "/etc"}
RULE = "-w /usr/bin/runc -p rwxa -k docker"


def plan(*paths, loaded=None, permissions="rwxa", key="docker"):
    return _audit.plan(paths, permissions, key, DIRECTORIES, loaded)


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
