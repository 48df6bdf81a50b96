"""Broken rules of the database as one sentence: what the rule is, whose it was, and the way out.

Keys, checks and triggers are the last guard; whoever reaches them wrote past ``drcloud.cmdb.checks``.
"""

from __future__ import annotations

import re
from functools import cache

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError

from drcloud.cmdb.base import Base

# A trigger says its name and the rule (the migration that made it); here is what to do about it.
WAYS_OUT = {
    "host_state": "move it step by step, `drcloud cmdb show host NAME` tells where it is",
    "change_state": "a draft is approved, opened, then closed or cancelled",
    "prefix_nested": "make the outer one an aggregate",
    "prefix_vrf": "declare the prefix in the other VRF, then move the addresses",
    "address_vrf": "name the VRF of the prefix",
    "address_nic": "name a nic of the same host",
    "rack_slot_place": "give the host that rack, or the slot another unit",
    "host_rack": "free its units first",
    "rack_units": "free the units above first",
    "app_spec_version_update": "add the next version",
    "app_spec_version_delete": "take the app's placements away instead",
    "app_config_update": "add the next version",
    "app_config_delete": "take the app's placements away instead",
    "release_update": "record another release",
    "vip_lb_role": "name a host of that role",
    "host_role_lb": "take it out of the VIP first",
}
SENTENCES = {
    "uq_rack_slot_rack_id_unit": "a unit of a rack holds one host: the unit is taken",
    "uq_prefix_vrf_id_cidr": "a VRF has a prefix only once: it is declared already",
    "uq_prefix_default_vrf_cidr": "a VRF has a prefix only once: it is declared already",
    "uq_address_vrf_id_value": "a VRF has an address only once: somebody has it already",
    "uq_address_default_vrf_value": "a VRF has an address only once: somebody has it already",
    "uq_address_primary_host_id": "a host has one management address: give the other one another purpose",
    "uq_allocation_pool_value": "a number of a pool belongs to one owner: it is taken",
    "uq_allocation_pool_owner": "an owner has one number of a pool: it has one already",
    "ck_address_inside_prefix": "an address lies outside of its prefix",
    "ck_address_nic_of_host": "an address on a nic needs its host",
    "ck_change_window": "a window needs a beginning and a later end, or neither",
    "uq_block_device_host_id_mount": "two disks of a host are not mounted in one place",
    "uq_block_device_host_id_uuid": "a UUID names one disk of a host",
    "ck_block_device_mount": "only an app-volume is mounted where the CMDB says, at an absolute path",
    "ck_bridge_nic": "a bridge of the mode uplink takes over a nic, one of the mode nat none",
    "ck_bridge_containers": "a bridge of the mode uplink needs the aggregate of its containers",
    "uq_bridge_host_id_nic": "a nic of a host belongs to one bridge",
    "ck_waiver_reasoned": "a waiver names its owner, a reason and a ticket",
}
_SQLITE = re.compile(r"^(UNIQUE|CHECK|NOT NULL) constraint failed: (.*)$")
_GUARD = re.compile(r"^(\w+): (.+)$")


def sentence(error: IntegrityError) -> str:
    """Return what a database says of a broken rule, in an operator's words."""
    lines = str(error.orig).strip().splitlines()
    said = lines[0] if lines else type(error.orig).__name__
    whose = next(iter(getattr(error, "__notes__", ())), None)
    return f"the CMDB refuses the write{f' of {whose}' if whose else ''}: {_rule(error, said)}"


def _rule(error: IntegrityError, said: str) -> str:
    guard = _GUARD.match(said)
    if guard and guard[1] in WAYS_OUT:
        return f"{guard[2]}: {WAYS_OUT[guard[1]]}"
    name = _name(error, said)
    if name in SENTENCES:
        return f"{SENTENCES[name]} ({name})"
    if name in _uniques():
        table, columns = _uniques()[name]
        words = " and ".join(column.removesuffix("_id") for column in columns)
        return f"another {table.replace('_', ' ')} has the same {words} ({name})"
    if "not null" in said.lower().replace("-", " "):
        return f"a value is missing ({said})"
    if name.startswith("fk_") or "FOREIGN KEY" in said:
        return f"it refers to what does not exist, or something still refers to it ({name or said})"
    return f"a value is not one of those allowed ({name or said})"


def _name(error: IntegrityError, said: str) -> str:
    """Return the name of the constraint; empty where the database does not say it."""
    known = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    if known:
        return str(known)
    match = _SQLITE.match(said)
    if match and match[1] == "UNIQUE":
        columns = [word.strip().partition(".") for word in match[2].split(",")]
        wanted = (columns[0][0], tuple(column for _, _, column in columns))
        return next((name for name, found in _uniques().items() if found == wanted), "")
    return match[2] if match and match[1] == "CHECK" else ""


@cache
def _uniques() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the table and columns of all unique constraints and indexes, by name."""
    found = {}
    for table in Base.metadata.sorted_tables:
        for one in _unique(table):
            found[str(one.name)] = (table.name, tuple(column.name for column in one.columns))
    return found


def _unique(table: Table) -> list[UniqueConstraint | Index]:
    keys = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    return [*keys, *(one for one in table.indexes if one.unique)]
