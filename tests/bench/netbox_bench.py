"""What netbox.netbox.nb_inventory costs with a real NetBox, against our plugin with the same hosts.

CPU seconds are those of `ansible all --list-hosts` alone: NetBox's own work is on top and shows in the wall
time only. Needs what `make test-netbox` needs; NetBox is installed and migrated once, for minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import inventory_bench as bench

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

sys.path.insert(0, str(bench.REPOSITORY))

from tests.integration import conftest
from tests.integration.netbox import real

OBJECTS = """
import json
from dcim.models import Device, DeviceRole, DeviceType, Interface, Manufacturer, Rack, Site
from django.contrib.contenttypes.models import ContentType
from ipam.models import IPAddress

hosts = json.load(open({path!r}, encoding="utf-8"))
maker = Manufacturer.objects.create(name="maker", slug="maker")
model = DeviceType.objects.create(manufacturer=maker, model="server", slug="server")
roles = {{role: DeviceRole.objects.create(name=role, slug=role) for role in {{h["role"] for h in hosts}}}}
sites = {{idc: Site.objects.create(name=idc, slug=idc) for idc in {{h["idc"] for h in hosts}}}}
places = sorted({{(h["idc"], h["rack"]) for h in hosts if h["rack"]}})
racks = {{place: Rack.objects.create(site=sites[place[0]], name=place[1]) for place in places}}
devices = Device.objects.bulk_create(
    [
        Device(
            name=h["name"],
            role=roles[h["role"]],
            site=sites[h["idc"]],
            rack=racks.get((h["idc"], h["rack"])),
            device_type=model,
            serial=h["serial"] or "",
            status="planned",
        )
        for h in hosts
    ],
    batch_size=1000,
)
nics = Interface.objects.bulk_create(
    [Interface(device=device, name="eth0", type="other") for device in devices], batch_size=1000
)
kind = ContentType.objects.get_for_model(Interface)
addresses = IPAddress.objects.bulk_create(
    [
        IPAddress(address=h["address"] + "/22", assigned_object_type=kind, assigned_object_id=nic.pk)
        for h, nic in zip(hosts, nics)
    ],
    batch_size=1000,
)
for device, address in zip(devices, addresses):
    device.primary_ip4 = address
Device.objects.bulk_update(devices, ["primary_ip4"], batch_size=1000)
"""

SOURCE = """
plugin: netbox.netbox.nb_inventory
api_endpoint: {url}
token: {token}
validate_certs: false
config_context: false
plurals: false
compose:
  dr_label: site ~ '/' ~ (rack | default('nowhere'))
  dr_reached: primary_ip4 is defined
  dr_tier: role | default('none') | upper
keyed_groups:
  - {{prefix: place, key: site ~ '_' ~ (rack | default('nowhere'))}}
  - {{prefix: site, key: site}}
  - {{prefix: role, key: role}}
  - {{prefix: type, key: device_type}}
  - {{prefix: maker, key: manufacturer}}
  - {{prefix: state, key: role ~ '_' ~ status.value, parent_group: models}}
"""


def described(url: str) -> list[dict[str, Any]]:
    """Return the hosts of the CMDB as NetBox is told of them."""
    rows = snapshot.read(Store.open(url)).hosts
    names = ("name", "role", "idc", "rack", "serial", "address")
    return [{name: getattr(row, name) for name in names} | {"idc": row.idc or "nowhere"} for row in rows]


def compare(hosts: int) -> None:
    """Measure both with so many hosts, and print a line for each."""
    url = bench.cmdb(hosts)
    with tempfile.TemporaryDirectory() as name, conftest.server() as postgresql:
        directory = Path(name)
        (directory / "ansible.cfg").touch()
        told = directory / "hosts.json"
        told.write_text(json.dumps(described(url)), encoding="utf-8")
        with real.running(postgresql, OBJECTS.format(path=str(told))) as netbox:
            source = directory / "netbox.yml"
            source.write_text(SOURCE.format(url=netbox, token=real.TOKEN), encoding="utf-8")
            theirs, their_wall = timed(source, url)
        ours, our_wall = timed(bench.OURS.write(directory), url)
    if (ours.hosts, theirs.hosts) != (hosts, hosts):
        raise SystemExit(f"{ours.hosts} and {theirs.hosts} hosts instead of {hosts}")
    print(f"{hosts:>6}  {'dianrong.cloud.cmdb':<30}{ours.cpu:>8.1f}{'':>9}{our_wall:>8.1f}")
    ratios = f"{theirs.cpu:>8.1f}{ours.cpu / theirs.cpu:>9.2f}{their_wall:>8.1f}{our_wall / their_wall:>9.2f}"
    print(f"{hosts:>6}  {'(d) netbox.netbox.nb_inventory':<30}{ratios}", flush=True)


def timed(source: Path, url: str) -> tuple[bench.Cost, float]:
    """Return the cost of listing a source's hosts, and the seconds on the clock."""
    began = time.monotonic()
    return bench.run(source, url), time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000], metavar="HOSTS")
    given = parser.parse_args(arguments)
    print("`ansible all --list-hosts`; 3 compose expressions and 6 keyed groups.")
    print(f"{'hosts':>6}  {'':<30}{'CPU s':>8}{'ours/it':>9}{'wall s':>8}{'ours/it':>9}")
    for hosts in given.sizes:
        compare(hosts)


if __name__ == "__main__":
    main()
