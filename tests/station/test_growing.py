"""The data partition fills the card, and nothing else moves."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import flash_kit
from flash_kit import MIB
from steelyard.station.blkpg import resize_partition
from steelyard.station.errors import MachineRefuses
from steelyard.station.growing import grow, grow_partition, parent_of, run_program, tell_kernel


def run(words: Sequence[str], text: str) -> str:
    """As on the station, with sfdisk where Debian has it."""
    return run_program(["env", f"PATH={flash_kit.PATH}", *words], text)


@pytest.fixture(params=["dos", "gpt"])
def card(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An image on a larger card, with either kind of partition table."""
    flash_kit.need_programs()
    path = tmp_path / "card.img"
    path.write_bytes(flash_kit.raw_image(tmp_path, request.param))
    with path.open("r+b") as file:
        file.truncate(64 * MIB)
    return path


def partitions(card: Path) -> list[tuple[int, int]]:
    table = json.loads(flash_kit.run("sfdisk", "--json", card))["partitiontable"]
    return [(one["start"], one["size"]) for one in table["partitions"]]


def test_the_last_partition_reaches_the_end(card: Path) -> None:
    """Once; the second time there is nothing to do, and the content is where it was."""
    before, content = partitions(card), card.read_bytes()
    told = grow_partition(card, 4, run)
    assert told is not None
    assert told.startswith(f"partition 4 of {card} grows by ")
    after = partitions(card)
    assert after[:3] == before[:3]
    assert after[3][0] == before[3][0]
    assert 64 * MIB - (after[3][0] + after[3][1]) * 512 < 2 * MIB
    assert grow_partition(card, 4, run) is None
    assert partitions(card) == after
    assert card.read_bytes()[MIB : 20 * MIB - 64 * 512] == content[MIB : 20 * MIB - 64 * 512]


def test_the_kernel_is_told_in_bytes(card: Path) -> None:
    """Start and length of the partition as it stands in the table now."""
    assert grow_partition(card, 4, run) is not None
    told: list[tuple[Path, int, int, int]] = []
    tell_kernel(card, 4, run, lambda *words: told.append(words))
    start, size = partitions(card)[3]
    assert told == [(card, 4, start * 512, size * 512)]


def test_what_is_no_disk_is_said(card: Path) -> None:
    """A file has no partitions in the kernel's eyes, and what is not there has none either."""
    with pytest.raises(MachineRefuses, match="does not take the new size of partition 4: "):
        tell_kernel(card, 4, run)
    with pytest.raises(MachineRefuses, match="No such file or directory"):
        resize_partition(card.with_name("none"), 4, 0, 512)


def test_what_cannot_grow_is_refused(card: Path) -> None:
    """Another follows it, or it is not there; nothing is changed."""
    before = card.read_bytes()
    with pytest.raises(MachineRefuses, match=r"partition 1 of .* is not the last"):
        grow_partition(card, 1, run)
    with pytest.raises(MachineRefuses, match="has no partition 5"):
        grow_partition(card, 5, run)
    assert card.read_bytes() == before


def test_a_card_without_a_table_is_refused(tmp_path: Path) -> None:
    """In sfdisk's words."""
    flash_kit.need_programs()
    path = tmp_path / "empty.img"
    path.write_bytes(bytes(MIB))
    with pytest.raises(MachineRefuses, match=r"failed: .*partition table"):
        grow_partition(path, 1, run)


def test_a_data_partition_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By the name that it was looked for by."""
    with pytest.raises(MachineRefuses, match=r"none, the data partition, is not there"):
        grow(tmp_path / "none")


def test_the_disk_of_a_partition_is_found(tmp_path: Path) -> None:
    """As the kernel tells it; a whole disk is no partition."""
    real = tmp_path / "devices" / "mmc0" / "mmcblk0" / "mmcblk0p4"
    real.mkdir(parents=True)
    (real / "partition").write_text("4\n")
    blocks = tmp_path / "class"
    blocks.mkdir()
    (blocks / "mmcblk0p4").symlink_to(real)
    (blocks / "mmcblk0").symlink_to(real.parent)
    assert parent_of("mmcblk0p4", blocks) == ("mmcblk0", 4)
    with pytest.raises(MachineRefuses, match="/dev/mmcblk0 is no partition"):
        parent_of("mmcblk0", blocks)
