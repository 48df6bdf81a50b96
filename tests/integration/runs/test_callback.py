"""The site's progress callback under plain ansible-playbook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .conftest import Site

PLUGINS = Path(__file__).parents[3] / "plugins/callback"


def play(site: Site, playbook: str, *words: str, errors: bool = False) -> str:
    environment = site.environment(
        ANSIBLE_CALLBACK_PLUGINS=str(PLUGINS), ANSIBLE_STDOUT_CALLBACK="drcloud_progress", LC_ALL="C.UTF-8"
    )
    line = [sys.executable, "-m", "ansible", "playbook", "-i", site.hosts, playbook, *words]
    done = subprocess.run(
        line,
        env=environment,
        cwd=site.path,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "callback" not in done.stderr, done.stderr
    return done.stdout + (done.stderr if errors else "")


def test_one_line_per_task_and_the_failures(site: Site) -> None:
    playbook = site.playbook(
        "p.yml",
        {"name": "Nobody", "ansible.builtin.ping": {}, "when": False},
        {
            "name": "Write",
            "ansible.builtin.copy": {"content": "x\n", "dest": f"{site.path}/x"},
            "run_once": True,
        },
        {"name": "Break", "ansible.builtin.command": "sh -c 'echo boo >&2; exit 3'"},
        name="Roll",
    )

    out = play(site, playbook, "-l", "one,two", "--diff")

    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "PLAY Roll"
    assert "one failed: non-zero return code (3): boo" in lines
    assert "+x" in lines
    assert "2 failed" in lines
    assert any(line.startswith("one : ok=1 changed=1 unreachable=0 failed=1") for line in lines)
    assert "\x1b" not in out


def test_debug_messages_are_shown(site: Site) -> None:
    playbook = site.playbook("p.yml", {"name": "Say", "ansible.builtin.debug": {"msg": "which runs where"}})

    out = play(site, playbook, "-l", "one")

    assert "one: which runs where" in out


def test_what_a_module_warns_of_is_said_once(site: Site) -> None:
    """The module warns on each host; ansible-core says it once, on the error stream."""
    modules = site.path / "library"
    modules.mkdir()
    (modules / "doubt.py").write_text(
        "from ansible.module_utils.basic import AnsibleModule\n"
        "module = AnsibleModule({})\n"
        "module.warn('rules are on disk only')\n"
        "module.exit_json()\n"
    )
    playbook = site.playbook("p.yml", {"name": "Doubt", "doubt": {}})

    assert play(site, playbook, "-l", "one,two", errors=True).count("rules are on disk only") == 1


def test_no_log_stays_hidden_even_with_v(site: Site) -> None:
    task = {"name": "Hide", "ansible.builtin.command": "echo canary-0818", "no_log": True}

    assert "canary-0818" not in play(site, site.playbook("p.yml", task), "-l", "one", "-v")


def test_a_terminal_counts_hosts(site: Site) -> None:
    playbook = site.playbook("p.yml", {"name": "Ping", "ansible.builtin.ping": {}})
    line = f"{sys.executable} -m ansible playbook -i {site.hosts} {playbook} -l one,two"
    environment = site.environment(
        ANSIBLE_CALLBACK_PLUGINS=str(PLUGINS),
        ANSIBLE_STDOUT_CALLBACK="drcloud_progress",
        LC_ALL="C.UTF-8",
        TERM="xterm",
    )
    reading, writing = os.openpty()
    with subprocess.Popen(
        line.split(), env=environment, cwd=site.path, stdout=writing, stdin=writing
    ) as process:
        os.close(writing)
        text = _read_all(reading)
        process.wait()

    assert "of 2 hosts" in text
    assert "\x1b[0;32m" in text


def _read_all(terminal: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other side has closed
            part = b""
        if not part:
            return b"".join(parts).decode("utf-8", "replace")
        parts.append(part)
