"""What the site chose, looked at on the hosts."""

from __future__ import annotations

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

testinfra_hosts = [f"ssh://{row.name}" for row in snapshot.read(Store.open()).hosts if row.state != "retired"]


def test_the_host_keeps_the_sites_time(host):
    assert host.check_output("readlink /etc/localtime") == "/usr/share/zoneinfo/Etc/UTC"
    assert host.check_output("date +%Z") == "UTC"
