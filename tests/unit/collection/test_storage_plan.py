"""What is done to a declared device, and what is refused: given what is seen, expect this plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _storage_plan
from ansible_collections.dianrong.cloud.plugins.module_utils._signatures import FILE_SYSTEM, TABLE, Signature
from ansible_collections.dianrong.cloud.plugins.module_utils._storage_plan import (
    Declared,
    Place,
    Record,
    RefusalError,
    Seen,
)

GIB = 1 << 30
UUID = "3c1f6a52-9d0e-4b7a-8f2d-5e6a7b8c9d01"
OTHER = "aaaaaaaa-9d0e-4b7a-8f2d-5e6a7b8c9d01"
XFS = Signature(FILE_SYSTEM, "xfs", 0, UUID)
FOREIGN = Signature(FILE_SYSTEM, "ext4", 1080, OTHER, "data")
GPT = Signature(TABLE, "gpt (backup)", 4 * GIB - 512)
DATA = Declared("docker-data", path="/dev/drc-data", mount="/var/lib/docker")
VOLUME = Declared("app-volume", path="/dev/drc-volume", mount="/srv/demo", filesystem="ext4")
BLANK = Seen("/dev/drc-data", 4 * GIB)
OURS = replace(BLANK, file_system=XFS)
FULL = Place(entries=3, used=GIB)
FORMAT = ("note formatting", "format", "note formatted")
MOVE = ("note moving", "stop engine", "stage", "copy", "verify", "unstage")
UNITS = ("require mount", "write unit", "enable unit")


def record(step, number=UUID, **changes):
    return replace(Record(number, "xfs", step, 4 * GIB, generation=1), **changes)


def settled(declared=DATA, kind="xfs", number=UUID):
    """Return the place of a device that is mounted as declared."""
    made = _storage_plan.Plan(declared, BLANK, (), number, kind)
    unit, drop_in = _storage_plan.unit_text(made), _storage_plan.drop_in_text(declared.mount)
    return Place(unit=unit, drop_in=drop_in, enabled=True, owner="root", group="root", mode="0755")


def plan(declared, seen):
    return _storage_plan.plan(declared, seen, "machine|dk-03")


DONE = replace(OURS, mounted=("/var/lib/docker",), place=settled(), record=record("ready"))
HALF = replace(BLANK, signatures=(XFS,), file_system=XFS, stain=0, record=record("formatting"))
COMMITTED = Place(unit=settled().unit, drop_in=settled().drop_in, entries=3)
EXT4 = Signature(FILE_SYSTEM, "ext4", 1080, UUID)
RAW = Declared("raw", path="/dev/drc-raw", serial=None)
RAW_UUID = _storage_plan.number_of(RAW, BLANK)
SERIAL_UUID = _storage_plan.number_of(RAW, replace(BLANK, serial="S1"))
GIVEN = Record(None, None, "handed over", 4 * GIB)
LATE = replace(
    BLANK,
    file_system=EXT4,
    place=replace(settled(VOLUME, "ext4"), entries=7),
    record=record("ready", filesystem="ext4"),
)
CASES = {
    "blank, nothing to move": (DATA, BLANK, (*FORMAT, *UNITS, "mount", "note ready")),
    "blank, data to move": (
        DATA,
        replace(BLANK, place=FULL),
        (*FORMAT, *MOVE, *UNITS, "mount", "set aside", "start engine", "note ready"),
    ),
    "as it should be": (DATA, DONE, ()),
    "ours by the CMDB on a host that was reinstalled": (
        replace(DATA, uuid=UUID),
        OURS,
        (*UNITS, "mount", "note ready"),
    ),
    "mkfs was cut short": (DATA, HALF, (*FORMAT, *UNITS, "mount", "note ready")),
    "mkfs was cut short before the superblock": (
        DATA,
        replace(BLANK, stain=70000, record=record("formatting")),
        (*FORMAT, *UNITS, "mount", "note ready"),
    ),
    "killed after mkfs": (
        DATA,
        replace(OURS, record=record("formatted")),
        (*UNITS, "mount", "note ready"),
    ),
    "killed while data was copied: copied anew": (
        DATA,
        replace(OURS, place=FULL, record=record("moving", engine=True)),
        (*MOVE, *UNITS, "mount", "set aside", "start engine", "note ready"),
    ),
    "killed after the unit was written: the device counts": (
        DATA,
        replace(OURS, place=COMMITTED, record=record("moving", engine=True)),
        ("enable unit", "mount", "set aside", "start engine", "note ready"),
    ),
    "killed after the unit was written, and the engine did not run": (
        DATA,
        replace(OURS, place=COMMITTED, record=record("moving")),
        ("enable unit", "mount", "set aside", "start engine", "note ready"),
    ),
    "killed after the mount": (
        DATA,
        replace(DONE, record=record("moving", engine=True)),
        ("set aside", "start engine", "note ready"),
    ),
    "a wipe that was recorded under another UUID and cut short": (
        replace(DATA, uuid=OTHER),
        HALF,
        (*FORMAT, *UNITS, "mount", "note ready"),
    ),
    "a volume": (
        VOLUME,
        replace(BLANK, node="/dev/drc-volume"),
        (*FORMAT, "write unit", "enable unit", "mount", "note ready"),
    ),
    "spare": (Declared("spare", path="/dev/drc-spare"), BLANK, ()),
    "raw, first seen": (RAW, BLANK, ("hand over",)),
    "raw, handed over and written by its app": (RAW, replace(BLANK, signatures=(FOREIGN,), record=GIVEN), ()),
    "raw, handed over by the CMDB, on a host that was reinstalled": (
        replace(RAW, uuid=RAW_UUID),
        replace(BLANK, stain=4096, uses=("open in process 7 (mysqld)",)),
        ("hand over",),
    ),
    "raw, handed over, and on record under the name it had before": (
        replace(RAW, serial="S1", uuid=SERIAL_UUID),
        replace(BLANK, serial="S1", stain=0, record=replace(GIVEN, serial="S1")),
        (),
    ),
    "raw, with something on it that may go": (
        replace(RAW, serial="S1", wipe=True),
        replace(BLANK, serial="S1", signatures=(FOREIGN,)),
        ("wipe", "hand over"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_steps(name):
    declared, seen, steps = CASES[name]
    assert plan(declared, seen).steps == steps


REFUSED = {
    "a file system": (
        DATA,
        replace(BLANK, signatures=(FOREIGN,), file_system=FOREIGN, stain=1080),
        'carries ext4 file system "data" .* not recorded as ours; nothing was touched; give wipe',
    ),
    "a backup of a partition table": (
        DATA,
        replace(BLANK, signatures=(GPT,), stain=1),
        "gpt .backup. partition",
    ),
    "another one than the CMDB records": (
        replace(DATA, uuid=UUID),
        replace(BLANK, signatures=(FOREIGN,), file_system=FOREIGN, stain=1080),
        f"not {UUID} as the CMDB records",
    ),
    "blank, where the CMDB records data": (replace(DATA, uuid=UUID), BLANK, "but it is blank: if the disk"),
    "data that nothing recognises": (DATA, replace(BLANK, stain=8192), "there is data at byte 8192"),
    "what only blkid recognises": (DATA, replace(BLANK, recognised="zonefs"), "blkid recognises zonefs"),
    "in use": (
        DATA,
        replace(BLANK, uses=("mounted on /mnt", "held by dm-0")),
        "mounted on /mnt; held by dm-0",
    ),
    "in use, with wipe": (
        replace(DATA, serial="S1", wipe=True),
        replace(BLANK, serial="S1", uses=("held by md0",)),
        "in use: held by md0",
    ),
    "wipe without a serial": (replace(DATA, wipe=True), replace(BLANK, stain=1), "only with the serial"),
    "half made, with something else on it": (
        DATA,
        replace(HALF, signatures=(XFS, GPT)),
        "gpt .backup. partition table",
    ),
    "half made, but another disk by now": (
        DATA,
        replace(HALF, record=record("formatting", size=GIB)),
        "not recorded as ours",
    ),
    "too small": (DATA, replace(BLANK, size=64 << 20), "too small for xfs: 67108864 bytes"),
    "too small for the data": (DATA, replace(BLANK, place=replace(FULL, used=4 * GIB)), "too small: it has"),
    "read-only": (DATA, replace(BLANK, read_only=True), "read-only"),
    "another file system declared": (
        replace(DATA, uuid=UUID, filesystem="ext4"),
        OURS,
        "carries our xfs .* ext4 is declared; file systems are not converted",
    ),
    "xfs without file types": (replace(DATA, uuid=UUID), replace(OURS, ftype=False), "ftype=0"),
    "containers run": (
        DATA,
        replace(BLANK, place=replace(FULL, users=("/var/lib/docker/overlay2/x/merged",))),
        "containers run from /var/lib/docker .1 mounts, among them .*merged",
    ),
    "data on both": (replace(DATA, uuid=UUID), replace(OURS, place=FULL), "both it and the directory"),
    "mounted elsewhere": (replace(DATA, uuid=UUID), replace(OURS, mounted=("/mnt",)), "mounted on /mnt"),
    "the mount point is taken": (
        DATA,
        replace(BLANK, place=Place(other="/dev/sda2 (xfs)")),
        "mount of /dev/sda2",
    ),
    "a volume over data": (VOLUME, replace(BLANK, place=FULL), "holds 3 entries that the volume would hide"),
    "a volume over what was written while its disk was away": (
        replace(VOLUME, uuid=UUID),
        LATE,
        "holds 7 entries that the volume would hide; move them away first",
    ),
    "a data root that is a symbolic link": (
        DATA,
        replace(BLANK, place=Place(leads_to="/srv/docker")),
        "/var/lib/docker leads through a symbolic link to /srv/docker; declare that path in its place",
    ),
    "a volume of ours below a symbolic link": (
        replace(VOLUME, uuid=UUID),
        replace(LATE, place=Place(leads_to="/data/demo"), mounted=("/data/demo",)),
        "/srv/demo leads through a symbolic link to /data/demo",
    ),
    "raw with a file system": (
        RAW,
        replace(BLANK, signatures=(FOREIGN,)),
        f"carries ext4 .*; it is not handed over as a raw device: if .* the CMDB to {RAW_UUID}; give wipe",
    ),
    "raw in use": (RAW, replace(BLANK, uses=("active swap",)), "in use: active swap; it is not handed over"),
    "raw with another app's database, which nothing recognises": (
        RAW,
        replace(BLANK, stain=4096),
        f"data at byte 4096; it is not handed over .* set the field uuid .* to {RAW_UUID}",
    ),
    "raw, and blkid alone knows what it is": (
        RAW,
        replace(BLANK, recognised="drbd"),
        "blkid recognises drbd; it is not handed over",
    ),
    "raw, wiped without a serial": (
        replace(RAW, wipe=True),
        replace(BLANK, stain=0),
        "it is not handed over",
    ),
    "raw, another disk than the one that was handed over": (
        replace(RAW, uuid=RAW_UUID),
        replace(BLANK, serial="S2"),
        f"records under {RAW_UUID} that another disk was handed over .if this one replaces it, clear",
    ),
    "raw, in the place of one that was handed over here": (
        RAW,
        replace(BLANK, serial="S2", stain=0, record=replace(GIVEN, serial="S1")),
        "not blank",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    declared, seen, said = REFUSED[name]
    with pytest.raises(RefusalError, match=said):
        plan(declared, seen)


def test_wipe_with_the_matching_serial_formats_under_a_new_uuid():
    declared = replace(DATA, serial="S1", wipe=True, uuid=UUID)
    seen = replace(
        BLANK, serial="S1", signatures=(FOREIGN,), file_system=FOREIGN, stain=0, record=record("ready")
    )
    made = plan(declared, seen)
    assert made.steps[:4] == ("note formatting", "wipe", "format", "note formatted")
    assert made.uuid == _storage_plan.uuid_of("machine|dk-03", declared, 4 * GIB, 2)
    assert made.before["content"] == [str(FOREIGN)]


def test_a_raw_device_is_known_by_its_own_identity_and_not_by_its_declaration():
    """It may get a serial in the CMDB, grow, or hang on another port: its app's it stays."""
    disk = replace(BLANK, serial="S1", wwn="naa.5000")
    numbers = {
        _storage_plan.number_of(declared, seen)
        for declared in (RAW, Declared("raw", serial="S1"), Declared("raw", wwn="5000"))
        for seen in (disk, replace(disk, size=8 * GIB, node="/dev/sdz"))
    }
    assert len(numbers) == 1
    others = (replace(disk, serial="S2"), replace(disk, wwn=None), BLANK, replace(BLANK, size=8 * GIB))
    assert len(numbers | {_storage_plan.number_of(RAW, seen) for seen in others}) == 5


def test_what_is_wiped_for_a_raw_device_is_shown():
    seen = replace(BLANK, serial="S1", signatures=(FOREIGN,))
    made = plan(replace(RAW, serial="S1", wipe=True), seen)
    assert made.changed
    assert (made.before, made.after) == ({"content": [str(FOREIGN)]}, {"content": ["wiped"]})
    assert not plan(RAW, BLANK).changed


def test_wipe_does_nothing_to_what_is_ours():
    assert plan(replace(DATA, serial="S1", uuid=UUID, wipe=True), DONE).steps == ()


def test_check_mode_knows_the_uuid_and_hosts_and_disks_do_not_share_one():
    numbers = {
        _storage_plan.uuid_of(host, replace(DATA, path=path), size, generation)
        for host in ("a|dk-01", "a|dk-02")
        for path in ("/dev/x", "/dev/y")
        for size in (1, 2)
        for generation in (1, 2)
    }
    assert len(numbers) == 16
    assert plan(DATA, BLANK).uuid == plan(DATA, BLANK).uuid


def test_changed_and_diff_come_from_the_same_values():
    made = plan(DATA, replace(BLANK, place=FULL))
    assert made.changed
    assert made.before == {
        "content": ["blank"],
        "mounted": None,
        "mounted at boot": False,
        "old data": "/var/lib/docker",
    }
    assert made.after == {
        "content": [f"xfs file system (UUID {made.uuid}) at byte 0"],
        "mounted": "/var/lib/docker",
        "mounted at boot": True,
        "old data": f"/var/lib/docker.before-{made.uuid[:8]}",
    }
    assert [path for path, _before, _after in made.files] == [
        "/etc/systemd/system/docker.service.d/drcloud-data.conf",
        "/etc/systemd/system/var-lib-docker.mount",
    ]
    done = plan(DATA, DONE)
    assert not done.changed
    assert done.before == done.after


def test_a_note_in_the_journal_alone_is_no_change():
    made = plan(replace(DATA, uuid=UUID), replace(DONE, record=None))
    assert made.steps == ("note ready",)
    assert not made.changed


def test_ownership_is_set_only_where_it_is_declared_and_differs():
    volume = replace(VOLUME, owner="10001", mode="0750")
    place = settled(volume, "ext4")
    ext4 = replace(XFS, name="ext4", offset=1080)
    seen = replace(
        BLANK,
        file_system=ext4,
        mounted=("/srv/demo",),
        place=place,
        record=record("ready", filesystem="ext4"),
    )
    made = plan(volume, seen)
    assert made.steps == ("own",)
    assert (made.before["owner"], made.after["owner"]) == ("root", "10001")
    assert (made.before["mode"], made.after["mode"]) == ("0755", "0750")
    owned = replace(seen, place=replace(place, owner="10001", mode="0750"))
    assert plan(volume, owned).steps == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/var/lib/docker", "var-lib-docker"),
        ("/srv/my-app", "srv-my\\x2dapp"),
        ("/srv/.hidden", "srv-.hidden"),
        ("/.a b", "\\x2ea\\x20b"),
        ("/srv/数", "srv-\\xe6\\x95\\xb0"),
    ],
)
def test_unit_names_are_escaped_as_systemd_does(path, name):
    assert _storage_plan.escape(path) == name


def test_a_dead_data_disk_keeps_the_engine_down_and_not_the_host():
    unit, drop_in = settled().unit, settled().drop_in
    assert "Before=umount.target docker.service\n" in unit
    assert "DefaultDependencies=no" in unit
    assert "local-fs.target" not in unit
    assert drop_in.endswith("RequiresMountsFor=/var/lib/docker\n")
