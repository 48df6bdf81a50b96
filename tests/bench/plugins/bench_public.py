"""What the CMDB's inventory is measured against: the same rows through ansible-core's public calls.

With its options compose, groups and keyed_groups it is stock Constructable; without them it adds hosts,
groups and variables only.
"""

from __future__ import annotations

from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

from drcloud.cmdb import inventory as model
from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

DOCUMENTATION = """
name: bench_public
short_description: The CMDB through ansible-core's public calls
description: For measuring only.
extends_documentation_fragment: constructed
options:
  plugin:
    description: The name of this plugin.
    required: true
    choices: [bench_public]
"""


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Hosts, groups and variables as a plugin of the usual kind adds them."""

    NAME = "bench_public"
    trusted_by_default = False

    def verify_file(self, path: str) -> bool:
        """Take the sources that are made for this plugin."""
        return super().verify_file(path) and str(path).endswith(".bench.yml")

    def parse(self, inventory, loader, path, cache=True):  # type: ignore[no-untyped-def]
        """Add everything."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        found = model.build(snapshot.read(Store.open()))
        for name in model.names(found.groups):
            inventory.add_group(name)
        for parent, children in found.groups.children.items():
            for child in children:
                inventory.add_child(parent, child)
        for name, value in found.everywhere.items():
            inventory.set_variable("all", name, value)
        for name, variables in found.hosts.items():
            inventory.add_host(name)
            for variable, value in variables.items():
                inventory.set_variable(name, variable, value)
        for name, members in found.groups.members.items():
            for member in members:
                inventory.add_child(name, member)
        self._apply_expressions(found)

    def _apply_expressions(self, found: model.Inventory) -> None:
        strict = self.get_option("strict")
        compose, groups, keyed = (self.get_option(name) for name in ("compose", "groups", "keyed_groups"))
        if not (compose or groups or keyed):
            return
        for name in found.hosts:
            self._set_composite_vars(compose, self.inventory.get_host(name).get_vars(), name, strict=strict)
            self._add_host_to_composed_groups(groups, {}, name, strict=strict)
            self._add_host_to_keyed_groups(keyed, {}, name, strict=strict)
