"""What an inventory costs is counted, not timed: counts are the same on every machine."""

from __future__ import annotations

import pytest

COUNT = """
import sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible.inventory.data import InventoryData
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from sqlalchemy import Engine, event

queries, calls = [], []
event.listen(Engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
public = InventoryData.add_child
InventoryData.add_child = lambda *given: (calls.append(given), public(*given))[1]
hosts = InventoryManager(DataLoader(), sources=[sys.argv[1]]).hosts
print(len(hosts), sum(query.lstrip().startswith("SELECT") for query in queries), len(calls))
"""


@pytest.fixture
def measured(controller, fleet):
    """Return hosts, queries and calls for a fleet that has grown to a size."""

    def measure(count: int) -> tuple[int, int, int]:
        controller.load(fleet(count))
        hosts, queries, calls = controller.good("python", "-c", COUNT, controller.source()).split()
        return int(hosts), int(queries), int(calls)

    return measure


def test_a_thousand_hosts_ask_the_cmdb_no_more_than_ten(measured):
    few, many = measured(10), measured(1000)
    assert (few[0], many[0]) == (10, 1000)
    assert few[1] == many[1] <= 16
    # One call for each of 24 more racks, none for each host.
    assert many[2] - few[2] == 24
