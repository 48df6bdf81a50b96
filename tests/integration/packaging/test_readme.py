"""The README's CMDB chapter is what happens: its commands are run, and print what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def console(chapter: str) -> list[tuple[str, str]]:
    """Return the commands of a chapter's console blocks, each with the output that is shown."""
    text = README.read_text("utf-8").split(f"\n## {chapter}", 1)[1].split("\n## ", 1)[0]
    steps = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, output = step.split("\n", 1)
            if mark := re.search(r"<<'(\w+)'$", command):
                body, output = output.split(f"\n{mark[1]}\n", 1)
                command = f"{command}\n{body}\n{mark[1]}\n"
            steps.append((command, output.strip()))
    return steps


def test_the_chapter_is_what_happens(tmp_path: Path) -> None:
    hidden = ("DRCLOUD_", "ANSIBLE_", "XDG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    steps = console("CMDB: from an empty file to your own inventory")
    assert [command.split()[0] for command, _ in steps[:5]] == [
        "drcloud",
        "cat",
        "drcloud",
        "echo",
        "ansible-inventory",
    ]
    for command, output in steps:
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.replace(str(tmp_path), "~").strip()) == (0, output), done.stderr
