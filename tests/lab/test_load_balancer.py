"""A pair of load balancers and the address that moves between them: what users lose when one of them goes."""

from __future__ import annotations

import csv
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from drcloud.cmdb import leases, reading, snapshot
from drcloud.cmdb.store import Store
from drcloud.lab.identity import Lab
from drcloud.lab.load import Load, LoadResult, steady

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]
LBS = ("lb-01", "lb-02")
RATE = 40.0
SOCKET = "socat - UNIX-CONNECT:/run/haproxy/admin.sock"
SAY = "/usr/local/lib/drcloud/haproxy-say"

# Two servers of our own behind the VIP, so that no deploy is needed and none is disturbed. They keep who asks
# for /hold waiting until somebody asks for /release.
SERVER = """
import http.server, json, sys, threading

released = threading.Event()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/hold":
            released.wait(60)
        if self.path == "/release":
            released.set()
        body = json.dumps({"version": sys.argv[1], "proto": self.headers.get("X-Forwarded-Proto")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
"""
PORTS = {"a": 20998, "b": 20999}
POOL, PORT, VIP_PORT, TLS_PORT = "probe_qa", 8180, 8181, 8443
ROLE = """
- hosts: role_lb
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.include_role:
        name: dianrong.cloud.load_balancer
"""


@pytest.fixture(scope="module")
def addresses(provisioned: Lab) -> dict[str, str]:
    return {host.name: host.address or "" for host in snapshot.read(Store.open()).hosts}


@pytest.fixture(scope="module")
def vip(provisioned: Lab) -> str:
    """The VIP that the lab declares for its load balancers."""
    [found] = reading.read(Store.open(), "vip", ["www"])
    return str(found.fields["address"])


@pytest.fixture(scope="module")
def certificate(provisioned: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate for www.lab, signed by the lab's CA, in files that references name."""
    home = tmp_path_factory.mktemp("certificate")
    ca = provisioned.state / "ca"
    commands = (
        f"openssl ecparam -name prime256v1 -genkey -noout -out {home}/key.pem",
        f"openssl req -new -key {home}/key.pem -subj /CN=www.lab -addext subjectAltName=DNS:www.lab "
        f"-out {home}/request.pem",
        f"openssl x509 -req -in {home}/request.pem -CA {ca}/ca.pem -CAkey {ca}/ca.key -copy_extensions copy "
        f"-days 2 -out {home}/www.pem",
    )
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
    return {"name": "www", "pem": f"file:{home}/www.pem", "private_key": f"file:{home}/key.pem"}


@pytest.fixture(scope="module")
def apply(play: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Bring both load balancers to the CMDB's pools and those given here."""
    home = tmp_path_factory.mktemp("role")
    (home / "role.yml").write_text(ROLE, encoding="utf-8")

    def run(*pools: dict[str, object], **variables: object) -> subprocess.CompletedProcess[str]:
        given = (
            {"load_balancer_pools": "{{ dr_lb_pools + probe_pools }}", "probe_pools": pools} if pools else {}
        )
        (home / "pools.json").write_text(json.dumps(given | variables), encoding="utf-8")
        return play(str(home / "role.yml"), "-e", f"@{home / 'pools.json'}")

    return run


@pytest.fixture(scope="module")
def pool(addresses: dict[str, str], vip: str, certificate: dict[str, str]) -> dict[str, object]:
    tls = {"vip": "www", "address": vip, "port": TLS_PORT, "certificate": certificate}
    plain = {"vip": "www", "address": vip, "port": VIP_PORT, "certificate": None}
    member = {"host": "infra-01", "address": addresses["infra-01"], "slots": PORTS}
    return {
        "name": POOL, "app": "probe", "env": "qa", "port": PORT, "mode": "http", "health_path": "/",
        "min_in_service": 1, "binds": [plain, tls], "members": [member],
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def served(apply: Run, on: Run, pool: dict[str, object], vip: str) -> Iterator[str]:
    """The probe pool, served at the VIP; afterwards both are as provision leaves them."""
    stop = "sudo systemctl stop drc-probe-a drc-probe-b"
    on("infra-01", stop)
    for slot, port in PORTS.items():
        unit = f"sudo systemd-run --quiet --collect --unit=drc-probe-{slot}"
        done = on("infra-01", f"{unit} python3 -c {quoted(SERVER)} {slot} {port}")
        assert done.returncode == 0, done.stderr
    try:
        done = apply(pool)
        assert done.returncode == 0, done.stdout
        wait_for(lambda: answer(f"http://{vip}:{VIP_PORT}/"), 40)
        yield f"http://{vip}:{VIP_PORT}/"
    finally:
        on("infra-01", stop)
        done = apply()
        assert done.returncode == 0, done.stdout
        for lb in LBS:
            on(lb, "sudo rm -f /etc/haproxy/certificates/www.pem")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def answer(url: str, seconds: float = 2) -> dict[str, str] | None:
    try:
        with urllib.request.urlopen(url, timeout=seconds) as got:
            return dict(json.load(got))
    except OSError:
        return None


def wait_for(what: Callable[[], object], seconds: float) -> object:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds:.0f} s")


def holders(on: Run, vip: str) -> list[str]:
    """Who holds the VIP; asked of each host itself."""
    return [lb for lb in LBS if vip in on(lb, "ip -4 -oneline address").stdout]


def holder(on: Run, vip: str) -> str:
    """The one who holds the VIP, once it is one."""
    found = wait_for(lambda: one if len(one := holders(on, vip)) == 1 else None, 30)
    assert isinstance(found, list)
    return str(found[0])


def other(lb: str) -> str:
    return next(one for one in LBS if one != lb)


def under_load(url: str, act: Callable[[], object]) -> LoadResult:
    """Do something while the VIP is asked steadily, and go on until it answers again."""
    load = Load([url], steady(RATE))
    load.start()
    try:
        act()
        wait_for(lambda: answer(url), 20)
    finally:
        seen = load.stop()
    print(f"{seen.served} served, {seen.failed} failed {seen.errors}")
    return seen


def rows(on: Run, lb: str) -> dict[str, list[str]]:
    """What a load balancer says of each server of the probe pool, in HAProxy's columns."""
    lines = on(lb, f"echo 'show servers state {POOL}' | sudo {SOCKET}").stdout.splitlines()
    return {line.split()[3]: line.split() for line in lines if f" {POOL} " in line}


def states(on: Run, lb: str) -> dict[str, int]:
    """The administrative state of each server, in HAProxy's bits."""
    return {server: int(row[6]) for server, row in rows(on, lb).items()}


def sessions(on: Run, lb: str) -> int:
    """How many sessions the probe pool's servers have."""
    lines = on(lb, f"echo 'show stat {POOL} 4 -1' | sudo {SOCKET}").stdout.splitlines()
    return sum(int(line.split(",")[4]) for line in lines if line.startswith(f"{POOL},"))


def places(on: Run, lb: str) -> dict[str, str]:
    """The port of each server."""
    return {server: row[18] for server, row in rows(on, lb).items()}


def put(on: Run, lb: str, server: str, state: str) -> None:
    done = on(lb, f"echo 'set server {POOL}/{server} state {state}' | sudo {SAY} change")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def kill_haproxy(on: Run, lb: str) -> dict[str, int]:
    """Kill it, and return the states that its successor begins with."""
    on(lb, "sudo systemctl kill --signal=KILL haproxy")
    found = wait_for(lambda: states(on, lb), 40)
    assert isinstance(found, dict)
    return found


def ask(lb: str, arguments: str, module: str = "lb_pool_info") -> dict[str, object]:
    """Ask a module of the collection on the controller."""
    command = [
        str(Path(sys.executable).parent / "ansible"),
        "-i",
        "inventories/lab/lab.cmdb.yml",
        "localhost",
    ]
    given = f"app=probe env=qa lbs={lb} {arguments}"
    done = subprocess.run(
        [*command, "-m", f"dianrong.cloud.{module}", "-a", given],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return dict(json.loads(done.stdout.partition("=>")[2]))


def test_one_of_two_holds_the_address_and_both_listen_at_it(on: Run, vip: str, served: str) -> None:
    holder(on, vip)
    look = "ss -Hltn; cat /proc/sys/net/ipv4/ip_nonlocal_bind; systemctl is-enabled haproxy keepalived"
    for lb in LBS:
        *sockets, bind, haproxy, keepalived = on(lb, look).stdout.splitlines()
        assert f"{vip}:{VIP_PORT}" in "\n".join(sockets)
        assert (bind, haproxy, keepalived) == ("1", "enabled", "enabled")
    assert wait_for(lambda: answer(served), 10) in [{"version": slot, "proto": "http"} for slot in PORTS]


def test_tls_ends_at_the_load_balancer_and_old_versions_are_refused(provisioned: Lab, vip: str) -> None:
    trust = ssl.create_default_context(cafile=str(provisioned.state / "ca" / "ca.pem"))
    trust.check_hostname = False
    with urllib.request.urlopen(f"https://{vip}:{TLS_PORT}/", timeout=5, context=trust) as got:
        assert json.load(got)["proto"] == "https"
    old = ssl.create_default_context(cafile=str(provisioned.state / "ca" / "ca.pem"))
    old.check_hostname = False
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError, match="SSL"):
        urllib.request.urlopen(f"https://{vip}:{TLS_PORT}/", timeout=5, context=old)


@pytest.mark.lab_slow
def test_what_a_killed_run_wrote_is_loaded_and_a_second_run_changes_nothing(
    apply: Run, on: Run, pool: dict[str, object]
) -> None:
    on(LBS[0], "sudo touch /etc/haproxy/haproxy.cfg")
    for changes in (1, 0):
        done = apply(pool)
        assert done.returncode == 0, done.stdout
        counts = re.findall(rf"^({'|'.join(LBS)}) .*changed=(\d+)", done.stdout, re.MULTILINE)
        assert dict(counts) == {LBS[0]: str(changes), LBS[1]: "0"}, done.stdout


def test_reloads_lose_no_request_and_keep_what_is_drained(on: Run, vip: str, served: str) -> None:
    lb = holder(on, vip)
    put(on, lb, "infra-01_a", "drain")
    try:
        seen = under_load(served, lambda: [on(lb, "sudo systemctl reload haproxy") for _ in range(4)])
        assert (seen.failed, seen.by_version) == (0, {"b": seen.served})
        assert states(on, lb) == {"infra-01_a": 8, "infra-01_b": 0}
    finally:
        put(on, lb, "infra-01_a", "ready")
    assert holder(on, vip) == lb


def test_a_load_balancer_that_comes_back_knows_what_is_drained(on: Run, vip: str) -> None:
    lb = holder(on, vip)
    back = other(lb)
    put(on, lb, "infra-01_b", "maint")
    try:
        assert kill_haproxy(on, back) == states(on, lb) == {"infra-01_a": 0, "infra-01_b": 1}
    finally:
        for one in LBS:
            put(on, one, "infra-01_b", "ready")


def test_a_load_balancer_that_nobody_tells_anything_knows_what_was_drained_there(on: Run, vip: str) -> None:
    lb = holder(on, vip)
    back = other(lb)
    on(lb, "sudo systemctl stop drcloud-lb-state.socket")
    try:
        put(on, back, "infra-01_b", "maint")
        assert kill_haproxy(on, back) == {"infra-01_a": 0, "infra-01_b": 1}
    finally:
        on(lb, "sudo systemctl start drcloud-lb-state.socket")
        put(on, back, "infra-01_b", "ready")


def test_a_server_that_moved_is_asked_at_its_new_place(on: Run, vip: str, addresses: dict[str, str]) -> None:
    """The slots change their ports; the states before, here and at the other one, have the old ones."""
    lb = other(holder(on, vip))
    old = {f"infra-01_{slot}": str(port) for slot, port in PORTS.items()}
    a, b = old.values()
    new = {"infra-01_a": b, "infra-01_b": a}
    change = f"sudo sed -i 's/:{a}$/:x/; s/:{b}$/:{a}/; s/:x$/:{b}/' /etc/haproxy/haproxy.cfg"
    put(on, lb, "infra-01_b", "drain")
    try:
        done = on(lb, f"{change} && sudo systemctl reload haproxy")
        assert done.returncode == 0, done.stderr
        assert (places(on, lb), states(on, lb)) == (new, {"infra-01_a": 0, "infra-01_b": 8})
        said = wait_for(lambda: answer(f"http://{addresses[lb]}:{PORT}/"), 30)
        assert said == {"version": "b", "proto": "http"}
        kill_haproxy(on, lb)
        assert places(on, lb) == new
    finally:
        on(lb, f"{change} && sudo systemctl reload haproxy")
        put(on, lb, "infra-01_b", "ready")
    assert places(on, lb) == old


def test_a_reload_that_cannot_be_fails_and_what_was_goes_on(on: Run, vip: str, served: str) -> None:
    """The configuration is good in itself, and another one listens there already."""
    lb = other(holder(on, vip))
    config = "/etc/haproxy/haproxy.cfg"
    bind = r"s/^    bind .*:8404$/&\n    bind 127.0.0.1:22/"
    done = on(lb, f"sudo cp -p {config} {config}.kept && sudo sed -i '{bind}' {config}")
    assert done.returncode == 0, done.stderr
    try:
        done = on(lb, "sudo systemctl reload haproxy")
        assert done.returncode != 0
        said = "sudo journalctl -o cat -n 40 -u haproxy"
        wait_for(lambda: "HAProxy goes on with what it had" in on(lb, said).stdout, 10)
        assert set(states(on, lb).values()) == {0}
    finally:
        done = on(lb, f"sudo mv {config}.kept {config} && sudo systemctl reload haproxy")
    assert done.returncode == 0, done.stderr


def test_requests_of_a_process_that_was_replaced_are_waited_for(on: Run, vip: str, served: str) -> None:
    lb = holder(on, vip)
    with ThreadPoolExecutor(1) as clients:
        held = clients.submit(answer, f"{served}hold", 60)
        try:
            wait_for(lambda: sessions(on, lb) == 1, 30)
            done = on(lb, "sudo systemctl reload haproxy")
            assert done.returncode == 0, done.stderr
            waited = ask(",".join(LBS), "host=infra-01 state=drain min_in_service=0 wait=1", "lb_member")
            assert "1 requests are left on infra-01_a and infra-01_b after 1 s" in str(waited["msg"])
        finally:
            release = "import urllib.request; urllib.request.urlopen('http://localhost:{}/release')"
            for port in PORTS.values():
                on("infra-01", f"python3 -c {quoted(release.format(port))}")
            back = ask(",".join(LBS), "host=infra-01 state=ready wait=10", "lb_member")
        assert held.result() is not None
    assert back["changed"] is True


def test_the_state_is_told_to_load_balancers_only(on: Run, addresses: dict[str, str]) -> None:
    command = f"socat -u -T2 TCP:{addresses['lb-02']}:8405,connect-timeout=2 STDOUT"
    assert "be_id" in on("lb-01", command).stdout
    with (
        # The same refusal looks different when it comes between connecting and asking.
        pytest.raises(OSError, match=r"refused|reset|timed out|without response|Broken pipe"),
        urllib.request.urlopen(f"http://{addresses['lb-02']}:8405/", timeout=3),
    ):
        pass


def test_the_address_leaves_a_load_balancer_whose_haproxy_is_gone(on: Run, vip: str, served: str) -> None:
    lb = holder(on, vip)
    try:
        seen = under_load(served, lambda: (on(lb, "sudo systemctl stop haproxy"), moved(on, vip, other(lb))))
        # Two checks of a second each, and the sign of life that is missing.
        assert seen.failed <= 5 * RATE, seen.errors
        assert seen.served > 0
    finally:
        on(lb, "sudo systemctl start haproxy")
    # It stays where it is: each move breaks connections.
    wait_for(lambda: "BACKUP STATE" in on(lb, "sudo journalctl -o cat -n 3 -u keepalived").stdout, 40)
    assert holder(on, vip) == other(lb)


def moved(on: Run, vip: str, to: str) -> None:
    wait_for(lambda: to in holders(on, vip), 15)


def test_a_haproxy_that_is_killed_is_back_within_seconds(on: Run, vip: str, served: str) -> None:
    lb = holder(on, vip)
    seen = under_load(served, lambda: on(lb, "sudo systemctl kill --signal=KILL haproxy"))
    assert seen.failed <= 6 * RATE, seen.errors
    holder(on, vip)


def test_a_keepalived_that_is_killed_leaves_no_address_behind(on: Run, vip: str, served: str) -> None:
    """It does not come back here: systemd's next one would have the address again, left behind or not."""
    lb = holder(on, vip)
    place = "/run/systemd/system/keepalived.service.d"
    stay = f"sudo mkdir -p {place} && printf '[Service]\\nRestart=no\\n' | sudo tee {place}/zz-stay.conf"
    done = on(lb, f"{stay} && sudo systemctl daemon-reload")
    assert done.returncode == 0, done.stderr
    try:
        seen = under_load(
            served,
            lambda: (on(lb, "sudo systemctl kill --signal=KILL keepalived"), moved(on, vip, other(lb))),
        )
        assert seen.failed <= 4 * RATE, seen.errors
        wait_for(lambda: on(lb, "systemctl is-active keepalived").stdout.strip() == "failed", 20)
        assert holders(on, vip) == [other(lb)]
    finally:
        on(lb, f"sudo rm -r {place} && sudo systemctl daemon-reload && sudo systemctl start keepalived")
    assert holder(on, vip) == other(lb)


@pytest.mark.lab_slow
def test_a_load_balancer_that_hangs_or_dies_is_replaced(
    provisioned: Lab, on: Run, vip: str, served: str
) -> None:
    """A host that hangs still holds the address, and the neighbours are told of another one."""
    for verb, undo in (("pause", "unpause"), ("kill", "start")):
        lb = holder(on, vip)
        container = f"{provisioned.name}-{lb}"

        def fail(verb: str = verb, container: str = container) -> None:
            subprocess.run(["docker", verb, container], check=True, capture_output=True)
            wait_for(lambda: answer(served), 20)

        try:
            print(verb, end=": ")
            seen = under_load(served, fail)
            assert seen.failed <= 5 * RATE, seen.errors
            assert vip in on(other(lb), "ip -4 -oneline address").stdout
        finally:
            subprocess.run(["docker", undo, container], check=True, capture_output=True)
            wait_for(lambda lb=lb: on(lb, "systemctl is-active haproxy").returncode == 0, 60)
        holder(on, vip)


@pytest.mark.lab_slow
def test_after_a_partition_one_of_them_holds_the_address(on: Run, vip: str, served: str) -> None:
    rule = "INPUT --protocol 112 --jump DROP"
    for lb in LBS:
        done = on(lb, f"sudo iptables --insert {rule}")
        assert done.returncode == 0, done.stderr
    try:
        # Two machines have no majority: who hears nothing of the other holds the address.
        wait_for(lambda: holders(on, vip) == list(LBS), 20)
    finally:
        for lb in LBS:
            on(lb, f"sudo iptables --delete {rule}")
    under_load(served, lambda: holder(on, vip))
    assert len(holders(on, vip)) == 1


def test_capacity_is_what_every_load_balancer_serves(on: Run, vip: str, addresses: dict[str, str]) -> None:
    both = ",".join(LBS)
    found = ask(both, "leaving=infra-01")
    assert (found["staying"], found["in_service"]) == (0, ["infra-01"])
    lb = other(holder(on, vip))
    on(lb, "sudo systemctl stop haproxy")
    try:
        found = ask(both, "")
        assert (found["count"], found["in_service"]) == (0, [])
        lbs = found["lbs"]
        assert isinstance(lbs, dict)
        assert (lbs[lb]["answers"], lbs[other(lb)]["in_service"]) == (False, ["infra-01"])
        assert f"load balancer {lb}" in lbs[lb]["reason"]
    finally:
        on(lb, "sudo systemctl start haproxy")
    wait_for(lambda: ask(both, "")["count"] == 1, 60)


def test_a_host_is_drained_by_both_slots_unless_it_must_stay(on: Run) -> None:
    given = "host=infra-01 state=drain"
    both = ",".join(LBS)
    refused = ask(both, f"{given} min_in_service=1", "lb_member")
    assert "would keep 0 hosts in service without infra-01, and 1 must stay" in str(refused["msg"])
    store = Store.open()
    leases.acquire(store, [(f"lb:{POOL}", False)], holder="r-1", purpose="deploy", ttl=timedelta(minutes=2))
    try:
        refused = ask(both, f"{given} min_in_service=0", "lb_member")
        assert f"lb:{POOL} is locked by r-1 for deploy since" in str(refused["msg"])
    finally:
        leases.release(store, "r-1")
    assert states(on, "lb-01") == {"infra-01_a": 0, "infra-01_b": 0}
    done = ask(both, f"{given} wait=5", "lb_member")
    assert (done["changed"], done["sessions"]) == (True, 0)
    assert all(states(on, lb) == {"infra-01_a": 8, "infra-01_b": 8} for lb in LBS)
    back = ask(both, "host=infra-01 state=ready wait=5", "lb_member")
    assert back["changed"] is True
    assert all(states(on, lb) == {"infra-01_a": 0, "infra-01_b": 0} for lb in LBS)


def test_who_lost_a_lock_cannot_act_any_more(on: Run, vip: str, served: str) -> None:
    def say(fence: str, state: str) -> tuple[int, str]:
        lines = f"fence {fence}\\nset server {POOL}/infra-01_a state {state}\\n"
        done = on("lb-01", f"printf '{lines}' | sudo {SAY} change")
        return done.returncode, done.stderr

    kept = f"/var/lib/drcloud/fence/lb:{POOL}"
    seen = int(on("lb-01", f"sudo cat {kept} 2> /dev/null || echo 0").stdout)
    begun, old, new = states(on, "lb-01"), seen + 1, seen + 2
    assert say(f"{POOL} {new}", "drain")[0] == 0
    assert states(on, "lb-01") != begun
    code, words = say(f"{POOL} {old}", "ready")
    told = f"a newer operation (token {new}) was here, this one (token {old})"
    assert (code, told in words) == (75, True)
    assert states(on, "lb-01") != begun
    assert say("another_pool 6", "ready")[0] == 0
    assert say("../etc 9", "drain")[0] == 2
    assert say(f"{POOL} x", "drain")[0] == 2
    put(on, "lb-01", "infra-01_a", "ready")
    assert states(on, "lb-01") == begun
    restore = f"echo {seen} | sudo tee {kept}" if seen else f"sudo rm {kept}"
    on("lb-01", f"{restore}; sudo rm /var/lib/drcloud/fence/lb:another_pool")


def test_statistics_are_read_only(on: Run, addresses: dict[str, str]) -> None:
    url = f"http://{addresses['lb-01']}:8404/stats;csv"
    with urllib.request.urlopen(url, timeout=5) as got:
        rows = list(csv.DictReader(got.read().decode().removeprefix("# ").splitlines()))
    assert POOL in {row["pxname"] for row in rows}
    change = urllib.request.Request(url, data=f"s=infra-01_a&action=drain&b={POOL}".encode())
    with urllib.request.urlopen(change, timeout=5) as told:
        assert "DENY" in told.url
    assert set(states(on, "lb-01").values()) == {0}


@pytest.mark.lab_slow
def test_a_pool_of_mode_tcp_passes_on_what_it_gets(apply: Run, pool: dict[str, object], vip: str) -> None:
    """At the port that has TLS otherwise, which the edge lets pass."""
    plain = {"vip": "www", "address": vip, "port": VIP_PORT, "certificate": None}
    tcp = {**pool, "name": "bytes_qa", "mode": "tcp", "port": 8182, "binds": [{**plain, "port": TLS_PORT}]}
    done = apply({**pool, "binds": [plain]}, tcp)
    assert done.returncode == 0, done.stdout
    try:
        seen = wait_for(lambda: answer(f"http://{vip}:{TLS_PORT}/"), 40)
        assert isinstance(seen, dict)
        assert seen["version"] in PORTS
        # Where requests are read, the header says http.
        assert seen["proto"] is None
    finally:
        done = apply(pool)
        assert done.returncode == 0, done.stdout


@pytest.mark.lab_slow
def test_only_who_knows_the_password_has_a_say_in_who_holds_the_address(
    apply: Run, pool: dict[str, object], on: Run, vip: str, served: str, tmp_path: Path
) -> None:
    """One of them gets another password: each then hears of nobody, and both hold the address."""
    secret, stranger = "s3cret-1", "s3cret-2"
    file = tmp_path / "password"
    file.write_text(f"{secret}\n", encoding="utf-8")
    reference = {"load_balancer_vrrp_password": f"file:{file}"}
    place = "/etc/keepalived/drcloud-password.conf"
    try:
        done = apply(pool, **reference)
        assert done.returncode == 0, done.stdout
        assert secret not in done.stdout
        lb = holder(on, vip)
        assert on(lb, f"sudo stat --format %a {place}").stdout.strip() == "600"
        assert apply(pool, **reference).stdout.count("changed=0") == len(LBS)
        under_load(served, lambda: (on(lb, "sudo systemctl stop haproxy"), moved(on, vip, other(lb))))
        on(lb, "sudo systemctl start haproxy")
        holder(on, vip)

        on(lb, f"sudo sed --in-place s/{secret}/{stranger}/ {place} && sudo systemctl restart keepalived")
        wait_for(lambda: holders(on, vip) == list(LBS), 30)
    finally:
        done = apply(pool)
        assert done.returncode == 0, done.stdout
    holder(on, vip)
    assert on("lb-01", f"sudo test -e {place}").returncode == 1


@pytest.mark.lab_slow
def test_an_expired_certificate_is_told_before_anything_changes(
    apply: Run, pool: dict[str, object], certificate: dict[str, str], vip: str
) -> None:
    expired = {**certificate, "name": "old", "not_after": "2025-03-01T00:00:00Z"}
    bind = {"vip": "www", "address": vip, "port": TLS_PORT, "certificate": expired}
    done = apply({**pool, "binds": [bind]})
    assert done.returncode != 0
    assert "certificate old expired on 2025-03-01: renew it first" in done.stdout
    assert done.stdout.count("changed=0") == len(LBS)
