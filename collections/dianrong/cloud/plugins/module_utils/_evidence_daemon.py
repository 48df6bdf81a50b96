# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which dockerd stands behind a socket, how it was started, and where it listens.

The newest dockerd of the machine may be another one: the process is found through the socket itself.
"""

from __future__ import annotations

import os
import re
import socket
import struct

LISTEN = "0A"
REMOTE_API_PORTS = (2375, 2376)
SECRET_NAME = re.compile(r"token|password|passwd|secret|credential", re.IGNORECASE)
USERINFO = re.compile(r"(://)[^/@\s]+@")
MASK = "***"


def listening_inodes(text):
    """Return {path: inode} of the listening sockets in the text of /proc/net/unix."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        # __SO_ACCEPTCON in the flags marks a listening socket.
        if len(fields) >= 8 and int(fields[3], 16) & 0x10000:
            found[fields[7]] = fields[6]
    return found


def tcp_listeners(text):
    """Return [(address, port, inode)] of the listening sockets in the text of /proc/net/tcp or tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 10 and fields[3] == LISTEN:
            address, _dummy, port = fields[1].partition(":")
            found.append((_address(address), int(port, 16), fields[9]))
    return found


def _address(text):
    # The kernel prints the address as native-endian 32-bit words.
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def mask(text):
    """Hide credentials in an argument or a configuration value."""
    text = USERINFO.sub(r"\1" + MASK + "@", text)
    name, equals, value = text.partition("=")
    if equals and SECRET_NAME.search(name + value.partition("=")[0]) and not value.startswith("/"):
        return name + "=" + MASK
    return text


def mask_document(value, name=""):
    """Hide credentials anywhere in a configuration document."""
    if isinstance(value, dict):
        return {key: mask_document(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_document(item, name) for item in value]
    if isinstance(value, str):
        return MASK if SECRET_NAME.search(name) and not value.startswith("/") else mask(value)
    return value


class ProcessTable:
    """The processes of this machine as /proc shows them."""

    def __init__(self, root="/proc"):
        """Read nothing yet; C(root) is another directory in tests."""
        self.root = root

    def text(self, *parts):
        """Return the text of a file below /proc; raises OSError."""
        with open(os.path.join(self.root, *parts), "rb") as handle:
            return handle.read().decode("utf-8", "replace")

    def pids(self):
        """Return all process ids, those of a dockerd first."""
        ids = [name for name in os.listdir(self.root) if name.isdigit()]
        return sorted(ids, key=lambda pid: (self.name(pid) != "dockerd", int(pid)))

    def name(self, pid):
        """Return the short name of a process, empty when it has gone."""
        try:
            return self.text(pid, "comm").strip()
        except OSError:
            return ""

    def inodes(self, pid):
        """Return the inodes of all sockets a process holds."""
        found = set()
        directory = os.path.join(self.root, pid, "fd")
        try:
            descriptors = os.listdir(directory)
        except OSError:
            return found
        for descriptor in descriptors:
            try:
                target = os.readlink(os.path.join(directory, descriptor))
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
        return found

    def holders(self, inode):
        """Return the ids of the processes that hold a socket, init only when it is the only one."""
        holding = [pid for pid in self.pids() if pid != "1" and inode in self.inodes(pid)]
        return holding or (["1"] if inode in self.inodes("1") else [])

    def daemons(self):
        """Return the ids of all processes called dockerd that share this process' network."""
        here = self.network("self")
        return [pid for pid in self.pids() if self.name(pid) == "dockerd" and self.network(pid) == here]

    def network(self, pid):
        """Return the name of a process' network namespace, None when it cannot be seen."""
        try:
            return os.readlink(os.path.join(self.root, pid, "ns", "net"))
        except OSError:
            return None

    def arguments(self, pid):
        """Return the command line of a process."""
        return [mask(argument) for argument in self.text(pid, "cmdline").split("\0")[:-1]]

    def unit(self, pid):
        """Return the systemd service a process belongs to, or None."""
        match = re.search(r"/([^/\n]+\.service)$", self.text(pid, "cgroup"), re.MULTILINE)
        return match.group(1) if match else None


def peer(path, timeout=5.0):
    """Return the id of the process that opened the socket for listening (SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        size = struct.calcsize("3i")
        return str(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0])


def find_daemon(processes, path):
    """Return (pid, how) of the daemon that serves a socket; pid is None when nobody but init holds it.

    A socket that systemd opened for the daemon has init as its peer, so there the holder of the
    socket counts. Looking first keeps this from waking an engine that is stopped.
    """
    real = os.path.realpath(path)
    sockets = {
        os.path.realpath(name): inode
        for name, inode in listening_inodes(processes.text("net", "unix")).items()
    }
    holders = processes.holders(sockets[real]) if real in sockets else []
    if holders == ["1"]:
        return None, "only init holds the socket"
    opener = peer(real)
    if opener not in ("0", "1"):
        return opener, "peer of the socket"
    return (
        (holders[0], "holder of the socket")
        if holders
        else (None, "the socket's peer is not visible from here")
    )


def read_daemon(processes, pid, how):
    """Return how the daemon was started. Process ids are left out: they change without meaning."""
    return {
        "found_by": how,
        "name": processes.name(pid),
        "exe": os.path.realpath(os.path.join(processes.root, pid, "exe")),
        "argv": processes.arguments(pid),
        "unit": processes.unit(pid),
        "uid": os.stat(os.path.join(processes.root, pid)).st_uid,
    }


def read_listeners(processes, pid):
    """Return every TCP listener of the daemon, of other daemons, and of others on the Remote API's ports."""
    own = set()
    for daemon in {pid, *processes.daemons()} - {None}:
        own |= processes.inodes(daemon)
    base = pid or "self"
    found = []
    for table in ("tcp", "tcp6"):
        for address, port, inode in tcp_listeners(processes.text(base, "net", table)):
            if inode in own:
                found.append({"address": address, "port": port, "owner": "dockerd"})
            elif port in REMOTE_API_PORTS:
                owners = processes.holders(inode)
                found.append(
                    {"address": address, "port": port, "owner": processes.name(owners[0]) if owners else "?"}
                )
    return sorted(found, key=lambda listener: (listener["port"], listener["address"]))


def socket_units(text):
    """Return the socket units in the output of C(systemctl show), with what they trigger and listen on."""
    units = []
    for block in text.split("\n\n"):
        fields, listens = {}, []
        for line in block.splitlines():
            key, _dummy, value = line.partition("=")
            if key == "Listen":
                listens.append(value)
            else:
                fields[key] = value
        if fields.get("Id"):
            units.append(
                {
                    "unit": fields["Id"],
                    "triggers": fields.get("Triggers", "").split(),
                    "path": fields.get("FragmentPath", ""),
                    "drop_ins": fields.get("DropInPaths", "").split(),
                    "active": fields.get("ActiveState", ""),
                    "listen": listens,
                }
            )
    return units
