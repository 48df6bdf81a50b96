"""First contact: who is asked, in which order, how, and what the answers mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _host_keys
from drcloud.cmdb.snapshot import HostKeyRow, HostRow, Snapshot

HOST = HostRow(
    name="dk-01",
    role="docker",
    state="planned",
    idc="lab",
    room="r1",
    rack="lab/r1/a01",
    address="10.90.0.11",
    ssh_user="ops",
    ssh_port=22,
    ssh_via="bastion-01",
    serial=None,
    asset_tag=None,
    attrs={},
    block_devices=(),
)
BASTION = replace(HOST, name="bastion-01", role="bastion", address="10.90.0.5", ssh_via=None)
DK_02 = replace(HOST, name="dk-02", address="10.90.0.12", ssh_port=2222)
KEY = HostKeyRow("bastion-01", "ssh-ed25519", "AAAA")


def fleet(*hosts, keys=()):
    return Snapshot(
        seq=1, hosts=hosts, host_keys=tuple(keys), registries=(), apps=(), placements=(), environments=()
    )


def test_a_bastion_is_asked_before_the_hosts_behind_it_also_when_nobody_named_it():
    asked = _host_keys.waves(fleet(BASTION, HOST, DK_02), ["dk-02", "dk-01"])
    assert asked.waves == (("bastion-01",), ("dk-01", "dk-02"))
    assert asked.refused == {}


def test_who_has_a_pinned_key_is_not_asked_again():
    asked = _host_keys.waves(fleet(BASTION, HOST, keys=[KEY]), ["dk-01", "bastion-01"])
    assert asked.waves == (("dk-01",),)


@pytest.mark.parametrize("state", ["active", "maintenance", "quarantined"])
def test_a_host_in_service_without_a_key_is_refused(state):
    asked = _host_keys.waves(fleet(replace(BASTION, state=state)), ["bastion-01"])
    assert asked.waves == ()
    assert f"is {state}, but the CMDB holds no SSH host key" in asked.refused["bastion-01"]


def test_a_host_without_address_cannot_be_asked():
    asked = _host_keys.waves(fleet(replace(BASTION, address=None)), ["bastion-01"])
    assert asked.refused == {"bastion-01": "has no address in the CMDB"}


def test_bastions_that_point_at_each_other_do_not_hang():
    loop = replace(BASTION, ssh_via="dk-01")
    assert _host_keys.waves(fleet(loop, HOST), ["dk-01"]).wanted == {"dk-01", "bastion-01"}


def test_one_command_for_each_way_and_port():
    rows = fleet(BASTION, HOST, DK_02)
    (direct,) = _host_keys.commands(rows, ["bastion-01"], "/c", 7)
    assert direct[0] == ["ssh-keyscan", "-T", "7", "-p", "22", "-t", "ed25519,ecdsa,rsa", "10.90.0.5"]
    assert direct[1] == {"10.90.0.5": "bastion-01"}
    behind = list(_host_keys.commands(rows, ["dk-01", "dk-02"], "/c", 7))
    assert [command[:3] for command, _ in behind] == [["ssh", "-F", "/c"]] * 2
    assert [command[command.index("-p") + 1] for command, _ in behind] == ["22", "2222"]
    assert all("bastion-01" in command for command, _ in behind)


def test_hosts_are_asked_in_parts_that_one_program_can_hold():
    """246 connections at once are the most, each host takes three; and a remote command has an end."""
    many = [replace(HOST, name=f"dk-{n:03}", address=f"10.90.{n // 250}.{n % 250 + 1}") for n in range(200)]
    asked = list(_host_keys.commands(fleet(BASTION, *many), [host.name for host in many], "/c", 7))
    assert [len(members) for _, members in asked] == [80, 80, 40]
    assert {name for _, members in asked for name in members.values()} == {host.name for host in many}
    assert all(command[-len(members) :] == list(members) for command, members in asked)


def test_answers_are_read_also_from_other_ports_and_strangers_are_ignored():
    output = (
        "# 10.90.0.11:22 SSH-2.0-OpenSSH_9.2\n"
        "10.90.0.11 ssh-ed25519 AAAA1\n"
        "10.90.0.11 ecdsa-sha2-nistp256 AAAA2\n"
        "[10.90.0.12]:2222 ssh-ed25519 AAAA3\n"
        "10.90.0.99 ssh-ed25519 AAAA4\n"
        "garbage\n"
    )
    found = _host_keys.parse(output, {"10.90.0.11": "dk-01", "10.90.0.12": "dk-02"})
    assert found == {
        "dk-01": {"ssh-ed25519": "AAAA1", "ecdsa-sha2-nistp256": "AAAA2"},
        "dk-02": {"ssh-ed25519": "AAAA3"},
    }


def test_who_does_not_answer_is_named_with_where_it_was_looked_for():
    rows = fleet(BASTION, HOST, DK_02)
    asked = _host_keys.waves(rows, ["dk-01", "dk-02"])
    said = _host_keys.silent(rows, asked, {"bastion-01", "dk-01"})
    assert said == {"dk-02": "no SSH server showed its key at 10.90.0.12 port 2222 through bastion-01"}


def test_a_command_that_cannot_finish_is_given_up():
    assert _host_keys.run(["sleep", "5"], timeout=0.05) == ""


def test_a_part_that_cannot_finish_takes_no_answer_away():
    hangs = ["sh", "-c", "echo 10.90.0.12 ssh-rsa BBBB; exec sleep 30"]
    answers = ["echo", "10.90.0.11 ssh-rsa AAAA"]
    asked = [(hangs, {"10.90.0.12": "dk-02"}), (answers, {"10.90.0.11": "dk-01"})]
    found = _host_keys.ask(asked, timeout=0.5)
    assert found == {"dk-01": {"ssh-rsa": "AAAA"}, "dk-02": {"ssh-rsa": "BBBB"}}
