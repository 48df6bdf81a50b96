"""Hosts out of service and back, on real hosts under load: drained, quarantined, decommissioned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.rolling import (
    SECOND,
    Run,
    containers,
    deploy,
    drcloud,
    host_state,
    running,
    said,
    under_load,
)

from drcloud.cmdb import leases, lookup, snapshot
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode
from drcloud.lab.identity import Lab

pytestmark = [pytest.mark.lab, pytest.mark.lab_slow, pytest.mark.usefixtures("built", "locks_are_free")]
SHOW = (
    "echo 'show servers state demo_prod' | sudo socat -t5 - UNIX-CONNECT:/run/haproxy/admin.sock"
    " | grep ' {host}_'"
)
DRAINED, READY = {"8"}, {"0"}


def admin(on: Run, host: str) -> set[str]:
    """The administrative states of a host's servers at both load balancers, as HAProxy counts them."""
    lines = [on(lb, SHOW.format(host=host)).stdout.splitlines() for lb in ("lb-01", "lb-02")]
    assert all(len(found) == 2 for found in lines), lines
    return {line.split()[6] for found in lines for line in found}


@pytest.fixture
def back_in_service(built: None) -> Iterator[None]:
    """Whatever a test left out of service comes back."""
    yield
    for row in snapshot.read(Store.open()).hosts:
        if row.role == "docker" and row.state in ("maintenance", "quarantined"):
            drcloud("host", "drain", row.name, "--undo")


@pytest.mark.usefixtures("back_in_service")
def test_a_host_is_drained_misses_a_deploy_and_comes_back_with_the_next(
    on: Run, clients: list[str], on_first: None
) -> None:
    before = running(on)
    dry = drcloud("host", "drain", "dk-04", "--check")
    assert dry.returncode == 0, said(dry)
    assert (admin(on, "dk-04"), host_state("dk-04")) == (READY, "active")
    done, seen = under_load(clients, lambda: drcloud("host", "drain", "dk-04", "--reason", "new memory"))
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert (admin(on, "dk-04"), host_state("dk-04")) == (DRAINED, "maintenance")
    assert running(on) == before
    again = drcloud("host", "drain", "dk-04", "--json")
    assert again.returncode == 0, said(again)
    assert '"changed"' not in again.stdout

    refused = deploy(SECOND)
    assert refused.returncode == ExitCode.INVALID_INPUT, said(refused)
    assert "host dk-04 is maintenance, not active" in refused.stderr
    others = deploy(SECOND, "--limit", "dk-01,dk-02,dk-03,dk-05,dk-06")
    assert others.returncode == 0, said(others)
    back = drcloud("host", "drain", "dk-04", "--undo")
    assert back.returncode == 0, said(back)
    words = "demo_prod stays drained on dk-04 until a deploy brings it up to date: another image runs"
    assert words in back.stdout
    assert (admin(on, "dk-04"), host_state("dk-04")) == (DRAINED, "active")
    healed, seen = under_load(clients, lambda: deploy(SECOND))
    assert healed.returncode == 0, said(healed)
    assert seen.lost == 0, seen.errors
    assert set(seen.by_version) == {SECOND}
    assert admin(on, "dk-04") == READY


@pytest.mark.usefixtures("back_in_service")
def test_too_many_hosts_are_not_drained_and_may_be_quarantined(
    on: Run, clients: list[str], on_first: None
) -> None:
    names = ("dk-01", "dk-02", "dk-03")
    try:
        done, seen = under_load(clients, lambda: drcloud("host", "drain", *names))
        assert done.returncode == ExitCode.FAILED, said(done)
        assert "would keep 3 hosts in service without dk-03, and 4 must stay" in done.stdout
        assert seen.lost == 0, seen.errors
        assert [host_state(name) for name in names] == ["maintenance", "maintenance", "active"]
        assert admin(on, "dk-03") == READY
        bad, seen = under_load(
            clients, lambda: drcloud("host", "quarantine", "dk-03", "--reason", "its disk lies")
        )
        assert bad.returncode == 0, said(bad)
        assert seen.lost == 0, seen.errors
        assert (admin(on, "dk-03"), host_state("dk-03")) == (DRAINED, "quarantined")
    finally:
        ended = drcloud("host", "quarantine", "dk-03", "--end")
        back = drcloud("host", "drain", "dk-01", "dk-02", "--undo")
    assert (ended.returncode, back.returncode) == (0, 0), said(ended) + said(back)
    assert [host_state(name) for name in names] == ["active"] * 3
    assert [admin(on, name) for name in names] == [READY] * 3
    assert not leases.held(Store.open())


@pytest.fixture
def restored(lab: Lab, tmp_path: Path) -> Iterator[None]:
    """The CMDB as it was, with the ledger of before: a retired host does not come back otherwise."""
    kept = tmp_path / "cmdb.backup"
    saved = drcloud("cmdb", "backup", str(kept))
    assert saved.returncode == 0, said(saved)
    yield
    back = drcloud("cmdb", "restore", str(kept), "--replace", "--yes")
    assert back.returncode == 0, said(back)
    healed = deploy(SECOND)
    assert healed.returncode == 0, said(healed)


@pytest.mark.usefixtures("restored")
def test_a_host_is_decommissioned(on: Run, clients: list[str], on_first: None) -> None:
    asked = drcloud("host", "decommission", "dk-05")
    assert asked.returncode == ExitCode.CANCELLED, said(asked)
    done, seen = under_load(
        clients, lambda: drcloud("host", "decommission", "dk-05", "--yes", "--reason", "end of its lease")
    )
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert containers(on, "dk-05") == {}
    assert host_state("dk-05") == "retired"
    rows = snapshot.read(Store.open()).placements
    assert all("dk-05" not in row.hosts for row in rows)
    over = drcloud("host", "drain", "dk-05")
    assert over.returncode == ExitCode.INVALID_INPUT, said(over)
    assert "host dk-05 is retired" in over.stderr


@pytest.fixture
def rebuilt(restored: None, tmp_path: Path) -> Iterator[None]:
    """A host whose disks were wiped is as one whose disks were replaced."""
    yield
    back = drcloud("cmdb", "restore", str(tmp_path / "cmdb.backup"), "--replace", "--yes")
    assert back.returncode == 0, said(back)
    with Store.open().write(reason="the disks were wiped") as session:
        for disk in lookup.host(session, "dk-03").block_devices:
            disk.uuid = None if disk.path in DISKS else disk.uuid
    anew = drcloud("host", "provision", "dk-03")
    assert anew.returncode == 0, said(anew)
    (tmp_path / "cmdb.backup").unlink()
    good = drcloud("cmdb", "backup", str(tmp_path / "cmdb.backup"))
    assert good.returncode == 0, said(good)


MARK = "what-nobody-may-read-again"
DISKS = ("/dev/drc-volume", "/dev/drc-data")


def found(on: Run, disk: str) -> bool:
    """Whether the mark can be read from a disk itself."""
    return on("dk-03", f"sudo sync; sudo grep --count --text {MARK} {disk}").stdout.strip() != "0"


@pytest.mark.usefixtures("rebuilt")
def test_disks_are_wiped_that_are_named_by_serial_and_no_others(
    on: Run, clients: list[str], on_first: None
) -> None:
    written = on("dk-03", f"for at in /srv/demo /var/lib/docker; do echo {MARK} | sudo tee $at/mark; done")
    assert written.returncode == 0, written.stderr
    assert [found(on, disk) for disk in DISKS] == [True, True]
    wrong = drcloud("host", "decommission", "dk-03", "--yes", "--wipe", "S3Z8NB0K")
    assert wrong.returncode == ExitCode.FAILED, said(wrong)
    assert "no disk of this host is declared as S3Z8NB0K; it has /dev/drc-data, /dev/drc-raw" in wrong.stdout
    dry = drcloud("host", "decommission", "dk-03", "--check", "--wipe", DISKS[0], "--wipe", DISKS[1])
    assert dry.returncode == 0, said(dry)
    assert (host_state("dk-03"), admin(on, "dk-03")) == ("active", READY)
    assert [found(on, disk) for disk in DISKS] == [True, True]

    words = [word for disk in DISKS for word in ("--wipe", disk)]
    done, seen = under_load(clients, lambda: drcloud("host", "decommission", "dk-03", "--yes", *words))
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert host_state("dk-03") == "retired"
    assert [found(on, disk) for disk in DISKS] == [False, False]
    assert on("dk-03", "findmnt /srv/demo; findmnt /var/lib/docker").stdout == ""
    assert on("dk-03", "systemctl is-active docker.service").stdout.strip() != "active"
