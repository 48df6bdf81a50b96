"""Declared tables: what should be. Versioned rows; every write stands in ``change_log``.

One module per subject; the names are found here. Rows that belong to one another are joined by
foreign keys; what a key cannot say (overlap, moves of a state, what is never changed) is said by
the triggers of the migrations, so it holds whoever writes.
"""

from drcloud.cmdb.declared.apps import (
    TIERS,
    App,
    AppConfig,
    AppSpecVersion,
    Channel,
    Environment,
    Placement,
    PlacementHost,
    PlacementLb,
    Registry,
    Release,
)
from drcloud.cmdb.declared.balancing import POOL_MODES, Certificate, LbPool, Vip
from drcloud.cmdb.declared.columns import fixed_width, mac_address, moment, moment_text, one_of
from drcloud.cmdb.declared.control import CHANGE_STATES, ChangeTicket, Schedule, Waiver
from drcloud.cmdb.declared.machines import (
    BMC_TYPES,
    DISK_PURPOSES,
    HOST_STATES,
    BlockDevice,
    Bmc,
    Host,
    HostKey,
    HostTag,
    Nic,
    Tag,
)
from drcloud.cmdb.declared.network import PRIMARY, Address, Allocation, FirewallZone, Prefix, Vlan, Vrf
from drcloud.cmdb.declared.places import RACK_UNITS, HardwareModel, Idc, Rack, RackSlot, Room

__all__ = [
    "BMC_TYPES",
    "CHANGE_STATES",
    "DISK_PURPOSES",
    "HOST_STATES",
    "POOL_MODES",
    "PRIMARY",
    "RACK_UNITS",
    "TIERS",
    "Address",
    "Allocation",
    "App",
    "AppConfig",
    "AppSpecVersion",
    "BlockDevice",
    "Bmc",
    "Certificate",
    "ChangeTicket",
    "Channel",
    "Environment",
    "FirewallZone",
    "HardwareModel",
    "Host",
    "HostKey",
    "HostTag",
    "Idc",
    "LbPool",
    "Nic",
    "Placement",
    "PlacementHost",
    "PlacementLb",
    "Prefix",
    "Rack",
    "RackSlot",
    "Registry",
    "Release",
    "Room",
    "Schedule",
    "Tag",
    "Vip",
    "Vlan",
    "Vrf",
    "Waiver",
    "fixed_width",
    "mac_address",
    "moment",
    "moment_text",
    "one_of",
]
