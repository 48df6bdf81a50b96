"""What an inventory costs is counted, not timed: counts are the same on every machine."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from drcloud.cmdb import importer, inventory, sample, snapshot
from drcloud.cmdb.store import Store

FLEET = Path(__file__).parents[2] / "bench" / "fleet.py"
COUNT = """
import json, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible.inventory.data import InventoryData
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from sqlalchemy import Engine, event

counts = {"queries": 0, "additions": 0, "templates": 0, "hosts": 0}

def count(what, owner, name):
    public = getattr(owner, name)
    def counted(*given, **named):
        counts[what] += 1
        return public(*given, **named)
    setattr(owner, name, counted)

@event.listens_for(Engine, "before_cursor_execute")
def query(*given):
    counts["queries"] += given[2].lstrip().startswith("SELECT")

count("additions", InventoryData, "add_child")
for name in ("template", "evaluate_expression", "evaluate_conditional"):
    count("templates", Templar, name)
counts["hosts"] = len(InventoryManager(DataLoader(), sources=[sys.argv[1]]).hosts)
print(json.dumps(counts))
"""
EXPRESSIONS = """
strict: false
compose:
  label: dr_idc ~ '/' ~ (dr_attrs.team | default('nobody'))
  usable: dr_block_devices | length > 0 and dr_state in ('planned', 'active')
groups:
  first: inventory_hostname == 'dk-00000' and 'role_docker' in group_names
keyed_groups:
  - {prefix: user, key: ansible_user, parent_group: users}
  - {prefix: disk, key: "dr_block_devices[0].path"}
  - {prefix: nothing, key: dr_attrs.missing}
  - {prefix: label, key: label}
"""


class Counts(NamedTuple):
    """How often the parse of a source did what takes long."""

    queries: int
    additions: int
    templates: int
    hosts: int


@pytest.fixture
def measured(controller, fleet):
    """Return the counts for a fleet that has grown to a size."""

    def measure(count: int, source: str = "") -> Counts:
        controller.load(fleet(count))
        return Counts(**json.loads(controller.good("python", "-c", COUNT, controller.source(source))))

    return measure


def test_a_thousand_hosts_ask_the_cmdb_no_more_than_ten(measured):
    few, many = measured(10), measured(1000)
    assert (few.hosts, many.hosts) == (10, 1000)
    assert few.queries == many.queries <= 21
    # One call for each of 24 more racks, none for each host.
    assert many.additions - few.additions == 24


def test_plain_expressions_are_never_templated(measured):
    few, many = measured(10, EXPRESSIONS), measured(200, EXPRESSIONS)
    assert few.templates == many.templates == 0
    assert many.additions - few.additions == 4  # racks


def test_what_only_jinja_can_tell_is_templated_and_nothing_else(measured):
    source = EXPRESSIONS.replace("dr_block_devices[0].path", "dr_block_devices | map(attribute='path')")
    assert measured(10, source).templates == 20  # for each host the key, and the name of no parent group


@pytest.fixture
def bench() -> Any:
    """The module that fills the CMDBs of the benchmark."""
    spec = importlib.util.spec_from_file_location("bench_fleet", FLEET)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_measures_what_an_import_would_hold(bench, tmp_path):
    urls = [f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("imported", "filled")]
    path = tmp_path / "sample.yml"
    path.write_text(yaml.safe_dump({"drcloud": 1, **sample.build(60, 3)}, allow_unicode=True))
    importer.import_files(Store.create(urls[0]), importer.Request((path,)))
    bench.fill(urls[1], 60, 3)
    imported, filled = (inventory.build(snapshot.read(Store.open(url))) for url in urls)
    assert filled.hosts == imported.hosts
    assert filled.groups.members == imported.groups.members
    assert filled.groups.children == imported.groups.children
