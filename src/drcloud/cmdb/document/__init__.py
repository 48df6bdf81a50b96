"""The import file: its sections and fields, one module per subject; the names are found here.

A field that the file leaves out is left alone in the CMDB; ``null`` empties an optional one.
"""

from drcloud.cmdb.document.apps import (
    AppConfigEntry,
    AppEntry,
    AppSpecVersionEntry,
    ChannelEntry,
    EnvironmentEntry,
    PlacementEntry,
    RegistryEntry,
    ReleaseEntry,
)
from drcloud.cmdb.document.balancing import CertificateEntry, LbPoolEntry, VipEntry
from drcloud.cmdb.document.control import ChangeEntry, ScheduleEntry, WaiverEntry
from drcloud.cmdb.document.machines import (
    BlockDeviceEntry,
    BmcEntry,
    BridgeEntry,
    HostAddressEntry,
    HostEntry,
    NicEntry,
    PartAttrsEntry,
    SshEntry,
    TagEntry,
)
from drcloud.cmdb.document.network import (
    AddressEntry,
    AllocationEntry,
    FirewallZoneEntry,
    PrefixEntry,
    VlanEntry,
    VrfEntry,
)
from drcloud.cmdb.document.places import HardwareModelEntry, IdcEntry, RackEntry, RoomEntry
from drcloud.cmdb.document.values import Entry
from drcloud.cmdb.document.whole import FORMAT, Document, parse, sentence

__all__ = [
    "FORMAT",
    "AddressEntry",
    "AllocationEntry",
    "AppConfigEntry",
    "AppEntry",
    "AppSpecVersionEntry",
    "BlockDeviceEntry",
    "BmcEntry",
    "BridgeEntry",
    "CertificateEntry",
    "ChangeEntry",
    "ChannelEntry",
    "Document",
    "Entry",
    "EnvironmentEntry",
    "FirewallZoneEntry",
    "HardwareModelEntry",
    "HostAddressEntry",
    "HostEntry",
    "IdcEntry",
    "LbPoolEntry",
    "NicEntry",
    "PartAttrsEntry",
    "PlacementEntry",
    "PrefixEntry",
    "RackEntry",
    "RegistryEntry",
    "ReleaseEntry",
    "RoomEntry",
    "ScheduleEntry",
    "SshEntry",
    "TagEntry",
    "VipEntry",
    "VlanEntry",
    "VrfEntry",
    "WaiverEntry",
    "parse",
    "sentence",
]
