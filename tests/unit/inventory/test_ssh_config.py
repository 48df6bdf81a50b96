"""The SSH configuration of the fleet, judged by OpenSSH itself."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from drcloud.cmdb import ssh
from drcloud.cmdb.snapshot import HostKeyRow
from drcloud.errors import InvalidInputError


def effective(directory, name) -> dict[str, str]:
    """Return the options that ssh would use for a host."""
    command = ["ssh", "-G", "-F", str(directory / "config"), name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


@pytest.mark.parametrize("name", ["dk-01", "10.90.0.11"])
def test_ssh_finds_a_host_by_name_and_by_address(fleet, tmp_path, name):
    ssh.write(fleet, tmp_path, "/keys/100%/id_ed25519")
    options = effective(tmp_path, name)
    assert options["hostname"] == "10.90.0.11"
    assert options["user"] == "ops"
    assert options["port"] == "22"
    assert options["proxyjump"] == "bastion-01"
    assert options["hostkeyalias"] == "dk-01"
    assert options["stricthostkeychecking"] == "true"
    assert options["userknownhostsfile"] == str(tmp_path / "known_hosts")
    assert options["globalknownhostsfile"] == "/dev/null"
    assert options["identitiesonly"] == "yes"
    assert options["identityfile"] == "/keys/100%%/id_ed25519"  # as written: ssh -G does not unescape


def test_the_bastion_is_reached_directly(fleet, tmp_path):
    ssh.write(fleet, tmp_path)
    options = effective(tmp_path, "bastion-01")
    assert options["port"] == "2222"
    assert "proxyjump" not in options


def test_a_directory_with_a_space_is_one_path(fleet, tmp_path):
    directory = tmp_path / "of the lab"
    ssh.write(fleet, directory)
    assert effective(directory, "dk-01")["userknownhostsfile"] == str(directory / "known_hosts")


def test_ssh_keygen_finds_the_pinned_keys_by_name(fleet, tmp_path):
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIMxZ2uXTeKQ1H3dkP8i9oHZ8e0n8zNzRzP3ZfWcZfW1Y"
    ssh.write(replace(fleet, host_keys=(HostKeyRow("dk-01", "ssh-ed25519", key),)), tmp_path)
    command = ["ssh-keygen", "-F", "dk-01", "-f", str(tmp_path / "known_hosts")]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"dk-01 ssh-ed25519 {key}" in found


def test_files_are_replaced_only_when_they_differ(fleet, tmp_path):
    directory = tmp_path / "new" / "ssh"
    assert ssh.write(fleet, directory) is True
    first = (directory / "config").stat()
    assert ssh.write(fleet, directory) is False
    assert (directory / "config").stat().st_ino == first.st_ino
    assert ssh.write(replace(fleet, host_keys=()), directory) is True
    assert (directory / "config").stat().st_ino == first.st_ino
    assert sorted(os.listdir(directory)) == ["config", "known_hosts"]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "known_hosts").stat().st_mode & 0o777 == 0o600


def test_a_host_without_an_address_is_left_out(fleet, host):
    text = ssh.config_text(replace(fleet, hosts=(host(address=None),)), None, "/known_hosts")
    assert "dk-01" not in text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "dk *", "name 'dk \\*'"),
        ("ssh_user", "ops\n  ProxyCommand touch /tmp/owned", "SSH user"),
        ("address", "-oProxyCommand=id", "address"),
        ("ssh_via", "a,b", "bastion"),
    ],
)
def test_what_would_be_more_than_a_word_is_refused(fleet, host, field, value, said):
    with pytest.raises(InvalidInputError, match=said):
        ssh.config_text(replace(fleet, hosts=(host(**{field: value}),)), None, "/known_hosts")


def test_a_key_that_is_none_is_refused(fleet):
    keys = (HostKeyRow("dk-01", "ssh-ed25519", "AAAA\n* ssh-ed25519 BBBB"),)
    with pytest.raises(InvalidInputError, match="host 'dk-01': its pinned ssh-ed25519 key"):
        ssh.known_hosts_text(replace(fleet, host_keys=keys))


def test_a_path_that_ssh_would_read_otherwise_is_refused(fleet):
    with pytest.raises(InvalidInputError, match="choose another path"):
        ssh.config_text(fleet, "/keys/${HOME}", "/known_hosts")


def test_a_directory_that_cannot_be_made_is_named(fleet, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match=f"cannot write the SSH configuration in {tmp_path}/file/ssh"):
        ssh.write(fleet, tmp_path / "file" / "ssh")
