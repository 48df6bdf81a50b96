"""Who is at the other end, found through processes as the kernel shows them."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _ssh_peer

CONNECTION = b"SHELL=/bin/sh\0SSH_CONNECTION=10.90.0.5 50000 10.90.0.15 22\0LANG=C\0"


@pytest.mark.parametrize(
    ("environment", "peer"),
    [
        (CONNECTION, ("10.90.0.5", 22)),
        (b"SSH_CONNECTION=fe80::1%eth0 1 fe80::2%eth0 2222\0", ("fe80::1", 2222)),
        (b"LANG=C\0", None),
        (b"", None),
        (b"SSH_CONNECTION=broken\0", None),
        (b"X_SSH_CONNECTION=1.2.3.4 1 1.2.3.4 1\0", None),
    ],
)
def test_the_environment_is_understood(environment, peer):
    assert _ssh_peer.parse(environment) == peer


def process(root, pid, parent, environment=b"LANG=C\0", name="sh"):
    (root / str(pid)).mkdir()
    (root / str(pid) / "environ").write_bytes(environment)
    (root / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1\n")


def test_the_nearest_ancestor_that_knows_is_asked(tmp_path):
    """sshd starts a shell that knows; sudo, which the module runs under, does not pass it on."""
    process(tmp_path, 30, 20)
    process(tmp_path, 20, 10, name="sudo) R 1 (x")
    process(tmp_path, 10, 1, CONNECTION)
    process(tmp_path, 1, 0, b"SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22\0")
    assert _ssh_peer.find(30, str(tmp_path)) == ("10.90.0.5", 22)


def test_without_ssh_there_is_nobody(tmp_path):
    process(tmp_path, 30, 1)
    process(tmp_path, 1, 0)
    assert _ssh_peer.find(30, str(tmp_path)) is None
    assert _ssh_peer.find(99, str(tmp_path)) is None
