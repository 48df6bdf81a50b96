"""The central log on real hosts: what is written arrives, once and in order, whoever dies in between.

dk-04 writes, from a container and from the host; infra-01 keeps. Lines are numbered and counted.
"""

from __future__ import annotations

import collections
import datetime
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _instance
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]
CLIENT, SERVER = "dk-04", "infra-01"
APP = {"app": "demo", "env": "qa", "slot": "a", "tag": "rt68", "revision": "0123456789abcdef"}
INVENTORY = "inventories/lab/lab.cmdb.yml"
LOGS = "/var/log/drcloud/lab"
IMAGE = "drc-test/say:1"
# An image of a shell, made on the host from the host's own files.
MAKE_IMAGE = (
    "sudo tar --create --dereference --directory / --file - bin/sh bin/sleep lib64/ld-linux-x86-64.so.2 "
    f"lib/x86_64-linux-gnu/libc.so.6 | sudo docker import - {IMAGE}"
)
ROLE = """\
- hosts: dk-04
  gather_facts: false
  become: true
  roles: [dianrong.cloud.central_logging]
"""


class Central:
    """What the tests do to the central log."""

    def __init__(self, on: Run) -> None:
        self.run = on

    def do(self, host: str, command: str, timeout: float = 60) -> str:
        done = self.run(host, command, timeout=timeout)
        assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def stop_server(self) -> None:
        """Stop the server; what the client sends until it notices is on its way, and sent again later."""
        self.do(SERVER, "sudo systemctl stop drcloud-log-server")
        look = (
            "logger --tag drc-test away; sudo ss --no-header --tcp dport = 20514 | grep -v SYN-SENT || true"
        )
        eventually(lambda: not self.do(CLIENT, look))

    def start_server(self) -> None:
        self.do(SERVER, "sudo systemctl start drcloud-log-server")

    def contain(self, word: str, count: int, detach: bool = False) -> None:
        """Write numbered lines from a container with the labels of an instance."""
        labels = " ".join(f"--label {_instance.LABEL}{name}={value}" for name, value in APP.items())
        logged = ",".join(_instance.LABEL + name for name in _instance.LOGGED)
        script = f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo {word} $i; done"
        how = "--detach" if detach else "--rm"
        options = f"--name drc-test-{word} --network none --log-opt labels={logged} {labels} {how}"
        self.do(CLIENT, f"sudo docker run {options} {IMAGE} /bin/sh -c {shlex.quote(script)}")

    def say(self, word: str, count: int) -> None:
        """Write numbered lines on the host."""
        self.do(CLIENT, f"seq --format '{word} %.0f' 1 {count} | sudo systemd-cat --identifier drc-test")

    def records(self, place: str) -> list[dict]:
        """Return what the server keeps of a place, as it stands there."""
        text = self.do(SERVER, f"sudo sh -c 'cat {LOGS}/{place}/*.log 2> /dev/null' || true")
        return [json.loads(line) for line in text.splitlines()]

    def numbers(self, word: str, place: str) -> list[int]:
        """Return the numbers of the lines with a word, in the order in which they were kept."""
        pattern = shlex.quote(f'"{word} [0-9]*"')
        command = (
            f"sudo sh -c 'grep --no-filename --only-matching \"$1\" {LOGS}/{place}/*.log' - {pattern} || true"
        )
        return [int(line.strip('"').split()[1]) for line in self.do(SERVER, command).splitlines()]

    def place(self) -> str:
        """Return the newest place in the client's journal."""
        (entry,) = self.do(CLIENT, "sudo journalctl --quiet --lines 1 --output json").splitlines()
        return str(json.loads(entry)["__CURSOR"])

    def said(self, after: str) -> list[tuple[str, str]]:
        """Return time and message of all that the client's journal has after a place."""
        command = f"sudo journalctl --quiet --all --output json --after-cursor {shlex.quote(after)}"
        shown = self.do(CLIENT, f"{command} --output-fields MESSAGE")
        return [moment_and_message(json.loads(line)) for line in shown.splitlines()]

    def kept(self, first: str) -> set[tuple[str, str]]:
        """Return time and message of all that the server keeps of the client from a moment on."""
        program = (
            "import glob, json, sys\n"
            f"for name in glob.glob('{LOGS}/*/*/{CLIENT}/*.log'):\n"
            "    for line in open(name):\n"
            "        row = json.loads(line)\n"
            "        if row.get('time', '') < sys.argv[1]: continue\n"
            "        print(json.dumps([row['time'], row['message']]))\n"
        )
        shown = self.do(SERVER, f"sudo python3 -c {shlex.quote(program)} {first}")
        return {(time, message) for time, message in map(json.loads, shown.splitlines())}

    def queue(self) -> dict:
        """Return the newest counters of the client's queue, as rsyslog tells them."""
        shown = self.do(CLIENT, f"sudo tac {STATS} | grep --max-count 1 'central-log queue' || true")
        return json.loads(shown[shown.find("{") :] or "{}")

    def health(self) -> dict:
        """Return the client's own count, as of now."""
        self.do(CLIENT, "sudo systemctl start drcloud-log-health.service")
        return json.loads(self.do(CLIENT, "sudo cat /var/lib/drcloud/log-client/health.json"))


CONTAINER, HOST = f"demo/qa/{CLIENT}", f"_host/_/{CLIENT}"
STATS = "/var/lib/drcloud/log-client/stats"
NO_ROOM = "/var/lib/drcloud/log-reserve/stopped"


def moment_and_message(entry: dict) -> tuple[str, str]:
    """Return time and message of an entry of the journal as the server keeps them."""
    micro = int(entry["__REALTIME_TIMESTAMP"])
    moment = datetime.datetime.fromtimestamp(micro // 1_000_000, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micro % 1_000_000:06}+00:00", entry["MESSAGE"]


def eventually(look: Callable[[], object], seconds: float = 40) -> None:
    """Wait until something holds; a comparison that fails last is the test's failure."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            assert look()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


@pytest.fixture(scope="module")
def central(provisioned: Lab, on: Run) -> Iterator[Central]:
    """The central log, with a container image on the client to write with."""
    found = Central(on)
    found.do(CLIENT, MAKE_IMAGE)
    yield found
    found.start_server()
    found.run(CLIENT, "sudo docker rm --force $(sudo docker ps --all --quiet --filter name=drc-test-)")
    found.do(CLIENT, f"sudo docker rmi {IMAGE}")


@pytest.fixture(scope="module")
def drcloud(provisioned: Lab) -> Run:
    """Run the command: ``drcloud("logs", "demo", "--env", "qa")``."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "drcloud", *arguments, "-i", INVENTORY],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=provisioned.checkout,
            env={**os.environ, **variables},
        )

    return run


@pytest.fixture
def role(provisioned: Lab, play: Run, tmp_path: Path) -> Run:
    """Apply the client's role with other variables."""
    playbook = tmp_path / "role.yml"
    playbook.write_text(ROLE)

    def run(*arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        return play(str(playbook), *arguments, "-e", json.dumps(variables))

    return run


def words(test: str) -> str:
    """Return a word that no other run of the tests has written."""
    return f"{test}{time.time_ns() // 1_000_000}"


def test_a_line_arrives_with_all_that_is_known_of_its_container(central: Central) -> None:
    word = words("fields")
    central.contain(word, 1)
    eventually(lambda: central.numbers(word, CONTAINER) == [1])
    (record,) = [row for row in central.records(CONTAINER) if row["message"] == f"{word} 1"]
    assert {name: record[name] for name in APP} == APP
    assert (record["idc"], record["host"], record["container"]) == ("lab", CLIENT, f"drc-test-{word}")
    assert record["severity"] == "info"


def test_the_hosts_own_log_arrives_with_who_said_it(central: Central) -> None:
    word = words("host")
    central.do(CLIENT, f"logger --priority auth.warning --tag drc-test '{word} 1'")
    eventually(lambda: central.numbers(word, HOST) == [1])
    (record,) = [row for row in central.records(HOST) if row["message"] == f"{word} 1"]
    assert (record["program"], record["facility"], record["severity"]) == ("drc-test", "auth", "warning")


def test_an_outage_loses_nothing_and_stops_nobody(central: Central) -> None:
    """The server is down; a container starts and writes, so does the host; rsyslog restarts meanwhile."""
    word, count, before = words("outage"), 1000, central.health()["dropped"]
    central.stop_server()
    try:
        started = time.monotonic()
        central.contain(word, count)
        assert time.monotonic() - started < 30
        central.do(CLIENT, "sudo systemctl restart rsyslog")
        central.say(word, count)
        assert central.numbers(word, CONTAINER) == central.numbers(word, HOST) == []
    finally:
        central.start_server()
    expected = list(range(1, count + 1))
    for place in (HOST, CONTAINER):
        eventually(lambda place=place: sorted(set(central.numbers(word, place))) == expected, 120)
        assert len(central.numbers(word, place)) <= count + 256
    assert central.health()["dropped"] == before


@pytest.mark.parametrize("way", ["restart", "kill --signal KILL"])
def test_a_forwarder_that_ends_while_the_server_hangs_loses_nothing(central: Central, way: str) -> None:
    """What left its queue and was never acknowledged is in the journal; the rest is sent once."""
    word, count, before = words("hung"), 1000, central.health()["dropped"]
    try:
        central.do(SERVER, "sudo systemctl kill --signal STOP drcloud-log-server")
        central.say(word, count)
        eventually(lambda: central.queue().get("size", 0) > count / 2)
        central.do(CLIENT, f"sudo systemctl {way} rsyslog", timeout=90)
        central.say(f"{word}-later", 1)
    finally:
        central.do(SERVER, "sudo systemctl kill --signal KILL drcloud-log-server")
    expected = list(range(1, count + 1))
    eventually(lambda: sorted(set(central.numbers(word, HOST))) == expected, 120)
    # What the server kept before it hung, and what is read again to be sure.
    assert len(central.numbers(word, HOST)) <= count + 128 + 256
    assert central.health()["dropped"] == before


def test_a_killed_server_loses_nothing(central: Central) -> None:
    """What it had not acknowledged is sent again: some lines may be kept twice, and show once."""
    word, count = words("killed"), 1000
    central.contain(word, count, detach=True)
    central.do(SERVER, "sudo systemctl kill --signal KILL drcloud-log-server")
    eventually(lambda: set(central.numbers(word, CONTAINER)) == set(range(1, count + 1)), 120)
    assert len(central.numbers(word, CONTAINER)) <= count + 200


def test_a_killed_forwarder_loses_nothing_and_the_reader_shows_each_line_once(
    central: Central, drcloud: Run
) -> None:
    word, count = words("forwarder"), 1000
    central.stop_server()
    central.contain(word, count, detach=True)
    central.do(CLIENT, "sudo systemctl kill --signal KILL rsyslog")
    central.start_server()
    eventually(lambda: set(central.numbers(word, CONTAINER)) == set(range(1, count + 1)), 120)
    kept = collections.Counter(central.numbers(word, CONTAINER))
    assert sum(kept.values()) <= count + 600
    done = drcloud("logs", "demo", "--env", "qa", "--since", "1h", "--json")
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line)["message"] for line in done.stdout.splitlines()]
    assert [text for text in shown if text.startswith(word)] == [f"{word} {n}" for n in range(1, count + 1)]


@pytest.mark.lab_slow
def test_beyond_the_queue_drops_are_counted(central: Central, role: Run, drcloud: Run) -> None:
    """What is in the journal and not on the server is what the client says it dropped."""
    word, count = words("beyond"), 8000
    done = role(central_logging_queue_megabytes=1)
    assert done.returncode == 0, done.stdout
    before, place = central.health()["dropped"], central.place()
    central.stop_server()
    try:
        central.contain(word, count)
        eventually(lambda: central.queue().get("enqueued", 0) >= count, 60)
    finally:
        central.start_server()
    eventually(lambda: central.queue().get("size") == 0, 90)
    # What an operator does about it: a larger queue, with which rsyslog starts again and counts from 0.
    back = role()
    assert back.returncode == 0, back.stdout
    central.say(f"{word}-end", 1)
    eventually(lambda: central.numbers(f"{word}-end", HOST), 90)
    said = central.said(place)
    until = next(at for at, (_, message) in enumerate(said) if message == f"{word}-end 1")
    missing = set(said[:until]) - central.kept(min(said)[0])
    # Some of the last that it dropped were read again when it started, and arrived after all.
    assert 1000 <= len(missing) <= central.health()["dropped"] - before <= len(missing) + 256
    assert sum(message.startswith(f"{word} ") for _, message in missing) >= 1000
    rows = json.loads(drcloud("logs", "--health", "--json").stdout)
    (row,) = [row for row in rows if row["host"] == CLIENT]
    assert row["dropped"] == central.health()["dropped"]


def flooded(central: Central, unit: str) -> tuple[int, int, int]:
    """Return the newest number that the journal has of a unit, how many it has, and suppressed."""
    shown = central.do(CLIENT, f"sudo journalctl --quiet --output cat --unit {unit}")
    kept = [int(number) for number in re.findall(rf"^{unit} (\d+)$", shown, re.MULTILINE)]
    suppressed = re.findall(r"^Suppressed (\d+) messages from ", shown, re.MULTILINE)
    return max(kept, default=0), len(kept), sum(map(int, suppressed))


def test_what_the_journal_suppresses_is_counted(central: Central) -> None:
    """A unit floods the journal with numbered lines, then says one a second until all are accounted for."""
    unit, count, before = words("flood"), 3000, central.health()["suppressed"]
    script = f"i=0; while i=$((i+1)); do echo {unit} $i; [ $i -lt {count} ] || sleep 1; done"
    # The journal grants several times the burst where its disk has much room (journald.conf(5)). What it
    # suppressed it says with the first line that it takes after the interval, and that begins when it takes
    # the flood's first: on a busy machine long after that was written.
    limits = "--property LogRateLimitIntervalSec=2s --property LogRateLimitBurst=10"
    central.do(CLIENT, f"sudo systemd-run --quiet --unit {unit} {limits} /bin/sh -c {shlex.quote(script)}")

    def accounted_for() -> bool:
        newest, kept, suppressed = flooded(central, unit)
        return newest > count and newest == kept + suppressed

    try:
        eventually(accounted_for, 90)
    finally:
        central.do(CLIENT, f"sudo systemctl stop {unit}")
    _, _, suppressed = flooded(central, unit)
    assert 0 < suppressed == central.health()["suppressed"] - before


@pytest.fixture
def impostor(central: Central, tmp_path: Path) -> Iterator[int]:
    """A server that has a certificate for the log server's name, signed by nobody we know."""
    port = 20599
    pem = tmp_path / "impostor.pem"
    pem.write_text(_self_signed(SERVER))
    program = (
        "import socket, ssl\n"
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain('/run/drc-test.pem')\n"
        f"server = socket.create_server(('', {port}))\n"
        "while True:\n"
        "    try: context.wrap_socket(server.accept()[0], server_side=True).close()\n"
        "    except OSError: pass\n"
    )
    for path, text in (("/run/drc-test.pem", pem.read_text()), ("/run/drc-test.py", program)):
        central.do(SERVER, f"echo {shlex.quote(text)} | sudo tee {path} > /dev/null")
    central.do(SERVER, "sudo systemd-run --quiet --unit drc-test-impostor python3 /run/drc-test.py")
    listening = f"ss --no-header --listening --tcp sport = {port}"
    eventually(lambda: central.do(SERVER, listening).strip())
    yield port
    central.do(SERVER, "sudo systemctl stop drc-test-impostor; sudo rm /run/drc-test.pem /run/drc-test.py")


def _self_signed(name: str) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()


def test_a_wrong_certificate_is_refused_before_anything_changes(
    central: Central, impostor: int, role: Run
) -> None:
    state = "sudo sh -c 'cat /etc/drcloud/log-client/rsyslog.conf; systemctl show rsyslog --property MainPID'"
    before = central.do(CLIENT, state)
    done = role(central_logging_port=impostor)
    assert done.returncode == 2
    assert "its certificate is refused: self-signed certificate" in done.stdout
    assert f"port {impostor}" in done.stdout
    renamed = role(central_logging_server_name="infra-99")
    assert renamed.returncode == 2
    assert "Hostname mismatch, certificate is not valid for 'infra-99'" in renamed.stdout
    assert central.do(CLIENT, state) == before


RELP = """\
import json, socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/drcloud/log-client/ca.pem")
if sys.argv[2] == "known":
    context.load_cert_chain("/etc/drcloud/log-client/tls.pem")
plain = socket.create_connection((sys.argv[1], 20514), timeout=30)
tls = context.wrap_socket(plain, server_hostname="infra-01")
def send(number, command, data):
    tls.sendall(f"{number} {command} {len(data)} ".encode() + data + b"\\n")
    return tls.recv(4096)
print(send(1, "open", b"relp_version=1\\nrelp_software=drc-test\\ncommands=syslog"))
for number, record in enumerate(json.load(sys.stdin), 2):
    print(send(number, "syslog", b"<14>1 - - - - - - " + record.encode()))
"""


def test_a_sender_chooses_no_path_and_a_stranger_sends_nothing(central: Central) -> None:
    word = words("hostile")
    fields = {"idc": "lab", "app": "demo", "env": "qa", "host": CLIENT, "message": f"{word} 1"}
    bad = ("../../../../tmp/drc-test", ".", "..", "a/b", "", "x" * 300, "a\nb", ".hidden")
    records = [json.dumps({**fields, "app": name}) for name in bad]
    records += [json.dumps({**fields, "host": {"a": 1}}), "{no json", "[1]"]
    command = f"sudo python3 -c {shlex.quote(RELP)} {_address(central)}"
    done = central.do(CLIENT, f"echo {shlex.quote(json.dumps(records))} | {command} known")
    assert done.count("200 OK") == len(records) + 1
    stranger = central.run(CLIENT, f"echo {shlex.quote(json.dumps(records))} | {command} unknown")
    assert stranger.returncode != 0
    assert "200 OK" not in stranger.stdout
    # sudo logs this command, and the server keeps its own log too: the pattern must not match itself.
    search = f"sudo grep --recursive --no-messages --files-with-matches '{word} [1]' /var/log/drcloud /tmp"
    # What vanishes while it is being looked for makes grep's exit code 2.
    found = central.do(SERVER, f"{search} || true")
    places = {str(Path(path).parent) for path in found.splitlines()}
    assert f"{LOGS}/_invalid/qa/{CLIENT}" in places
    # What is no text is a name like any other, and stays in its place.
    assert {str(Path(place).parent) for place in places} == {f"{LOGS}/_invalid/qa", f"{LOGS}/demo/qa"}


def _address(central: Central) -> str:
    shown = central.do(
        CLIENT, "sudo grep --only-matching 'target=\"[^\"]*' /etc/drcloud/log-client/rsyslog.conf"
    )
    return shown.strip().partition('"')[2]


def test_an_environment_in_which_an_app_never_spoke_is_no_silence(drcloud: Run) -> None:
    done = drcloud("logs", "demo", "--env", "stage")
    assert done.returncode == 4, done.stderr
    assert "has never heard of demo in stage" in done.stderr


def test_a_log_server_that_does_not_answer_is_unreachable(drcloud: Run, tmp_path: Path) -> None:
    copy = tmp_path / "cmdb.sqlite3"
    original = os.environ["DRCLOUD_CMDB_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(original) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    elsewhere = {"DRCLOUD_CMDB_URL": f"sqlite:///{copy}"}
    subprocess.run(
        [sys.executable, "-m", "drcloud", "cmdb", "set", "host", SERVER, "ssh_port=9", "--reason", "test"],
        check=True,
        env={**os.environ, **elsewhere},
    )
    done = drcloud("logs", "demo", "--env", "qa", **elsewhere)
    assert done.returncode == 3
    assert f"log server {SERVER} does not answer" in done.stderr


@pytest.mark.timeout(300)
def test_following_goes_on_over_a_rotation(central: Central, drcloud: Run, provisioned: Lab) -> None:
    word = words("follow")
    command = [
        sys.executable,
        "-m",
        "drcloud",
        "logs",
        "--host",
        CLIENT,
        "--follow",
        "--since",
        "1m",
        "-i",
        INVENTORY,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=provisioned.checkout) as following:
        assert following.stdout
        lines = (line for line in following.stdout if word in line)
        central.say(word, 1)
        assert next(lines).rstrip().endswith(f"drc-test | {word} 1")
        limits = json.dumps(
            {"directory": "/var/log/drcloud", "rotate_bytes": 100, "keep_days": 90, "keep_bytes": 10**10}
        )
        keeper = "python3 -I /usr/local/lib/drcloud/log_keeper.py /run/drc-test.json"
        how = "--quiet --wait --uid drcloud-log --gid adm --property UMask=0027"
        central.do(SERVER, f"echo {shlex.quote(limits)} | sudo tee /run/drc-test.json > /dev/null")
        central.do(SERVER, f"sudo systemd-run {how} {keeper} && sudo rm /run/drc-test.json")
        central.say(word, 2)
        assert next(lines).rstrip().endswith(f"{word} 1")
        assert next(lines).rstrip().endswith(f"{word} 2")
        following.terminate()
    assert central.numbers(word, HOST).count(1) == 2


@pytest.fixture
def small(central: Central) -> Iterator[str]:
    """A file system of 64 MiB for the server's files, 32 of them kept free; returns where it is."""
    where, limits, mine = "/var/log/drcloud", "/etc/drcloud/log-server/keeper.json", "/run/drc-test.json"
    program = "import json, sys; print(json.dumps({**json.load(sys.stdin), 'reserve_bytes': 32 << 20}))"
    change = f"python3 -c {shlex.quote(program)} < {limits} | sudo tee {mine} > /dev/null"
    try:
        central.do(SERVER, f"sudo systemctl stop drcloud-log-server; {change}")
        central.do(SERVER, f"sudo mount --types tmpfs --options size=64m,mode=0750 drc-test {where}")
        central.do(SERVER, f"sudo mount --bind {mine} {limits}")
        central.start_server()
        yield where
    finally:
        central.run(SERVER, f"sudo rm --force {where}/filler; sudo systemctl stop drcloud-log-server")
        central.run(SERVER, f"sudo umount {limits}; sudo rm --force {mine}")
        # The keeper may be at work in it.
        gone = f"sudo umount {where}; ! sudo mountpoint --quiet {where}"
        eventually(lambda: central.run(SERVER, gone).returncode == 0)
        central.start_server()
        eventually(lambda: central.run(SERVER, f"test -e {NO_ROOM}").returncode == 1)


@pytest.mark.timeout(300)
def test_a_disk_without_room_stops_the_server_and_loses_nothing(
    central: Central, drcloud: Run, small: str
) -> None:
    """On a full disk rsyslog would acknowledge what it cannot write, and lose it."""
    word, count, before = words("room"), 1000, central.health()["dropped"]
    active = "systemctl is-active drcloud-log-server"
    central.do(SERVER, f"sudo fallocate --length 40M {small}/filler")
    eventually(lambda: central.run(SERVER, active).stdout.strip() == "inactive")
    central.say(word, count)
    shown = drcloud("logs", "--host", CLIENT, "--lines", "1")
    assert f"log server {SERVER} takes no lines for lack of room: {small} has 2" in shown.stderr
    # Somebody who does not know starts it: it is stopped again.
    central.do(SERVER, "sudo systemctl start drcloud-log-server")
    eventually(lambda: central.run(SERVER, active).stdout.strip() == "inactive")
    central.do(SERVER, f"sudo rm {small}/filler")
    eventually(lambda: central.run(SERVER, active).stdout.strip() == "active")
    eventually(lambda: set(central.numbers(word, HOST)) == set(range(1, count + 1)), 90)
    assert central.health()["dropped"] == before
    said = central.do(SERVER, "sudo journalctl --quiet --unit drcloud-log-reserve --output cat --lines 4")
    assert "the log server is stopped" in said
    assert "the log server starts again" in said


@pytest.mark.lab_slow
def test_a_queue_survives_the_hosts_restart(central: Central, provisioned: Lab) -> None:
    word, count = words("reboot"), 1000
    central.stop_server()
    try:
        central.say(word, count)
        eventually(lambda: central.health()["queued"] >= count)
        name = f"{provisioned.name}-{CLIENT}"
        subprocess.run(["docker", "restart", "--time", "30", name], check=True, capture_output=True)
        eventually(lambda: central.run(CLIENT, "systemctl is-active rsyslog").stdout.strip() == "active", 90)
    finally:
        central.start_server()
    eventually(lambda: set(central.numbers(word, HOST)) == set(range(1, count + 1)), 90)


def test_only_those_who_may_read_the_logs_do(central: Central) -> None:
    word = words("modes")
    central.contain(word, 1)
    eventually(lambda: central.numbers(word, CONTAINER) == [1])
    shown = central.do(SERVER, f"sudo stat --format '%a %U %G' /var/log/drcloud {LOGS}/demo/qa/{CLIENT}")
    assert set(shown.splitlines()) == {"750 drcloud-log adm"}
    files = central.do(SERVER, f"sudo find {LOGS} -type f -printf '%m %u %g\\n'")
    assert set(files.splitlines()) == {"640 drcloud-log adm"}
    key = central.do(SERVER, "sudo stat --format '%a %U %G' /etc/drcloud/log-server/tls.pem")
    assert key.strip() == "640 root drcloud-log"
    who = central.do(SERVER, "ps -o user= -C rsyslogd").split()
    assert any(user.startswith("drcloud") for user in who)
