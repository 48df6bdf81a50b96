"""What a device carries: images of the real tools where they run here, else the formats' own layout."""

from __future__ import annotations

import itertools
import os
import shutil
import struct
import subprocess
import zlib
from contextlib import contextmanager

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _signatures
from ansible_collections.dianrong.cloud.plugins.module_utils._signatures import GIB, KIB, MIB

SIZE = 512 * MIB
UUID = "3c1f6a52-9d0e-4b7a-8f2d-5e6a7b8c9d01"
WEAK = "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000"


def kept(parts):
    """Return a reader over pieces of a device that is zero elsewhere."""

    def read(offset, length):
        data = bytearray(length)
        for place, piece in parts.items():
            start, end = max(place, offset), min(place + len(piece), offset + length)
            if start < end:
                data[start - offset : end - offset] = piece[start - place : end - place]
        return bytes(data)

    return read


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "device.img"
    with path.open("wb") as handle:
        handle.truncate(SIZE)
    return path


@contextmanager
def reader(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield lambda offset, length: os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)


def shell(command):
    program = command.split("|")[-1].split()[0]
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip(f"{program} is not installed")
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(command, shell=True, check=True, capture_output=True, env=environment)


REAL = [
    (f"mkfs.xfs -q -m uuid={UUID} -L data {{}}", f'xfs file system "data" (UUID {UUID}) at byte 0'),
    (f"mkfs.ext4 -q -U {UUID} -L data {{}}", f'ext4 file system "data" (UUID {UUID}) at byte 1080'),
    (f"mkfs.ext3 -q -U {UUID} {{}}", f"ext3 file system (UUID {UUID}) at byte 1080"),
    (f"mkfs.ext2 -q -U {UUID} {{}}", f"ext2 file system (UUID {UUID}) at byte 1080"),
    (f"mkfs.btrfs -q -U {UUID} {{}}", f"btrfs file system (UUID {UUID}) at byte 65600"),
    ("sgdisk --new=1:0:0 {}", "gpt (backup) partition table at byte 536870400"),
    ("parted --script {} mklabel msdos", "dos partition table at byte 510"),
    (
        f"echo x | cryptsetup -q luksFormat --uuid {UUID} {WEAK} {{}} -",
        f"luks2 encrypted volume (UUID {UUID}) at byte 0",
    ),
    ("make-bcache --bdev {}", "bcache cache device at byte 4120"),
    (f"mkswap --uuid {UUID} {{}}", f"swap area (UUID {UUID}) at byte 4086"),
]


@pytest.mark.parametrize(("command", "said"), REAL)
def test_what_real_tools_make_is_recognised(device, command, said):
    shell(command.format(device))
    with reader(device) as read:
        assert said in [str(one) for one in _signatures.signatures(read, SIZE)]
        assert _signatures.stain(read, SIZE) is not None


def test_the_backup_of_a_partition_table_is_found_when_the_primary_is_gone(device):
    shell(f"sgdisk --new=1:0:0 {device}")
    with device.open("r+b") as handle:
        handle.write(bytes(MIB))
    with reader(device) as read:
        found = _signatures.signatures(read, SIZE)
        assert [(one.name, one.offset) for one in found] == [("gpt (backup)", SIZE - 512)]


def test_the_mirror_of_a_btrfs_is_found_when_its_first_superblock_is_gone(device):
    shell(f"mkfs.btrfs -q {device}")
    with device.open("r+b") as handle:
        handle.write(bytes(32 * MIB))
    with reader(device) as read:
        found = _signatures.signatures(read, SIZE)
        assert [(one.name, one.offset) for one in found] == [("btrfs", 64 * MIB + 0x40)]


def test_the_second_header_of_luks2_is_found_when_the_first_is_gone(device):
    shell(f"echo x | cryptsetup -q luksFormat {WEAK} {device} -")
    with device.open("r+b") as handle:
        handle.write(bytes(8 * KIB))
    with reader(device) as read:
        assert [one.name for one in _signatures.signatures(read, SIZE)] == ["luks2 (backup)"]


MD = struct.pack("<I", 0xA92B4EFC)
UBERBLOCK = struct.pack("<QQ", 0x00BAB10C, 5000).ljust(KIB, b"\0")


def md(offset):
    """Return a superblock of version 1, which tells its own place (linux/raid/md_p.h)."""
    head = MD + struct.pack("<III", 1, 0, 0) + bytes(range(16)) + b"dk-03:0".ljust(32, b"\0")
    return {offset: head.ljust(144, b"\0") + struct.pack("<Q", offset // 512) + bytes(104)}


def lvm():
    """Return a label of LVM2 in the second sector, with the checksum that its reader wants."""
    body = (struct.pack("<I", 32) + b"LVM2 001" + b"A" * 32).ljust(492, b"\0")
    checksum = zlib.crc32(body, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return {512: b"LABELONE" + struct.pack("<QI", 1, checksum) + body}


def zfs(label):
    """Return a label with a ring of uberblocks of which a reader believes the majority."""
    return {label + 128 * KIB + slot * KIB: UBERBLOCK for slot in range(8)}


# What blkid recognises as well: pieces, what we say, what blkid says.
AGREED = [
    ({SIZE - 64 * KIB: MD + struct.pack("<III", 0, 90, 0)}, "md 0.90 RAID member", "linux_raid_member"),
    (md(SIZE - 8 * KIB), "md 1.0 RAID member", "linux_raid_member"),
    (md(0), "md 1.1 RAID member", "linux_raid_member"),
    (md(4 * KIB), "md 1.2 RAID member", "linux_raid_member"),
    ({**zfs(0), **zfs(256 * KIB)}, "zfs pool member at byte 0", "zfs_member"),
    (
        {**zfs(SIZE - 512 * KIB), **zfs(SIZE - 256 * KIB)},
        f"zfs pool member at byte {SIZE - 256 * KIB}",
        "zfs_member",
    ),
    (lvm(), "lvm2 LVM physical volume at byte 512", "LVM2_member"),
    (
        {0: b"LUKS\xba\xbe\x00\x01".ljust(168, b"\0") + UUID.encode() + bytes(4)},
        f"luks1 encrypted volume (UUID {UUID})",
        "crypto_LUKS",
    ),
    ({SIZE - 1024: b"Intel Raid ISM Cfg Sig. 1.2.00"}, "intel RAID member", "isw_raid_member"),
]
# What is told from its first bytes alone.
LAYOUTS = [
    ({SIZE - 512 * KIB + 129 * KIB: UBERBLOCK}, f"zfs pool member at byte {SIZE - 512 * KIB}"),
    ({0x1018: bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")}, "bcache cache device"),
    ({0x20: b"ORCLDISKDATA1"}, "oracle asm database disk"),
    ({0x10034: b"ReIsEr2Fs"}, "reiserfs file system"),
    ({0x1FE: b"\x55\xaa", 0x52: b"FAT32   "}, "fat file system"),
    ({4 * KIB - 10: b"SWAPSPACE2"}, "swap area"),
]


@pytest.mark.parametrize(("parts", "said", "blkids"), AGREED)
def test_blkid_agrees_about_published_layouts(device, parts, said, blkids):
    with device.open("r+b") as handle:
        for place, piece in parts.items():
            handle.seek(place)
            handle.write(piece)
    with reader(device) as read:
        assert said in " | ".join(map(str, _signatures.signatures(read, SIZE)))
    command = ["blkid", "--probe", "--match-tag", "TYPE", "--output", "value", str(device)]
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert told.strip() == blkids


@pytest.mark.parametrize(("parts", "said"), LAYOUTS)
def test_published_layouts_are_recognised_at_their_places(parts, said):
    found = [str(one) for one in _signatures.signatures(kept(parts), SIZE)]
    assert any(one.startswith(said) for one in found), found
    assert _signatures.stain(kept(parts), SIZE) is not None


@pytest.mark.parametrize("size", [64 * KIB, 100 * MIB + 512, SIZE, 3 * GIB + 7 * 512, 4096 * GIB])
def test_both_ends_and_every_part_between_are_read(size):
    regions = sorted(_signatures.regions(size))
    assert regions[0][0] == 0
    assert all(offset >= 0 and offset + length <= size for offset, length in regions)
    end = max(offset + length for offset, length in regions)
    assert end == size
    gaps = [after[0] - sum(before) for before, after in itertools.pairwise(regions)]
    assert max(gaps, default=0) < max(size // 256, 1)


@pytest.mark.parametrize("fill", [b"\x00", b"\xff"])
def test_all_zero_or_all_ones_is_blank(fill):
    assert _signatures.stain(lambda offset, length: fill * min(length, SIZE - offset), SIZE) is None


def test_a_database_without_a_signature_is_not_blank():
    """A page in the middle, at a place that is sampled; one at the end; and one near the start."""
    middle, length = next(one for one in _signatures.regions(SIZE) if one[0] > 100 * MIB)
    assert _signatures.stain(kept({middle + length - 1: b"\x01"}), SIZE) == middle + length - 1
    assert _signatures.stain(kept({SIZE - 1: b"\x01"}), SIZE) == SIZE - 1
    assert _signatures.stain(kept({5000: b"\x01"}), SIZE) == 5000


def test_ones_after_zeros_are_data():
    assert (
        _signatures.stain(lambda offset, length: (b"\x00" if offset < MIB else b"\xff") * length, SIZE) == MIB
    )


def test_file_types_in_directories_are_read_from_xfs(device):
    shell(f"mkfs.xfs -q {device}")
    with reader(device) as read:
        assert _signatures.xfs_names_types(read)
    old = kept({0: b"XFSB", 100: struct.pack(">H", 0xB4B4), 200: struct.pack(">I", 0x8A)})
    assert not _signatures.xfs_names_types(old)
    assert _signatures.xfs_names_types(kept({100: struct.pack(">H", 4), 200: struct.pack(">I", 0x28A)}))
