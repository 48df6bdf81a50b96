"""Raw disks of a lab host: mounted, handed over, refused, and a move of data that is killed at every step."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host as Machine

from drcloud.cmdb import objects, snapshot
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]
HOST = "dk-03"
SPARE, RAW = "/dev/drc-spare", "/dev/drc-raw"
JOURNAL = "/var/lib/drcloud/storage/devices.json"
PUSH = (
    "rm -rf /tmp/drc-modules && mkdir /tmp/drc-modules && "
    "tar --directory /tmp/drc-modules --extract --gzip && chmod -R a+rX /tmp/drc-modules"
)
STEPS = (
    "note formatting",
    "format",
    "note formatted",
    "note moving",
    "stop engine",
    "stage",
    "copy",
    "verify",
    "unstage",
    "require mount",
    "write unit",
    "enable unit",
    "mount",
    "set aside",
    "start engine",
)
# The image of nothing but dd, made on the host from the host's own files.
DD_IMAGE = (
    "tar --create --dereference --directory / --file - bin/dd lib64/ld-linux-x86-64.so.2 "
    "lib/x86_64-linux-gnu/libc.so.6 | docker import - drc-test/dd:1"
)


@pytest.fixture
def host(machine: Callable[[str], Machine]) -> Machine:
    return machine(HOST)


@pytest.fixture
def storage(play: Run, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the role alone, on the host's declared disks or on others."""

    def run(*options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        role = {"role": "dianrong.cloud.raw_storage"}
        book = tmp_path / "storage.yml"
        document = [
            {"hosts": HOST, "gather_facts": False, "become": True, "vars": variables, "roles": [role]}
        ]
        book.write_text(yaml.safe_dump(document))
        return play(str(book), *options)

    return run


@pytest.fixture
def spare(host: Machine) -> Iterator[str]:
    """The host's spare disk, blank again in the end."""
    yield SPARE
    host.check_output(f"/usr/sbin/blkdiscard --force {SPARE} 2>/dev/null")


def recorded() -> dict[str, str | None]:
    rows = {row.name: row for row in snapshot.read(Store.open()).hosts}
    return {disk["path"]: disk["uuid"] for disk in rows[HOST].block_devices}


def test_the_disks_are_mounted_by_the_uuids_that_the_cmdb_records(host: Machine):
    known = recorded()
    mounts = (("/dev/drc-data", "/var/lib/docker"), ("/dev/drc-volume", "/srv/demo"))
    looks = [
        f"findmnt --noheadings --output SOURCE {point}; blkid --probe --match-tag UUID --output value {node}"
        for node, point in mounts
    ]
    engine = "docker info --format '{{.DockerRootDir}} {{.Driver}}'"
    found = host.check_output("; ".join([*looks, engine, "cat /etc/systemd/system/*.mount"])).splitlines()
    told = [line for node, _point in mounts for line in (node, known[node])]
    assert found[:5] == [*told, "/var/lib/docker overlay2"]
    for node, point in mounts:
        place = found.index(f"What=/dev/disk/by-uuid/{known[node]}")
        assert found[place + 1] == f"Where={point}"
    assert known[RAW] is not None
    assert known[SPARE] is None


def test_what_a_dead_controller_did_not_record_is_recorded_by_the_next_run(storage: Run):
    before = recorded()
    lost = ("/dev/drc-volume", RAW)
    forgotten = [Wanted("block_device", {"uuid": None}, f"{HOST}:{node}") for node in lost]
    objects.change(Store.open(), forgotten, reason="as if the controller had died before it wrote")
    assert [recorded()[node] for node in lost] == [None, None]
    done = storage()
    assert done.returncode == 0, done.stdout
    assert recorded() == before


def test_a_raw_disk_belongs_to_its_container(host: Machine, storage: Run):
    """Handed to a container by its path, written there, and left alone by the next run."""
    host.check_output(DD_IMAGE)
    try:
        container = f"docker run --rm --network none --device {RAW}:/dev/data drc-test/dd:1"
        host.check_output(f"{container} /bin/dd if=/bin/dd of=/dev/data conv=fsync")
        sums = f"head --bytes=65536 {RAW} | sha256sum; head --bytes=65536 /bin/dd | sha256sum"
        first, second = host.check_output(sums).splitlines()
        assert first == second
        done = storage("--diff")
        assert done.returncode == 0, done.stdout
        assert "changed=0" in done.stdout
        assert host.check_output(sums).splitlines() == [first, second]
    finally:
        host.run(f"docker rmi drc-test/dd:1; /usr/sbin/blkdiscard --force {RAW}")


def test_a_disk_that_carries_something_stops_the_host_before_anything_changes(
    host: Machine, storage: Run, spare: str
):
    """All that is left of a partition table is its backup at the end."""
    last = int(host.check_output(f"blockdev --getsz {spare}")) - 1
    host.check_output(f"printf 'EFI PART' | dd of={spare} bs=512 seek={last} conv=fsync 2>/dev/null")
    picture = " | sha256sum; ".join(
        [f"cat {JOURNAL}", f"head --bytes=16M {spare}", f"tail --bytes=1M {spare}", "true"]
    )
    before = host.check_output(picture)
    volume = {"path": spare, "purpose": "app-volume", "mount": "/srv/drc-test"}
    done = storage(raw_storage_devices=[volume], raw_storage_record=False)
    assert done.returncode != 0
    carried = f"block device {spare}: carries gpt (backup) partition table at byte {last * 512}, not recorded"
    assert f"{carried} as ours; nothing was touched; give wipe with its serial" in " ".join(
        done.stdout.split()
    )
    assert host.check_output(picture) == before
    assert not host.file("/srv/drc-test").exists


def crash(lab: Lab, steps: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Kill runs after the named steps, on the host, and return how it stood after the next run."""
    ssh = ["ssh", "-F", str(lab.ssh / "lab_config"), HOST]
    modules = "ansible_collections/dianrong/cloud/plugins/module_utils"
    packed = subprocess.run(
        ["tar", "--create", "--gzip", "--dereference", "--exclude=__pycache__", modules],
        cwd=lab.checkout / "collections", check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run([*ssh, PUSH], input=packed.stdout, check=True, capture_output=True)
    named = " ".join(f"'{step}'" for step in steps)
    done = subprocess.run(
        [*ssh, f"sudo env PYTHONDONTWRITEBYTECODE=1 python3 - /tmp/drc-modules {named}"],
        input=Path(__file__).with_name("storage_crash.py").read_text(),
        check=False, capture_output=True, text=True, timeout=850,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("step"): line for line in lines}


SOUND = {
    "killed": True,
    "ended": 0,
    "mounted": SPARE,
    "left to do": [],
    "differences": [],
    "ledger kept": True,
    "engine": True,
    "masked": False,
    "old data kept": True,
    "strays": [],
}


@pytest.fixture(scope="module")
def crashed(provisioned: Lab) -> dict[str, dict[str, Any]]:
    """What came of a killed move, and of disks that are gone or late; all in one visit to the host."""
    return crash(provisioned, ("write unit+boot", "missing disk", "late disk", "linked data root"))


def test_a_move_that_was_killed_is_completed_by_the_next_run(crashed: dict[str, dict[str, Any]]):
    """Killed right after the device became the truth, with a boot in between."""
    assert crashed["write unit+boot"] == SOUND


def test_the_engine_does_not_start_on_the_empty_mount_point(crashed: dict[str, dict[str, Any]]):
    assert crashed["missing disk"] == {"engine": False, "started by hand": False, "below": []}


def test_a_volume_is_not_mounted_over_what_was_written_while_its_disk_was_away(
    crashed: dict[str, dict[str, Any]],
):
    found = crashed["late disk"]
    said = "/srv/drc-crash holds 1 entries that the volume would hide; move them away first"
    assert found == {
        "kept out": True,
        "refused": f"block device {SPARE}: {said}",
        "unharmed": True,
        "ended": 0,
        "mounted": SPARE,
    }


def test_a_data_root_that_is_a_symbolic_link_is_refused_before_the_engine_stops(
    crashed: dict[str, dict[str, Any]],
):
    found = crashed["linked data root"]
    said = (
        "/srv/drc-crash leads through a symbolic link to /srv/drc-crash-real; declare that path in its place"
    )
    assert found == {"refused": f"block device {SPARE}: {said}", "engine": True, "mounted": None}


@pytest.mark.lab_slow
def test_what_systemd_was_not_told_by_a_killed_run_is_made_up_for(provisioned: Lab):
    """An engine that did not run is not left masked, and a new disk is mounted by its own unit."""
    found = crash(provisioned, ("write unit+idle", "replaced disk"))
    assert found == {
        "write unit+idle": SOUND | {"engine": False},
        "replaced disk": {"killed": True, "ended": 0, "mounted": SPARE},
    }


@pytest.mark.lab_slow
def test_a_move_is_completed_wherever_it_was_killed(provisioned: Lab):
    found = crash(provisioned, STEPS)
    assert found == dict.fromkeys(STEPS, SOUND)


@pytest.mark.lab_slow
def test_a_move_is_completed_wherever_it_was_killed_also_over_a_boot(provisioned: Lab):
    steps = tuple(f"{step}+boot" for step in STEPS)
    found = crash(provisioned, steps)
    assert found == dict.fromkeys(steps, SOUND)
