# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done to a host's declared block devices, or why nothing may be done to them; pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from ansible_collections.dianrong.cloud.plugins.module_utils import _signatures

NAMESPACE = uuid.UUID("6f1c3d1e-8f0b-5a57-9a3e-0c6f0f6b7d11")
# The least that mkfs takes, in bytes (mkfs.xfs refuses less than 300 MiB; an ext4 below is of no use).
LEAST = {"xfs": 300 << 20, "ext4": 64 << 20}
# Of a new file system, so much is its own (journal, inodes), in hundredths.
OVERHEAD = 6
ENGINE = "docker.service"
FORMATTED = ("docker-data", "app-volume")
# The steps that bring a directory's content to its new disk.
MOVE = ("note moving", "stop engine", "stage", "copy", "verify", "unstage")


@dataclass(frozen=True)
class Declared:
    """A block device as the CMDB declares it; ``mount`` is where its file system belongs."""

    purpose: str
    path: str | None = None
    serial: str | None = None
    wwn: str | None = None
    filesystem: str | None = None
    mount: str | None = None
    uuid: str | None = None
    wipe: bool = False
    owner: str | None = None
    group: str | None = None
    mode: str | None = None

    @property
    def key(self):
        """What the CMDB names it by, within its host."""
        return self.serial or self.wwn or self.path

    @property
    def names(self):
        """All that it may be on record by, what the CMDB names it by first."""
        return tuple(dict.fromkeys(name for name in (self.serial, self.wwn, self.path) if name))

    @property
    def label(self):
        """How error messages name it."""
        return f"block device {self.path or self.serial or self.wwn}"


@dataclass(frozen=True)
class Record:
    """What this host's journal holds of a device: how far we are with the file system of which UUID.

    ``engine`` and ``socket`` are the engine's units that were stopped for a move and are to run again.
    """

    uuid: str | None
    filesystem: str | None
    step: str
    size: int
    serial: str | None = None
    wwn: str | None = None
    generation: int = 0
    engine: bool = False
    socket: bool = False


@dataclass(frozen=True)
class Place:
    """What is at a mount point. ``other`` names a foreign mount there; ``used`` in bytes.

    ``unit`` and ``drop_in`` are the texts of the files that mount the device, None without them. ``leads_to``
    is the path that a mount point with a symbolic link in it comes to; None where it is what it says.
    """

    leads_to: str | None = None
    other: str | None = None
    entries: int = 0
    used: int = 0
    users: tuple[str, ...] = ()
    unit: str | None = None
    drop_in: str | None = None
    enabled: bool = False
    owner: str | None = None
    group: str | None = None
    mode: str | None = None


@dataclass(frozen=True)
class Seen:
    """What was read of a device. ``stain`` is the first byte that is not blank, None where all is."""

    node: str
    size: int
    serial: str | None = None
    wwn: str | None = None
    read_only: bool = False
    file_system: _signatures.Signature | None = None
    ftype: bool = True
    signatures: tuple[_signatures.Signature, ...] = ()
    recognised: str = ""
    stain: int | None = None
    uses: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    record: Record | None = None
    place: Place = field(default_factory=Place)


@dataclass(frozen=True)
class Plan:
    """What is done to one device: the steps by name, and what it was and will be."""

    declared: Declared
    seen: Seen
    steps: tuple[str, ...] = ()
    uuid: str | None = None
    filesystem: str | None = None
    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    # Path, text before and text after of the files that change.
    files: tuple[tuple[str, str, str], ...] = ()

    @property
    def changed(self):
        """Whether the host changes; the journal alone does not count."""
        return self.before != self.after or bool(self.files)


class RefusalError(Exception):
    """A device must not be touched as declared; the message says why and what helps."""


def plan(declared, seen, host):
    """Return the plan for one device; ``host`` is what makes a UUID of this host unique."""
    if declared.purpose == "spare":
        return Plan(declared, seen)
    if declared.purpose == "raw":
        return _plan_raw(declared, seen)
    standing = _standing(declared, seen)
    _refuse_place(declared, seen, standing)
    if standing == "ours":
        return _plan_mount(declared, seen, seen.file_system.name, seen.file_system.uuid, ())
    return _plan_format(declared, seen, standing, host)


def known(record, declared, seen):
    """Return the journal's record where it is of this very disk; None otherwise."""
    if record is None or (record.size, record.serial, record.wwn) != (seen.size, seen.serial, seen.wwn):
        return None
    return record


def is_ours(declared, seen):
    """Return whether a device carries the file system that the CMDB or this host's journal calls ours."""
    if seen.file_system is None or not seen.file_system.uuid:
        return False
    record = known(seen.record, declared, seen)
    made = record is not None and record.step not in ("formatting", "handed over")
    return seen.file_system.uuid in (declared.uuid, record.uuid if made else None)


def uuid_of(host, declared, size, generation):
    """Return the UUID that a device's next file system gets: known before it is made, also to check mode."""
    return str(uuid.uuid5(NAMESPACE, "|".join([host, declared.key, str(size), str(generation)])))


def _standing(declared, seen):
    """Return ``ours``, ``half`` (our own mkfs was cut short), ``blank`` or ``wipe``; refuse all else."""
    if is_ours(declared, seen):
        _refuse_unfit(declared, seen)
        return "ours"
    if seen.uses:
        raise RefusalError(f"{declared.label}: in use: {'; '.join(seen.uses)}; nothing was touched")
    record = known(seen.record, declared, seen)
    if record is not None and record.step == "formatting" and not _foreign(seen, record):
        return "half"
    blank = not seen.signatures and not seen.recognised and seen.stain is None
    if blank and declared.uuid is None:
        return "blank"
    if declared.wipe and declared.serial:
        return "wipe"
    if declared.wipe:
        raise RefusalError(
            f"{declared.label}: wipe takes effect only with the serial that the disk has; declare its serial"
        )
    raise RefusalError(f"{declared.label}: {_objection(declared, seen)}")


def _foreign(seen, record):
    """Return what a device carries that our own interrupted mkfs cannot have written."""
    return [one for one in seen.signatures if (one.name, one.uuid) != (record.filesystem, record.uuid)]


def _objection(declared, seen):
    way_out = "nothing was touched; give wipe with its serial to destroy what it holds"
    if declared.uuid and not seen.signatures and seen.stain is None:
        return (
            f"the CMDB records the file system {declared.uuid} on it, but it is blank: if the disk was "
            "replaced, clear the field uuid of the block device in the CMDB and run again"
        )
    if seen.signatures:
        carried = ", ".join(str(one) for one in seen.signatures)
        other = f", not {declared.uuid} as the CMDB records" if declared.uuid else ", not recorded as ours"
        return f"carries {carried}{other}; {way_out}"
    if seen.recognised:
        return f"blkid recognises {seen.recognised}; {way_out}"
    return f"is not blank: nothing is recognised, but there is data at byte {seen.stain}; {way_out}"


def _refuse_unfit(declared, seen):
    found = seen.file_system
    if declared.filesystem and declared.filesystem != found.name:
        raise RefusalError(
            f"{declared.label}: carries our {found.name} file system {found.uuid}, and "
            f"{declared.filesystem} is declared; file systems are not converted: declare {found.name}"
        )
    if declared.purpose == "docker-data" and not seen.ftype:
        raise RefusalError(f"{declared.label}: its xfs was made with ftype=0, on which overlay2 does not run")


def _refuse_place(declared, seen, standing):
    """Refuse what the mount point does not allow."""
    place = seen.place
    if place.leads_to:
        # systemd mounts on no such path, and what runs from it is listed under the other name.
        raise RefusalError(
            f"{declared.label}: {declared.mount} leads through a symbolic link to {place.leads_to}; "
            "declare that path in its place"
        )
    if declared.mount in seen.mounted:
        return
    if seen.mounted:
        raise RefusalError(
            f"{declared.label}: mounted on {seen.mounted[0]}, declared for {declared.mount}; unmount it first"
        )
    if place.other:
        raise RefusalError(f"{declared.label}: {declared.mount} is a mount of {place.other} already")
    if not place.entries:
        return
    if declared.purpose == "app-volume":
        # Also where the unit is there: a volume is never moved, so this was written while its disk was away.
        raise RefusalError(
            f"{declared.label}: {declared.mount} holds {place.entries} entries that the volume would hide; "
            "move them away first"
        )
    if _committed(seen):
        return
    if standing == "ours" and not _is_copy(declared, seen):
        raise RefusalError(
            f"{declared.label}: both it and the directory {declared.mount} hold data; stop the engine, move "
            "the directory's content away, and run again"
        )
    if place.users:
        raise RefusalError(
            f"{declared.label}: containers run from {declared.mount} ({len(place.users)} mounts, among them "
            f"{place.users[0]}); drain the host and stop them first"
        )
    if place.used > seen.size * (100 - OVERHEAD) // 100:
        raise RefusalError(
            f"{declared.label}: too small: it has {seen.size} bytes, {declared.mount} holds {place.used}"
        )


def _is_copy(declared, seen):
    """Return whether what is on the device is at most a copy that never took the directory's place."""
    record = known(seen.record, declared, seen)
    return record is not None and record.step in ("formatted", "moving")


def _committed(seen):
    """Return whether the mount unit names the device's file system: from that file on, the device counts."""
    found = seen.file_system
    return found is not None and bool(found.uuid) and f"by-uuid/{found.uuid}\n" in (seen.place.unit or "")


def number_of(declared, seen):
    """Return the UUID under which a raw device is handed over: of the disk itself, on whatever host it is."""
    told = [seen.serial, seen.wwn] if seen.serial or seen.wwn else [declared.path, seen.size]
    return str(uuid.uuid5(NAMESPACE, "|".join(["raw", *map(str, told)])))


def handed_over(declared, seen):
    """Return whether a raw device is its app's already: what it carries from then on is not our business.

    Where the CMDB says nothing, the host's journal does.
    """
    if declared.uuid is not None:
        return declared.uuid == number_of(declared, seen)
    return _noted_as_handed_over(declared, seen)


def _noted_as_handed_over(declared, seen):
    record = known(seen.record, declared, seen)
    return record is not None and record.step == "handed over"


def _plan_raw(declared, seen):
    made = Plan(declared, seen, uuid=number_of(declared, seen))
    if handed_over(declared, seen):
        return made if _noted_as_handed_over(declared, seen) else replace(made, steps=("hand over",))
    if seen.uses:
        raise RefusalError(f"{declared.label}: in use: {'; '.join(seen.uses)}; it is not handed over")
    objection = _raw_objection(declared, seen)
    if objection is None:
        return replace(made, steps=("hand over",))
    if not (declared.wipe and declared.serial):
        raise RefusalError(
            f"{declared.label}: {objection}; it is not handed over as a raw device: if this is its app's own "
            f"data, set the field uuid of the block device in the CMDB to {made.uuid}; give wipe with its "
            "serial to destroy what it holds"
        )
    return replace(
        made, steps=("wipe", "hand over"), before={"content": _content(seen)}, after={"content": ["wiped"]}
    )


def _raw_objection(declared, seen):
    """Return why a device must not be given to an app, which may write anywhere on it; None without."""
    if declared.uuid is not None:
        return (
            f"the CMDB records under {declared.uuid} that another disk was handed over (if this one replaces "
            "it, clear the field uuid)"
        )
    if seen.signatures:
        return f"carries {', '.join(str(one) for one in seen.signatures)}"
    if seen.recognised:
        return f"blkid recognises {seen.recognised}"
    if seen.stain is not None:
        return f"is not blank: nothing is recognised, but there is data at byte {seen.stain}"
    return None


def _plan_format(declared, seen, standing, host):
    kind = declared.filesystem or "xfs"
    if seen.read_only:
        raise RefusalError(f"{declared.label}: it is read-only")
    if seen.size < LEAST[kind]:
        raise RefusalError(
            f"{declared.label}: too small for {kind}: {seen.size} bytes, {LEAST[kind]} is the least"
        )
    record = known(seen.record, declared, seen)
    if standing == "half":
        kind, number = declared.filesystem or record.filesystem, record.uuid
    else:
        generation = 1 + (seen.record.generation if seen.record else 0)
        number = uuid_of(host, declared, seen.size, generation)
    steps = ("note formatting", *(("wipe",) if standing == "wipe" else ()), "format", "note formatted")
    return _plan_mount(declared, seen, kind, number, steps)


def _plan_mount(declared, seen, kind, number, steps):
    """Return the plan from a file system on: move what was there, mount it, hand it over."""
    made = Plan(declared, seen, steps, number, kind)
    place, mounted = seen.place, declared.mount in seen.mounted
    record = known(seen.record, declared, seen)
    resumed = record is not None and record.step == "moving"
    move = not mounted and bool(place.entries) and not _committed(seen)
    files = _files(made)
    owning = _ownership(declared, seen)
    noted = record is not None and (record.step, record.uuid, record.engine) == ("ready", number, False)
    due = (
        *((step, move) for step in MOVE),
        ("require mount", drop_in_path() in [path for path, _before, _after in files]),
        ("write unit", unit_path(declared.mount) in [path for path, _before, _after in files]),
        ("enable unit", bool(files) or not place.enabled),
        ("mount", not mounted),
        ("set aside", move or resumed),
        ("own", bool(owning)),
        # Also where it did not run: it was masked for the move.
        ("start engine", move or resumed or (record is not None and record.engine)),
        ("note ready", not noted),
    )
    made = replace(made, steps=(*steps, *(step for step, needed in due if needed)), files=files)
    return replace(made, before=_before(made), after=_after(made, owning))


def _files(made):
    place, mount = made.seen.place, made.declared.mount
    wanted = [(unit_path(mount), place.unit, unit_text(made))]
    if made.declared.purpose == "docker-data":
        wanted.insert(0, (drop_in_path(), place.drop_in, drop_in_text(mount)))
    return tuple((path, found or "", text) for path, found, text in wanted if found != text)


def _ownership(declared, seen):
    wanted = {name: getattr(declared, name) for name in ("owner", "group", "mode")}
    mounted = declared.mount in seen.mounted
    return {
        name: value
        for name, value in wanted.items()
        if value is not None and not (mounted and getattr(seen.place, name) == value)
    }


def _content(seen):
    carried = [str(one) for one in seen.signatures] or ([str(seen.file_system)] if seen.file_system else [])
    blank = seen.stain is None and not seen.recognised
    return carried or (["blank"] if blank else [seen.recognised or f"data at byte {seen.stain}"])


def _before(made):
    seen, declared = made.seen, made.declared
    shown = {
        "content": _content(seen),
        "mounted": declared.mount if declared.mount in seen.mounted else None,
        "mounted at boot": seen.place.enabled,
    }
    if "set aside" in made.steps:
        shown["old data"] = declared.mount
    return {**shown, **{name: getattr(seen.place, name) for name in _ownership(declared, seen)}}


def _after(made, owning):
    magic = {"xfs": 0, "ext4": 0x438}[made.filesystem]
    made_new = _signatures.Signature(_signatures.FILE_SYSTEM, made.filesystem, magic, made.uuid)
    content = [str(made_new)] if "format" in made.steps else _before(made)["content"]
    shown = {"content": content, "mounted": made.declared.mount, "mounted at boot": True}
    if "set aside" in made.steps:
        shown["old data"] = kept_at(made.declared.mount, made.uuid)
    return {**shown, **owning}


def kept_at(mount, number):
    """Return where the old content of a mount point is kept."""
    return f"{mount}.before-{number[:8]}"


def escape(path):
    """Return the name of a path in unit names (systemd.unit(5), "String Escaping")."""
    text = path.strip("/") or "-"
    if text == "-":
        return text
    plain = "".join(
        "-" if char == "/" else char if char.isascii() and (char.isalnum() or char in ":_.") else _hex(char)
        for char in text
    )
    return _hex(".") + plain[1:] if plain.startswith(".") else plain


def _hex(char):
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def unit_path(mount):
    """Return where the mount unit of a mount point is."""
    return f"/etc/systemd/system/{escape(mount)}.mount"


def unit_text(made):
    """Return the mount unit of a device.

    It is not part of local-fs.target: a dead data disk keeps the engine down, not the host.
    """
    return f"""\
# Written by Ansible (dianrong.cloud.raw_device): changes made here are lost.
[Unit]
Description=drCloud {made.declared.purpose} on {made.declared.mount}
DefaultDependencies=no
After=local-fs-pre.target
Conflicts=umount.target
Before=umount.target {ENGINE}

[Mount]
What=/dev/disk/by-uuid/{made.uuid}
Where={made.declared.mount}
Type={made.filesystem}
Options=noatime

[Install]
WantedBy=multi-user.target
"""


def drop_in_path():
    """Return where the drop-in of the engine's unit is."""
    return f"/etc/systemd/system/{ENGINE}.d/drcloud-data.conf"


def drop_in_text(mount):
    """Return the drop-in that keeps the engine from starting without its disk."""
    return (
        "# Written by Ansible (dianrong.cloud.raw_device): changes made here are lost.\n"
        f"[Unit]\nRequiresMountsFor={mount}\n"
    )
