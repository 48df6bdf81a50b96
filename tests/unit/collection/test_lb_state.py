"""What a load balancer begins with: states of servers, made to fit its configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

FIT = Path(__file__).parents[3] / "collections/dianrong/cloud/roles/load_balancer/files/haproxy-fit"
HEADER = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port "
    "srv_check_addr srv_agent_addr srv_agent_port\n"
)
CONFIG = """
global
    hard-stop-after 10m
frontend demo_prod_frontend from drcloud_http
    default_backend demo_prod
backend demo_prod from drcloud_http
    # server dk-09_a 10.0.0.9:20001
    server dk-01_a 10.0.0.1:20001
    server dk-01_b 10.0.0.1:20002
    server dk-02_a fd00::2:20001
    server dk-03_a dk-03.example.com:20001
backend demo_qa from drcloud_http
    server dk-01_a 10.0.0.1:20011
defaults other
    server dk-04_a 10.0.0.4:20001
"""


def row(
    server: str, address: str, port: int, admin: int = 0, pool: str = "demo_prod", up: bool = True
) -> str:
    operational, checks = ("2", "15 3 2") if up else ("0", "1 0 0")
    states = f"{operational} {admin} 1 1 224 {checks} 6 0 0 0"
    return f"3 {pool} 1 {server} {address} {states} - {port} - 0 0 - - 0"


@pytest.fixture
def fit(tmp_path: Path):
    """What is left of states, as rows; each argument is what one told."""
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG, encoding="utf-8")

    def run(*told: str) -> list[str]:
        said = "".join(f"{HEADER}{rows}\n\n" for rows in told)
        done = subprocess.run(
            ["sh", str(FIT), str(config)], input=said, check=True, capture_output=True, text=True
        )
        assert done.stdout.startswith(HEADER) or not told
        return done.stdout.removeprefix(HEADER).splitlines()

    return run


@pytest.mark.parametrize(
    "told",
    [
        row("dk-01_a", "10.0.0.1", 20001, admin=8),
        row("dk-01_b", "10.0.0.1", 20002, up=False),
        row("dk-02_a", "fd00::2", 20001, admin=1),
        row("dk-03_a", "10.0.0.3", 20001),
        row("dk-01_a", "10.0.0.1", 20011, pool="demo_qa"),
    ],
)
def test_a_server_that_is_where_it_was_keeps_all(fit, told: str) -> None:
    assert fit(told) == [told]


@pytest.mark.parametrize("admin", [0, 1, 8])
@pytest.mark.parametrize(("address", "port"), [("10.0.0.1", 20999), ("10.0.0.8", 20001)])
def test_a_server_that_moved_is_asked_at_its_new_place_and_stays_drained(
    fit, admin: int, address: str, port: int
) -> None:
    assert fit(row("dk-01_a", address, port, admin)) == [row("dk-01_a", "10.0.0.1", 20001, admin, up=False)]


def test_a_new_address_of_ipv6_is_taken_over_whole(fit) -> None:
    assert fit(row("dk-02_a", "10.0.0.2", 20001)) == [row("dk-02_a", "fd00::2", 20001, up=False)]


def test_a_port_moves_without_the_address_of_a_name(fit) -> None:
    assert fit(row("dk-03_a", "10.0.0.3", 1)) == [row("dk-03_a", "10.0.0.3", 20001, up=False)]


@pytest.mark.parametrize(
    "told",
    [
        row("dk-09_a", "10.0.0.9", 20001),
        row("dk-04_a", "10.0.0.4", 20001),
        row("dk-02_a", "10.0.0.2", 20001, pool="demo_qa"),
        row("dk-01_a", "10.0.0.1", 20001, pool="gone_prod"),
    ],
)
def test_who_is_not_in_the_configuration_is_left_out(fit, told: str) -> None:
    assert fit(told) == []


def test_what_is_said_first_of_a_server_counts(fit) -> None:
    peer = row("dk-01_a", "10.0.0.1", 20001, admin=8)
    own = [row("dk-01_a", "10.0.0.1", 20001), row("dk-01_b", "10.0.0.1", 20002, admin=1)]
    assert fit(peer, "\n".join(own)) == [peer, own[1]]


def test_nothing_told_is_nothing(fit) -> None:
    assert fit() == []
