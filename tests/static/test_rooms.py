"""Rules of the rooms that import-linter cannot see: Ansible's plugins belong to no importable package."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "collections/dianrong/cloud"
PLUGINS = COLLECTION / "plugins"
OWN_UTILS = "ansible_collections.dianrong.cloud.plugins.module_utils"
# What ansible-core 2.19 asks of a module at the least; Debian 12 and 13 have newer ones.
HOST_PYTHON = (3, 9)

HOST_SIDE = sorted([*PLUGINS.glob("modules/*.py"), *PLUGINS.glob("module_utils/**/*.py")])
CONTROLLER_SIDE = sorted(set(PLUGINS.rglob("*.py")) - set(HOST_SIDE))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def allowed_on_hosts(module: str) -> bool:
    if module.startswith(("ansible.module_utils.", OWN_UTILS)) or module == "ansible.module_utils":
        return True
    return module.split(".", 1)[0] in {*sys.stdlib_module_names, "docker"}


def named(path: Path) -> str:
    return str(path.relative_to(COLLECTION))


@pytest.mark.parametrize("path", HOST_SIDE, ids=named)
def test_host_side_code_imports_only_what_a_host_has(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=HOST_PYTHON)
    assert [module for module in imports(tree) if not allowed_on_hosts(module)] == []


@pytest.mark.parametrize("path", CONTROLLER_SIDE, ids=named)
def test_controller_side_code_never_imports_ansible_runner(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert "ansible_runner" not in {module.split(".", 1)[0] for module in imports(tree)}


@pytest.mark.parametrize(
    "namespace", ["collections", "collections/dianrong", "collections/dianrong/cloud/plugins"]
)
def test_namespace_levels_stay_without_init(namespace: str) -> None:
    assert not (ROOT / namespace / "__init__.py").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.name)
def test_site_playbooks_hold_no_tasks_of_their_own(path: Path) -> None:
    import yaml

    plays = yaml.safe_load(path.read_text("utf-8")) or []
    owned = [key for play in plays for key in play if key in {"tasks", "pre_tasks", "post_tasks", "handlers"}]
    assert owned == []
