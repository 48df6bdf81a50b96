"""The lab of provision_bench.py: made anew for each turn, with packages at hand, and gone at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import docker

from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.lab import identity, prepare, status
from drcloud.lab.identity import Lab

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
INVENTORY = "inventories/lab/lab.cmdb.yml"
# What both playbooks install, and what they need for it.
PACKAGES = (
    "auditd ca-certificates chrony docker-registry docker.io e2fsprogs haproxy iptables keepalived nftables "
    "openssl python3-bcrypt python3-docker python3-passlib rsyslog rsyslog-relp socat unattended-upgrades "
    "xfsprogs"
)
# From Debian 13 on, docker-cli is a package of its own.
DOWNLOAD = f"""
apt-get --quiet update
apt-get --quiet --yes --no-install-recommends --download-only install {PACKAGES} \
    $(apt-cache pkgnames docker-cli | grep --line-regexp docker-cli)
"""


@dataclass(frozen=True)
class Cost:
    """What one run of a playbook took; ``hosts`` has the counts of each host, of callback/bench_results.py.

    Seconds of CPU are those of the controller, and of all hosts together.
    """

    seconds: float
    cpu: float
    far_cpu: float
    hosts: dict[str, dict[str, Any]]

    @property
    def changes(self) -> list[str]:
        """What changed, as ``host: task``."""
        return [f"{host}: {task}" for host, told in self.hosts.items() for task in told["changed"]]


def own() -> Lab:
    """Return the benchmark's lab of this checkout: never the one that somebody works with."""
    name = f"bench-{identity.identify(identity.find_checkout(HERE))[:5]}"
    return identity.locate({**os.environ, "DRCLOUD_LAB_ID": name}, HERE)


class BenchLab:
    """A lab, its CMDB, and playbooks that are played on it."""

    def __init__(self, lab: Lab, only: Sequence[str] = ()) -> None:
        """Prepare for a lab; without ``only``, all its hosts count."""
        self.lab = lab
        self.only = only
        foreign = ("ANSIBLE_", "DOCKER_", "DRCLOUD_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = {**kept, "DRCLOUD_LAB_ID": lab.id, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
        self.hosts: list[dict[str, Any]] = []

    @property
    def names(self) -> list[str]:
        """Names of the hosts that count."""
        return [host["name"] for host in self.hosts]

    def renew(self) -> None:
        """Boot the lab anew, whatever is there of it, and declare it in a CMDB of its own."""
        self.remove()
        self.drcloud("lab", "up")
        self.environment.update(status.environment(self.lab))
        there = {host["name"]: host for host in prepare.recall(self.lab)["hosts"]}
        if strangers := set(self.only) - set(there):
            raise SystemExit(f"the lab has no host {', '.join(sorted(strangers))}")
        self.hosts = [there[name] for name in self.only or there]
        self.drcloud("init")
        self.drcloud("cmdb", "import", str(self.lab.declaration))

    def remove(self) -> None:
        """Take the lab away, in whatever state it is."""
        self.drcloud("lab", "down")

    def pin(self) -> None:
        """Pin the hosts' keys, for a playbook that cannot do it."""
        given = json.dumps({"names": self.names, "ssh_config": str(self.lab.ssh / "config")})
        with connections() as directory:
            more = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp")}
            action = [",".join(self.names), "-i", INVENTORY, "-m", "dianrong.cloud.host_keys", "-a", given]
            self.run([program("ansible"), *action], more=more)

    def fetch_packages(self) -> None:
        """Have package lists and packages on each host, fetched once for each release of Debian."""
        client = docker.DockerClient(base_url=self.environment["DOCKER_HOST"], timeout=600)
        try:
            for release in sorted({host["release"] for host in self.hosts}):
                alike = [host for host in self.hosts if host["release"] == release]
                containers = {host["name"]: client.containers.get(host["container"]) for host in alike}
                self._fetch_packages(self.lab.cache / "bench" / f"packages-{release}.tar", containers)
        finally:
            client.close()

    def _fetch_packages(self, cache: Path, containers: Mapping[str, Any]) -> None:
        """Let the first host fetch what the cache does not have, and give the others a copy."""
        cache.parent.mkdir(parents=True, exist_ok=True)
        pilot, *others = containers
        if cache.is_file():
            unpack(containers[pilot], "/var/cache/apt", cache)
        self.on(pilot, DOWNLOAD)
        pack(containers[pilot], "/var/cache/apt/archives", cache)
        with tempfile.TemporaryDirectory() as scratch:
            lists = Path(scratch) / "lists.tar"
            pack(containers[pilot], "/var/lib/apt/lists", lists)
            for name in others:
                unpack(containers[name], "/var/cache/apt", cache)
                unpack(containers[name], "/var/lib/apt", lists)
        # Lists are as old as their directory.
        self.on_all("touch /var/lib/apt/lists", containers)

    def play(self, playbook: str, log: Path) -> Cost:
        """Play a playbook over new connections and return what that took."""
        self.await_locks()
        with connections() as directory:
            counted = directory / "results.json"
            more = {
                "ANSIBLE_CALLBACK_PLUGINS": f"{REPOSITORY / 'plugins/callback'}:{HERE / 'callback'}",
                "ANSIBLE_CALLBACKS_ENABLED": "bench_results",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp"),
                "DRCLOUD_BENCH_RESULTS": str(counted),
            }
            limit = ",".join(["localhost", *self.names])
            command = [program("ansible-playbook"), "-i", INVENTORY, "--limit", limit, playbook]
            before = self._used()
            seconds, cpu = timed(command, self.environment | more, log)
            far_cpu = self._used() - before
            told = json.loads(counted.read_text(encoding="utf-8"))
        return Cost(seconds, cpu, far_cpu, {name: told[name] for name in self.names})

    def _used(self) -> float:
        """Return the seconds of CPU that all hosts have used since they were booted."""
        client = docker.DockerClient(base_url=self.environment["DOCKER_HOST"])
        try:
            figures = [
                client.api.stats(host["container"], stream=False, one_shot=True) for host in self.hosts
            ]
        finally:
            client.close()
        return sum(figure["cpu_stats"]["cpu_usage"]["total_usage"] for figure in figures) / 1e9

    def await_locks(self) -> None:
        """Wait until what the last run held is given back, which a process beside it does."""
        deadline = time.monotonic() + 60
        while held := leases.held(Store.open(self.lab.cmdb_url)):
            if time.monotonic() > deadline:
                raise SystemExit(f"still locked: {', '.join(sorted(lease.name for lease in held))}")
            time.sleep(0.2)

    def state(self) -> dict[str, frozenset[str]]:
        """Return how each host is: the lines that plain/state.sh tells."""
        script = (HERE / "plain" / "state.sh").read_text(encoding="utf-8")
        return {name: frozenset(said.splitlines()) for name, said in self.on_all(script, self.names).items()}

    def on_all(self, script: str, names: Iterable[str]) -> dict[str, str]:
        """Run a shell script on hosts as root; return what each says."""
        with ThreadPoolExecutor(max_workers=5) as pool:
            said = {name: pool.submit(self.on, name, script) for name in names}
            return {name: future.result() for name, future in said.items()}

    def on(self, name: str, script: str) -> str:
        """Run a shell script on a host as root; return what it says."""
        return self.run(["ssh", "-F", str(self.lab.ssh / "lab_config"), name, "sudo sh -eu -s"], given=script)

    def drcloud(self, *arguments: str) -> None:
        """Run a drcloud command."""
        self.run([sys.executable, "-m", "drcloud", *arguments])

    def run(self, command: Sequence[str], given: str = "", more: Mapping[str, str] | None = None) -> str:
        """Run a command and return what it says; stop with its last words when it fails."""
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**self.environment, **(more or {})},
            input=given,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise SystemExit(f"{' '.join(command[:4])} … ended with code {done.returncode}:\n{words}")
        return done.stdout


def program(name: str) -> str:
    """Return the path of a program of this environment."""
    return str(Path(sys.executable).parent / name)


def pack(container: Any, path: str, target: Path) -> None:
    """Keep a directory of a container as a tar file, complete or not at all."""
    chunks, _about = container.get_archive(path)
    part = target.with_suffix(f".{os.getpid()}")
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def unpack(container: Any, parent: str, source: Path) -> None:
    """Unpack a tar file below a directory of a container."""
    with source.open("rb") as file:
        container.put_archive(parent, file)


@contextlib.contextmanager
def connections() -> Iterator[Path]:
    """Give a directory, short as a socket's path has to be, for connections that are closed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="drc-"))
    try:
        yield directory
    finally:
        for socket in (directory / "cp").glob("*"):
            ending = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"]
            subprocess.run(ending, check=False, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)


def timed(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path = REPOSITORY
) -> tuple[float, float]:
    """Run a command to its end; return its seconds, and the CPU seconds of it and its children."""
    log.parent.mkdir(exist_ok=True)
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as said:
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            _, ended, used = os.wait4(child.pid, 0)
        except BaseException:
            # What was interrupted must not go on while its lab is taken away.
            end(child)
            raise
    seconds = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(ended)
    if child.returncode:
        words = "\n".join(log.read_text(encoding="utf-8").splitlines()[-30:])
        raise SystemExit(f"{log}: ansible-playbook ended with code {child.returncode}:\n{words}")
    return seconds, used.ru_utime + used.ru_stime


def end(child: subprocess.Popen[bytes]) -> None:
    """End a process: it may be ending already, by the same Ctrl-C."""
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(20)
    child.kill()
    child.wait()


@contextlib.contextmanager
def removed(bench: BenchLab, keep: bool) -> Iterator[None]:
    """Take the lab away at the end, also after Ctrl-C; a second one does not disturb that."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals[1:]:
        signal.signal(number, _stopped)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        if not keep:
            bench.remove()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stopped(number: int, _frame: FrameType | None) -> None:
    """End by the same way out as after Ctrl-C."""
    raise SystemExit(128 + number)
