"""A card that holds less than it says is found, however it lies; an honest one is not blamed."""

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flash_kit import MIB
from infra.flash.capacity import MOST, STEP, check_capacity, marked_ranges
from infra.flash.devices import Device
from infra.flash.errors import FlashRefused
from infra.flash.target import Target

SECTOR, BLOCK = 512, 4096
# The marks' distance here; at a true card it is STEP.
NEAR = 64 * 1024
OLD = b"\xaa" * SECTOR

# Where a sector of a card really is; None is nowhere. The card has `real` sectors.
Wiring = Callable[[int, int], int | None]
WIRINGS: dict[str, Wiring] = {
    "comes round": lambda sector, real: sector % real,
    "drops": lambda sector, real: sector if sector < real else None,
    "one place for all": lambda sector, real: min(sector, real - 1),
    "comes round after a gap": lambda sector, real: (
        at if (at := sector % (1 << real.bit_length())) < real else None
    ),
}
NOTHING = {"zeros": bytes(SECTOR), "ones": b"\xff" * SECTOR, "what was there": OLD}


class Card(Target):
    """A card in memory, behind a computer's cache: `told` bytes by its word, `real` in truth."""

    def __init__(self, told: int, real: int, wiring: Wiring, nothing: bytes, buffer: int) -> None:
        self.device = Device("/dev/sdx", "disk", told)
        self._real, self._wiring, self._nothing, self._buffer = real, wiring, nothing, buffer
        self.memory = [OLD] * real
        self.zeroed: set[int] = set()
        self._cache: dict[int, bytes] = {}
        self._dirty: list[int] = []
        self._last: dict[int, bytes] = {}

    def write(self, start: int, content: bytes | memoryview) -> None:
        assert start % SECTOR == len(content) % SECTOR == 0
        assert start + len(content) <= self.device.size
        for at in range(0, len(content), SECTOR):
            self._cache[(start + at) // SECTOR] = bytes(content[at : at + SECTOR])
            self._dirty.append((start + at) // SECTOR)

    def sync(self) -> None:
        for sector in self._dirty:
            at = self._wiring(sector, self._real)
            if at is not None:
                self.memory[at] = self._cache[sector]
            # A card has a buffer of what came last, whether it can keep it or not.
            self._last.pop(sector, None)
            self._last[sector] = self._cache[sector]
            while len(self._last) > self._buffer:
                del self._last[next(iter(self._last))]
        self._dirty.clear()

    def read(self, start: int, count: int) -> bytes:
        assert start + count <= self.device.size
        return b"".join(
            self._sector(sector) for sector in range(start // SECTOR, (start + count) // SECTOR)
        )

    def _sector(self, sector: int) -> bytes:
        for held in (self._cache, self._last):
            if sector in held:
                return held[sector]
        at = self._wiring(sector, self._real)
        return self._nothing if at is None else self.memory[at]

    def forget_cache(self) -> None:
        self.sync()
        self._cache.clear()

    def zero(self, start: int, end: int) -> None:
        self.write(start, bytes(end - start))
        self.zeroed |= set(range(start // SECTOR, end // SECTOR))


def quiet(*_: object) -> None:
    """Progress that nobody watches."""


sizes = st.integers(2 * BLOCK // SECTOR, 3000)


@given(st.data(), sizes, st.sampled_from(sorted(WIRINGS)), st.sampled_from(sorted(NOTHING)))
def test_a_card_that_lies_is_found(
    data: st.DataObject, told: int, wired: str, nothing: str
) -> None:
    """By whatever number of sectors; with what it says, and what it seems to hold."""
    marked = told // 8 * 8  # less than a block at the end is no file system's
    real = data.draw(st.integers(1, marked - 1))
    # A buffer is driven out by the run at the start, which is larger.
    buffer = data.draw(st.integers(0, NEAR // SECTOR - 1)) if real * SECTOR >= NEAR else 0
    card = Card(told * SECTOR, real, WIRINGS[wired], NOTHING[nothing], buffer)
    with pytest.raises(FlashRefused) as refusal:
        check_capacity(card, 0, quiet, NEAR)
    sentence = str(refusal.value)
    assert sentence.startswith("/dev/sdx does not hold what was written (bytes ")
    assert f"it says that it has {told * SECTOR} bytes (" in sentence
    assert sentence.endswith("it is a false card, or worn out; use another one")
    held = int(re.search(r"no more than (\d+) ", sentence)[1])
    if real * SECTOR >= NEAR and buffer == 0 and wired != "one place for all":
        unsure = 0 if wired == "comes round" else NEAR
        assert real * SECTOR <= held <= real * SECTOR + unsure


def test_a_card_of_8_gb_that_says_64_is_told_so() -> None:
    """The sentence as its user reads it, at a hundred-thousandth of the size."""
    card = Card(640_000 // BLOCK * BLOCK, 80_384 // SECTOR, WIRINGS["comes round"], b"", 0)
    with pytest.raises(FlashRefused) as refusal:
        check_capacity(card, 0, quiet, NEAR)
    assert str(refusal.value) == (
        "/dev/sdx does not hold what was written (bytes 131072 to 131584): it says that it has "
        "638976 bytes (639.0 kB), and seems to hold no more than 80384 (80.4 kB): it is a false "
        "card, or worn out; use another one"
    )


@given(sizes, st.integers(0, 3000))
def test_an_honest_card_is_taken_and_keeps_no_mark(size: int, image: int) -> None:
    """Behind the image, a place is as it was, or zeros."""
    image = min(image, size)
    card = Card(size * SECTOR, size, WIRINGS["drops"], b"", 0)
    shown: list[tuple[str, int, int]] = []
    check_capacity(card, image * SECTOR, lambda *step: shown.append(step), NEAR)
    card.sync()
    marked = {
        sector
        for start, end in marked_ranges(size * SECTOR, NEAR)
        for sector in range(start // SECTOR, end // SECTOR)
    }
    for sector in range(image, size):
        assert card.memory[sector] == (bytes(SECTOR) if sector in marked else OLD)
    assert card.zeroed == {sector for sector in marked if sector >= image}
    total = shown[-1][2]
    assert shown == [("size", done, total) for done in range(1, total + 1)]


def test_a_file_is_not_marked() -> None:
    """It is not read back past the cache either."""

    class Untouched(Target):
        def __init__(self) -> None:
            self.device = Device("card.img", "file", MIB)

    check_capacity(Untouched(), 0, quiet)


@given(st.integers(0, 2**44))
def test_marks_are_bounded_and_nowhere_far_apart(size: int) -> None:
    """From nothing to 16 TiB: in order, apart, from the start to the end."""
    ranges = marked_ranges(size)
    flat = [place for one in ranges for place in one]
    assert flat == sorted(flat)
    if size < BLOCK:
        assert ranges == []
        return
    assert (flat[0], flat[-1]) == (0, size // BLOCK * BLOCK)
    starts, run = [start for start, _ in ranges], 0
    for start, end in ranges:
        run = end if start == run else run
    assert len([start for start in starts if start >= run]) <= MOST
    assert run <= STEP + size // MOST + BLOCK
    assert all(later - earlier <= run for earlier, later in pairwise(starts))
