# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a block device carries: signatures at every place where they are kept, and whether it is blank.

Pure over a reader ``read(offset, length) -> bytes`` (fewer bytes at the end) and a size in bytes. The places
are those of the formats themselves, as the kernel's headers and util-linux's libblkid have them.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECTOR = 512

FILE_SYSTEM, TABLE, RAID = "file system", "partition table", "RAID member"
LVM, ENCRYPTED, SWAP = "LVM physical volume", "encrypted volume", "area"
POOL, CACHE, DATABASE = "pool member", "cache device", "database disk"

# Kind, name, offset (negative: from the end), magic. One magic may stand at several places.
MAGICS = (
    (FILE_SYSTEM, "xfs", 0, b"XFSB"),
    (FILE_SYSTEM, "ext", 0x438, b"\x53\xef"),
    (FILE_SYSTEM, "btrfs", 64 * KIB + 0x40, b"_BHRfS_M"),
    # Mirrors of the superblock survive when the first one is overwritten.
    (FILE_SYSTEM, "btrfs", 64 * MIB + 0x40, b"_BHRfS_M"),
    (FILE_SYSTEM, "btrfs", 256 * GIB + 0x40, b"_BHRfS_M"),
    (FILE_SYSTEM, "fat", 0x36, b"FAT1"),
    (FILE_SYSTEM, "fat", 0x52, b"FAT32   "),
    (FILE_SYSTEM, "exfat", 3, b"EXFAT   "),
    (FILE_SYSTEM, "ntfs", 3, b"NTFS    "),
    (FILE_SYSTEM, "refs", 3, b"ReFS\0"),
    (FILE_SYSTEM, "f2fs", 0x400, b"\x10\x20\xf5\xf2"),
    (FILE_SYSTEM, "f2fs", 0x1400, b"\x10\x20\xf5\xf2"),
    (FILE_SYSTEM, "nilfs2", 0x406, b"\x34\x34"),
    (FILE_SYSTEM, "reiserfs", 0x10034, b"ReIsEr"),
    (FILE_SYSTEM, "reiserfs", 0x2034, b"ReIsEr"),
    (FILE_SYSTEM, "reiser4", 0x10000, b"ReIsEr4"),
    (FILE_SYSTEM, "jfs", 0x8000, b"JFS1"),
    (FILE_SYSTEM, "gfs2", 0x10000, b"\x01\x16\x19\x70"),
    (FILE_SYSTEM, "ocfs2", 0x400, b"OCFSV2"),
    (FILE_SYSTEM, "ocfs2", 0x800, b"OCFSV2"),
    (FILE_SYSTEM, "ocfs2", 0x1000, b"OCFSV2"),
    (FILE_SYSTEM, "ocfs2", 0x2000, b"OCFSV2"),
    (FILE_SYSTEM, "hfs", 0x400, b"BD"),
    (FILE_SYSTEM, "hfs+", 0x400, b"H+\x00"),
    (FILE_SYSTEM, "hfsx", 0x400, b"HX\x00"),
    (FILE_SYSTEM, "apfs", 0x20, b"NXSB"),
    (FILE_SYSTEM, "iso9660", 0x8001, b"CD001"),
    (FILE_SYSTEM, "udf", 0x8001, b"BEA01"),
    (FILE_SYSTEM, "udf", 0x8001, b"NSR0"),
    (FILE_SYSTEM, "ufs", 0x255C, b"\x19\x54\x01\x19"),
    (FILE_SYSTEM, "ufs", 0x255C, b"\x19\x01\x54\x19"),
    (FILE_SYSTEM, "ufs", 0x1055C, b"\x19\x01\x54\x19"),
    (FILE_SYSTEM, "squashfs", 0, b"hsqs"),
    (FILE_SYSTEM, "squashfs", 0, b"sqsh"),
    (FILE_SYSTEM, "erofs", 0x400, b"\xe2\xe1\xf5\xe0"),
    (FILE_SYSTEM, "cramfs", 0, b"\x45\x3d\xcd\x28"),
    (FILE_SYSTEM, "romfs", 0, b"-rom1fs-"),
    (FILE_SYSTEM, "vmfs", 2 * MIB, b"\x5e\xf1\xab\x2f"),
    (POOL, "vmfs", MIB, b"\x0d\xd0\x01\xc0"),
    (POOL, "stratis", SECTOR + 4, b"!Stra0tis\x86\xff\x02^\x41rh"),
    (POOL, "ceph bluestore", 0, b"bluestore block device"),
    (POOL, "vdo", 0, b"dmvdo001"),
    (CACHE, "bcache", 0x1018, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")),
    (CACHE, "bcachefs", 0x1018, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef")),
    (TABLE, "gpt", SECTOR, b"EFI PART"),
    (TABLE, "gpt", 4 * KIB, b"EFI PART"),
    (TABLE, "gpt (backup)", -SECTOR, b"EFI PART"),
    (TABLE, "gpt (backup)", -4 * KIB, b"EFI PART"),
    (TABLE, "dos", 0x1FE, b"\x55\xaa"),
    (TABLE, "bsd", SECTOR, b"\x57\x45\x56\x82"),
    (TABLE, "sun", 0x1FC, b"\xda\xbe"),
    (TABLE, "sgi", 0, b"\x0b\xe5\xa9\x41"),
    (TABLE, "mac", SECTOR, b"PM\x00\x00"),
    (ENCRYPTED, "luks", 0, b"LUKS\xba\xbe"),
    *((ENCRYPTED, "luks2 (backup)", 16 * KIB << shift, b"SKUL\xba\xbe") for shift in range(9)),
    (ENCRYPTED, "bitlocker", 3, b"-FVE-FS-"),
    (ENCRYPTED, "dm-integrity", 0, b"integrt\0"),
    (ENCRYPTED, "dm-verity", 0, b"verity\0\0"),
    *((LVM, "lvm2", sector * SECTOR, b"LABELONE") for sector in range(4)),
    *(
        (SWAP, name, page - len(magic), magic)
        for page in (4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB)
        for name, magic in (
            ("swap", b"SWAPSPACE2"),
            ("swap", b"SWAP-SPACE"),
            ("hibernation", b"S1SUSPEND\0"),
            ("hibernation", b"LINHIB0001"),
        )
    ),
    (RAID, "intel", -2 * SECTOR, b"Intel Raid ISM Cfg Sig. "),
    (RAID, "ddf", -SECTOR, b"\xde\x11\xde\x11"),
    (RAID, "ddf", -257 * SECTOR, b"\xde\x11\xde\x11"),
    (RAID, "nvidia", -2 * SECTOR, b"NVIDIA  "),
    (RAID, "lsi", -SECTOR, b"$XIDE$"),
    (RAID, "jmicron", -SECTOR, b"JM"),
    (RAID, "promise", -63 * SECTOR, b"Promise Technology, Inc."),
    (DATABASE, "oracle asm", 0x20, b"ORCLDISK"),
)
MD = (b"\xfc\x4e\x2b\xa9", b"\xa9\x2b\x4e\xfc")
UBERBLOCK = (struct.pack("<Q", 0x00BAB10C), struct.pack(">Q", 0x00BAB10C))
ZFS_LABEL = 256 * KIB

# What is read of a device before it may be formatted: both ends whole, and samples between them.
EDGE = 16 * MIB
SAMPLES, SAMPLE = 512, 16 * KIB


@dataclass(frozen=True)
class Signature:
    """Something that a device carries; ``offset`` in bytes from the start."""

    kind: str
    name: str
    offset: int
    uuid: str = ""
    label: str = ""

    def __str__(self):
        """Return the words of an error message."""
        named = f' "{self.label}"' if self.label else ""
        numbered = f" (UUID {self.uuid})" if self.uuid else ""
        return f"{self.name} {self.kind}{named}{numbered} at byte {self.offset}"


def signatures(read, size):
    """Return all signatures of a device, in the order of their places."""
    found = [
        _described(read, Signature(kind, name, place))
        for kind, name, offset, magic in MAGICS
        for place in (offset if offset >= 0 else size + offset,)
        if 0 <= place < size and read(place, len(magic)) == magic
    ]
    found += _md(read, size) + _zfs(read, size)
    return sorted(set(found), key=lambda one: (one.offset, one.name))


def file_system(read):
    """Return the xfs or ext4 file system that a device starts with; None without one."""
    if read(0, 4) == b"XFSB":
        return _described(read, Signature(FILE_SYSTEM, "xfs", 0))
    if read(0x438, 2) == b"\x53\xef":
        return _described(read, Signature(FILE_SYSTEM, "ext", 0x438))
    return None


def stain(read, size):
    """Return the first place that is neither all zero nor all 0xFF, of those that are read; None when blank.

    Read are the first and the last 16 MiB, the places of all signatures, and 512 samples of 16 KiB that are
    spread over the rest: one at an own, fixed, place within each of 512 equal parts.
    """
    fills = set()
    for offset, length in regions(size):
        data = read(offset, length)
        for fill in (b"\x00", b"\xff"):
            if data == fill * len(data):
                fills.add(fill)
                break
        else:
            return offset + _first_odd(data)
        if len(fills) > 1:
            return offset
    return None


def regions(size):
    """Return the (offset, length) pairs that tell whether a device of a size is blank."""
    edge = min(EDGE, size)
    whole = [(start, min(MIB, edge - start)) for start in range(0, edge, MIB)]
    tail = max(edge, size - EDGE)
    whole += [(start, min(MIB, size - start)) for start in range(tail, size, MIB)]
    return whole + _samples(edge, tail) + [(at, SAMPLE) for at in (64 * MIB, 256 * GIB) if at < tail]


def _samples(start, end):
    room = end - start
    if room <= SAMPLES * SAMPLE:
        return [(at, min(MIB, end - at)) for at in range(start, end, MIB)]
    part = room // SAMPLES
    places = []
    for number in range(SAMPLES):
        # A fixed stride would only ever see the same place of a structure that repeats.
        jitter = (number * 2654435761 % (1 << 32)) * (part - SAMPLE) >> 32
        places.append((start + number * part + jitter // SECTOR * SECTOR, SAMPLE))
    return places


def _first_odd(data):
    fill = data[0] if data[0] in (0x00, 0xFF) else 0x00
    return next(place for place, byte in enumerate(data) if byte != fill)


def _described(read, found):
    """Return a signature with the UUID and the label that its format keeps."""
    if found.kind == FILE_SYSTEM and found.name == "xfs":
        return Signature(FILE_SYSTEM, "xfs", 0, _uuid(read(32, 16)), _text(read(108, 12)))
    if found.kind == FILE_SYSTEM and found.name == "ext":
        name = _ext_version(read)
        return Signature(FILE_SYSTEM, name, found.offset, _uuid(read(0x468, 16)), _text(read(0x478, 16)))
    if found.kind == FILE_SYSTEM and found.name == "btrfs":
        start = found.offset - 0x40
        return Signature(
            FILE_SYSTEM, "btrfs", found.offset, _uuid(read(start + 0x20, 16)), _text(read(start + 0x12B, 64))
        )
    if found.kind == ENCRYPTED and found.name == "luks":
        version = struct.unpack(">H", read(6, 2))[0]
        return Signature(ENCRYPTED, f"luks{version}", 0, _text(read(168, 40)))
    if found.kind == SWAP and found.name == "swap":
        return Signature(SWAP, "swap", found.offset, _uuid(read(0x40C, 16)), _text(read(0x41C, 16)))
    return found


def _ext_version(read):
    compatible, incompatible = struct.unpack("<II", read(0x45C, 8))
    if incompatible & 0x8:
        return "ext journal"
    # Extents, 64 bit or flexible groups make it ext4; a journal alone ext3 (Linux, fs/ext4/ext4.h).
    if incompatible & 0x2C0:
        return "ext4"
    return "ext3" if compatible & 0x4 else "ext2"


def _md(read, size):
    """Return the superblocks of Linux software RAID (Documentation/admin-guide/md, md_p.h)."""
    places = {
        "md 0.90": (size & ~(64 * KIB - 1)) - 64 * KIB,
        "md 1.0": ((size // SECTOR - 16) & ~7) * SECTOR,
        "md 1.1": 0,
        "md 1.2": 4 * KIB,
    }
    return [
        Signature(RAID, name, place)
        for name, place in places.items()
        if 0 <= place < size and read(place, 4) in MD
    ]


def _zfs(read, size):
    """Return the ZFS labels that hold an uberblock: two at the start, two at the end."""
    end = size // ZFS_LABEL * ZFS_LABEL
    places = {place for place in (0, ZFS_LABEL, end - 2 * ZFS_LABEL, end - ZFS_LABEL) if place >= 0}
    return [
        Signature(POOL, "zfs", place)
        for place in sorted(places)
        for ring in (read(place + 128 * KIB, 128 * KIB),)
        if any(ring[slot : slot + 8] in UBERBLOCK for slot in range(0, len(ring), KIB))
    ]


def _uuid(data):
    return str(uuid.UUID(bytes=data)) if len(data) == 16 and any(data) else ""


def _text(data):
    return data.split(b"\0")[0].decode("utf-8", "replace")


def xfs_names_types(read):
    """Return whether an xfs file system keeps file types in directories (ftype=1), as overlay2 needs it."""
    version = struct.unpack(">H", read(100, 2))[0] & 0xF
    if version == 5:
        return bool(struct.unpack(">I", read(216, 4))[0] & 0x1)
    return bool(struct.unpack(">I", read(200, 4))[0] & 0x200)
