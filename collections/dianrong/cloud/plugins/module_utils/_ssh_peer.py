# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is at the other end of the SSH connection that this module came over."""

from __future__ import annotations

import os

PROCESSES = "/proc"


def find(pid=None, root=PROCESSES):
    """Return ``(client's address, server's port)``, or None when no SSH connection led here.

    sudo takes SSH_CONNECTION (sshd(8)) out of the environment, so the nearest ancestor that has it is asked.
    """
    pid = os.getpid() if pid is None else pid
    while pid > 0:
        try:
            with open(f"{root}/{pid}/environ", "rb") as handle:
                peer = parse(handle.read())
            with open(f"{root}/{pid}/stat", encoding="utf-8", errors="replace") as handle:
                # The name in parentheses may hold anything; state and parent follow it.
                parent = int(handle.read().rpartition(")")[2].split()[1])
        except OSError:
            return None
        if peer:
            return peer
        pid = parent
    return None


def parse(environment):
    """Return ``(client's address, server's port)`` from an environment as the kernel shows it, or None."""
    for entry in environment.split(b"\0"):
        name, _equals, value = entry.partition(b"=")
        fields = value.decode("ascii", "replace").split()
        if name == b"SSH_CONNECTION" and len(fields) == 4 and fields[3].isdigit():
            # A link-local address carries its interface behind a percent sign.
            return fields[0].partition("%")[0], int(fields[3])
    return None
