"""The card's table and file systems are right, and the same each time."""

import json
import re
import subprocess

import pytest

from image_kit import needs, sha256
from infra.images.boot import make_fat
from infra.images.card import Layout, make_card, make_data, make_squashfs
from infra.images.definition import read_definition
from infra.images.errors import ImageProblem

EPOCH = 1_700_000_000
SMALL = Layout(boot=36, root=4, data=16)


@pytest.fixture
def tree(tmp_path):
    """A few files."""
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "steelyard").mkdir()
    (tree / "config.txt").write_text("arm_64bit=1\n")
    (tree / "a/vmlinuz").write_bytes(b"kernel" * 5000)
    return tree


def twice(tmp_path, make) -> str:
    """What is made a second time has the same bytes; their digest."""
    make(tmp_path / "one")
    make(tmp_path / "two")
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    return sha256(tmp_path / "one")


@needs("sfdisk")
def test_the_table_is_what_a_raspberry_pi_3_reads(tmp_path):
    """An MBR of four primary partitions, aligned, in order, the first of them FAT and bootable."""
    card = tmp_path / "card"
    make_card(card, SMALL, {})
    told = subprocess.run(["sfdisk", "--json", card], capture_output=True, check=True).stdout
    table = json.loads(told)["partitiontable"]
    assert (table["label"], table["id"]) == ("dos", "0x57e317ad")
    parts = table["partitions"]
    assert [one["size"] // 2048 for one in parts] == [36, 4, 4, 16]
    assert [one["type"] for one in parts] == ["c", "83", "83", "83"]
    assert parts[0]["bootable"]
    ends = [0] + [one["start"] + one["size"] for one in parts]
    assert all(one["start"] >= end for one, end in zip(parts, ends, strict=False))
    assert card.stat().st_size == ends[-1] * 512


@needs("sfdisk")
def test_parts_stand_where_the_table_says_and_zeros_are_holes(tmp_path):
    """So that a block map has only what must be written."""
    part = tmp_path / "part"
    part.write_bytes(b"x" * 4096 + bytes(1 << 20) + b"y" * 10)
    card = tmp_path / "card"
    make_card(card, SMALL, {3: part})
    content = card.read_bytes()
    start = SMALL.starts[2] << 20
    assert content[start : start + part.stat().st_size] == part.read_bytes()
    assert card.stat().st_blocks * 512 < 1 << 20
    part.write_bytes(bytes(5 << 20))
    with pytest.raises(ImageProblem, match="part is 5 MiB, partition 3 4 MiB"):
        make_card(card, SMALL, {3: part})


@needs("mkfs.vfat", "mcopy")
def test_the_boot_partition_has_the_files_and_always_the_same_bytes(tmp_path, tree):
    """Under the label by which everyone finds it."""
    twice(
        tmp_path,
        lambda path: make_fat(tree, path, mebibytes=36, serial="57e317ad", epoch=EPOCH),
    )
    listed = subprocess.run(
        ["mdir", "-/", "-b", "-i", tmp_path / "one"], capture_output=True, check=True
    )
    assert set(listed.stdout.decode().split()) == {
        *("::/config.txt", "::/a/", "::/a/vmlinuz", "::/steelyard/"),
    }
    assert b"STEELYARD  FAT32" in (tmp_path / "one").read_bytes()[:512]


@needs("mkfs.ext4", "dumpe2fs")
def test_data_has_a_journal_and_always_the_same_bytes(tmp_path):
    """Under its label, and clean."""
    twice(tmp_path, lambda path: make_data(path, mebibytes=16, epoch=EPOCH))
    told = subprocess.run(
        ["dumpe2fs", "-h", tmp_path / "one"], capture_output=True, text=True, check=True
    )
    assert re.search(r"volume name:\s+steelyard-data\n", told.stdout)
    assert re.search(r"features:.*\bhas_journal\b.*\bresize_inode\b", told.stdout)
    assert re.search(r"state:\s+clean\n", told.stdout)


@needs("mksquashfs")
def test_a_root_has_always_the_same_bytes(tmp_path, tree):
    """Whatever the time and the order in which its files were made."""
    twice(tmp_path, lambda path: make_squashfs(tree, path, EPOCH))


def test_the_definition_s_card_fits_the_smallest_that_is_sold():
    """4 GB, of which a maker counts a thousand for each thousand and twenty-four."""
    card = read_definition().card
    assert Layout(card.boot, card.root, card.data).total << 20 < 3_700_000_000
