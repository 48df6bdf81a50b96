"""The OpenSSH client configuration of the fleet, made from the CMDB alone.

Host keys are checked strictly and only against those the CMDB holds, so a host whose key is not
pinned yet cannot be reached through this configuration: ``dianrong.cloud.provision`` pins it first.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from drcloud.cmdb.snapshot import HostKeyRow, HostRow, Snapshot
from drcloud.errors import InvalidInputError

CONFIG = "config"
KNOWN_HOSTS = "known_hosts"
HEADER = "# Written by drCloud from the CMDB: changes made here are lost.\n"
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# A word that means nothing but itself in ssh_config and known_hosts: no pattern, comment or option.
PLAIN_WORD = re.compile(r"\w[\w.:%@+$-]*")


def default_directory() -> Path:
    """Return where the SSH configuration of a user's own fleet belongs."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "drcloud" / "ssh"


def config_text(snapshot: Snapshot, identity_file: str | None, known_hosts: str) -> str:
    """Return an ``ssh_config`` that reaches each host by its name or address, through its bastion."""
    blocks = [_block(host) for host in (*snapshot.hosts, *snapshot.others) if host.address]
    # Last, and once for all: ssh takes the first value it finds and reads the file anew for each connection.
    common = [
        "Host *",
        "  StrictHostKeyChecking yes",
        f"  UserKnownHostsFile {_path(known_hosts)}",
        "  GlobalKnownHostsFile /dev/null",
        "  UpdateHostKeys no",
        "  CheckHostIP no",
        # A host that died is noticed in seconds: TCP alone would wait a quarter of an hour for its answer.
        "  ConnectTimeout 10",
        "  ServerAliveInterval 5",
        "  ServerAliveCountMax 3",
    ]
    if identity_file is not None:
        common += [f"  IdentityFile {_path(identity_file)}", "  IdentitiesOnly yes"]
    return HEADER + "".join("\n" + "\n".join(lines) + "\n" for lines in [*blocks, common])


def known_hosts_text(snapshot: Snapshot) -> str:
    """Return a ``known_hosts`` file with the pinned keys, keyed by the names of the hosts."""
    return HEADER + "".join(_known_host(row) for row in snapshot.host_keys)


def proxy_jump(host: HostRow, known: Mapping[str, HostRow]) -> str:
    """Return the bastions on the way to a host, outermost first, in the form of ``ssh -J``."""
    hops: list[str] = []
    passed = {host.name}
    via = host.ssh_via
    while via is not None:
        if via in passed or via not in known:
            reason = "leads back to itself" if via in passed else "is not in the CMDB or retired"
            raise InvalidInputError(f"host {host.name!r}: the way through its bastion {via!r} {reason}")
        passed.add(via)
        bastion = known[via]
        address = _word(bastion.address or bastion.name, via, "address")
        user = _word(bastion.ssh_user, via, "SSH user")
        hops.insert(0, f"{user}@{f'[{address}]' if ':' in address else address}:{bastion.ssh_port}")
        via = bastion.ssh_via
    return ",".join(hops)


def write(snapshot: Snapshot, directory: str | Path, identity_file: str | None = None) -> bool:
    """Write ``config`` and ``known_hosts`` into the directory; return whether anything changed."""
    return install(texts(snapshot, directory, identity_file), directory)


def texts(snapshot: Snapshot, directory: str | Path, identity_file: str | None = None) -> dict[str, str]:
    """Return what belongs into ``known_hosts`` and ``config`` of the directory."""
    folder = Path(directory).absolute()
    return {
        KNOWN_HOSTS: known_hosts_text(snapshot),
        CONFIG: config_text(snapshot, identity_file, str(folder / KNOWN_HOSTS)),
    }


def install(files: Mapping[str, str], directory: str | Path) -> bool:
    """Put files into the directory; return whether anything changed.

    Each file is replaced at once and only when its content differs, so many readers may share it.
    """
    folder = Path(directory).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        changed = [name for name, text in files.items() if _replace(folder / name, text)]
    except OSError as error:
        raise InvalidInputError(
            f"cannot write the SSH configuration in {folder}: {error.strerror}; "
            "give another directory or make it writable"
        ) from error
    return bool(changed)


def _known_host(row: HostKeyRow) -> str:
    kind = _word(row.type, row.host, "host key type")
    if not BASE64.fullmatch(row.key):
        raise InvalidInputError(f"host {row.host!r}: its pinned {kind} key is not base64; pin it again")
    return f"{_word(row.host, row.host, 'name')} {kind} {row.key}\n"


def _block(host: HostRow) -> list[str]:
    name = _word(host.name, host.name, "name")
    address = _word(host.address or "", host.name, "address")
    lines = [
        f"Host {name} {address}",
        f"  HostName {address.replace('%', '%%')}",
        f"  Port {host.ssh_port}",
        f"  User {_word(host.ssh_user, host.name, 'SSH user')}",
        f"  HostKeyAlias {name}",
    ]
    if host.ssh_via:
        lines.append(f"  ProxyJump {_word(host.ssh_via, host.name, 'bastion')}")
    return lines


def _word(value: str, host: str, what: str) -> str:
    if not PLAIN_WORD.fullmatch(value):
        raise InvalidInputError(f"host {host!r}: its {what} {value!r} cannot stand in an SSH configuration")
    return value


def _path(path: str) -> str:
    if any(mark in path for mark in ('"', "\n", "\\", "${")):
        raise InvalidInputError(f"{path!r} cannot stand in an SSH configuration; choose another path")
    return '"' + path.replace("%", "%%") + '"'


def _replace(path: Path, text: str) -> bool:
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    return True
