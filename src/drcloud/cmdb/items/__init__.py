"""An import file flattened: the rows it wants, by natural key, each with its place in the file."""

from drcloud.cmdb.items.flat import flatten
from drcloud.cmdb.items.item import Item
from drcloud.cmdb.items.notes import noted, strays
from drcloud.cmdb.items.prefixes import PrefixTable, bound
from drcloud.cmdb.items.shares import shared
from drcloud.cmdb.items.slots import slots
from drcloud.cmdb.items.versions import versions

__all__ = ["Item", "PrefixTable", "bound", "flatten", "noted", "shared", "slots", "strays", "versions"]
