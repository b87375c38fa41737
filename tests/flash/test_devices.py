"""What may not be erased is refused, by what lsblk tells of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from infra.flash.devices import check, find, inspect
from infra.flash.errors import FlashRefused

IMAGE = 4_000_000_000
LSBLK = (Path(__file__).parent / "lsblk.json").read_text()


def changed(path: str, **changes: Any) -> str:
    """The recorded answer with one device changed."""
    document = json.loads(LSBLK)

    def visit(entries: list[dict]) -> None:
        for entry in entries:
            if entry["path"] == path:
                entry.update(changes)
            visit(entry.get("children", []))

    visit(document["blockdevices"])
    return json.dumps(document)


def refusal(path: str, told: str = LSBLK, wanted: int = IMAGE) -> str:
    with pytest.raises(FlashRefused) as refused:
        check(find(path, told), wanted)
    return str(refused.value)


def test_a_card_is_taken() -> None:
    """With what a person needs to know it by."""
    card = find("/dev/sdb", LSBLK)
    check(card, IMAGE)
    assert card.described() == (
        "/dev/sdb, 31.9 GB, STORAGE DEVICE, serial 000000000821, usb; on it: "
        "/dev/sdb1 vfat 'BOOT', /dev/sdb2 ext4 'rootfs'"
    )
    check(find("/dev/mmcblk0", LSBLK), IMAGE)
    assert find("/dev/sdc", LSBLK).described().endswith("NOT REMOVABLE; on it: no partitions")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/dev/nvme0n1", "is the disk that this computer runs from"),  # below LUKS and LVM
        ("/dev/mapper/vg-root", "is the disk that this computer runs from"),
        ("/dev/sdb1", "is a partition: name the whole device, /dev/sdb"),
        ("/dev/nvme0n1p2", "is the disk that this computer runs from"),
        ("/dev/sdd", "is in use (/media/ana/PHOTOS): unmount it first"),
        ("/dev/sde", "is in use ([SWAP]): unmount it first"),
        ("/dev/sdf", "is in use by /dev/md127 (raid1): stop that first"),
        ("/dev/sdg", "has no medium"),
        ("/dev/sr0", "is of the kind rom"),
        ("/dev/sdz", "lsblk knows no such device"),
    ],
)
def test_what_is_not_erased(path: str, sentence: str) -> None:
    """Each by one sentence with its path."""
    told = refusal(path)
    assert told.startswith(path)
    assert sentence in told


def test_a_locked_card_is_refused() -> None:
    """The switch at its side; and as older ones of lsblk say it."""
    for word in (True, "1"):
        assert "is read-only" in refusal("/dev/sdb", changed("/dev/sdb", ro=word))


def test_a_card_that_is_too_small_is_refused() -> None:
    """By one byte."""
    size = find("/dev/sdb", LSBLK).size
    check(find("/dev/sdb", LSBLK), size)
    told = refusal("/dev/sdb", wanted=size + 1)
    assert f"is too small: it has {size} bytes, and the image needs {size + 1} (31.9 GB)" in told


def test_a_boot_partition_that_is_mounted_is_the_systems() -> None:
    """A Raspberry Pi's own card, seen from itself."""
    told = changed("/dev/sdb2", mountpoints=["/"])
    assert "runs from" in refusal("/dev/sdb", told)


def test_what_is_no_device_is_refused(tmp_path: Path) -> None:
    """A path with nothing, a directory, a device for characters."""
    for path, sentence in (
        (tmp_path / "nothing", "no such device"),
        (tmp_path, "must be a disk or a card"),
        (Path("/dev/null"), "must be a disk or a card"),
    ):
        with pytest.raises(FlashRefused, match=sentence):
            inspect(path)


def test_a_file_that_a_loop_device_holds_is_refused(tmp_path: Path) -> None:
    """By whatever name it is called."""
    card = tmp_path / "card.img"
    card.write_bytes(bytes(512))
    link = tmp_path / "another.img"
    link.symlink_to(card)
    blocks = tmp_path / "block"
    (blocks / "loop7/loop").mkdir(parents=True)
    told = blocks / "loop7/loop/backing_file"
    told.write_text("/elsewhere/card.img\n")
    assert inspect(link, blocks=blocks) == inspect(card, blocks=blocks)
    told.write_text(f"{card}\n")
    for path in (card, link):
        with pytest.raises(FlashRefused, match="is in use, as /dev/loop7"):
            inspect(path, blocks=blocks)


def test_the_disk_of_this_very_computer_is_refused() -> None:
    """By the real lsblk; nothing is opened."""
    number = Path("/").stat().st_dev
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not link.exists():
        pytest.skip("the root is on no block device here")
    path = Path("/dev") / link.resolve().name
    if not path.is_block_device():
        pytest.skip(f"{path} is not to be seen here")
    with pytest.raises(FlashRefused, match="is the disk that this computer runs from"):
        check(inspect(path), 1)
