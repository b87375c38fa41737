"""A SmartBox on one core: many cells at a high rate, a day of samples, and all cells coming back.

`python bench/stations.py` prints tables; exit status 1 when a limit is missed. Shares of a core are
processor time, so they hold where other work takes the machine's time; times on the wall do not.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from box import Box, Usage
from exchanges import aiocoaps_bytes, our_bytes
from paced import paced
from steelyard.coap.client import ClientTimes, CoapClient, create_coap_client
from steelyard.coap.credentials import Credentials
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import SmartBoxAway
from steelyard.loadcell.sender import CoapSender
from steelyard.loadcell.source import Reading

MEBIBYTE = 1 << 20
SHARE_LIMIT, MEMORY_LIMIT, BACK_LIMIT = 0.50, 150 * MEBIBYTE, 30.0
GROWTH_LIMIT = 1.05  # "flat": of the memory a quarter of the day in, and at its end
# How many times the time of the core in README one of theirs takes, least and most: see there.
PIS = (("Raspberry Pi 4", 6.5, 8.0), ("Raspberry Pi Zero 2 W", 17.0, 23.0))


@dataclass(frozen=True, slots=True)
class Load:
    """What the SmartBox used for so many samples in so many messages."""

    samples: int
    messages: int
    seconds: float
    before: Usage
    after: Usage

    @property
    def cpu(self) -> float:
        return self.after.cpu_seconds - self.before.cpu_seconds

    def share(self, samples_a_second: float) -> float:
        """Of a core, at that many samples a second."""
        return self.cpu / self.samples * samples_a_second


class Cell:
    """A cell that sends packs in time, each once it has the answer to the one before."""

    def __init__(self, box: Box, serial: str, port: int) -> None:
        self._issued = box.cells[serial]
        self._config = LoadCellConfig(
            serial=serial,
            server_host="127.0.0.1",
            server_port=port,
            certificate_file=self._issued.certificate_path,
            key_file=self._issued.key_path,
            ca_file=box.authority,
            position_file=box.directory / "unused",
            answer_seconds=600.0,
        )
        self._client: CoapClient | None = None
        self._sender: CoapSender | None = None
        self._chance = random.Random(serial)  # noqa: S311 - noise
        self._sequence = 0

    async def open(self, silence: float = 10.0) -> None:
        """Make ready; the handshake comes with the first message."""
        credentials = Credentials(
            self._issued.certificate_path, self._issued.key_path, self._config.ca_file, None
        )
        self._client = await create_coap_client(credentials, times=ClientTimes(silence=silence))
        self._sender = CoapSender(self._client, self._config)

    async def send(self, count: int, rate: float) -> None:
        """One pack of samples, the last of them of now. Raises SmartBoxAway."""
        assert self._sender is not None
        now = time.time_ns() // 1_000_000
        pack = [
            Reading(
                self._sequence + number,
                now - round((count - 1 - number) * 1000 / rate),
                Decimal(round(self._chance.gauss(0, 500))) / 1000,
            )
            for number in range(count)
        ]
        self._sequence += count
        await self._sender.send_pack(pack)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.shutdown()


async def load(box: Box, rate: float, pack: int, seconds: float) -> Load:
    """All cells at a rate for some seconds, in packs; what was acknowledged counts."""
    cells = [Cell(box, serial, box.port) for serial in box.serials]
    for cell in cells:
        # Nobody shakes hands anew here only because the machine is busy with other work.
        await cell.open(silence=600)
        await cell.send(1, rate)  # the handshake is not what is measured here
    before, began = box.usage(), time.monotonic()
    sent = await asyncio.gather(*(_keep_sending(cell, rate, pack, seconds) for cell in cells))
    after, took = box.usage(), time.monotonic() - began
    for cell in cells:
        await cell.close()
    return Load(sum(sent) * pack, sum(sent), took, before, after)


async def _keep_sending(cell: Cell, rate: float, pack: int, seconds: float) -> int:
    """Packs that were acknowledged. A cell that is late leaves out what it could not send."""
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    due = began + random.uniform(0, pack / rate)  # noqa: S311 - cells are not in step
    while due < began + seconds:
        await asyncio.sleep(max(0.0, due - loop.time()))
        with suppress(SmartBoxAway):
            await cell.send(pack, rate)
            sent += 1
        due = max(due + pack / rate, loop.time())
    return sent


@dataclass(frozen=True, slots=True)
class Comeback:
    """How long it took until the half and all were back, and what the SmartBox and the cells, which
    are one process here, used for it and waited for a processor.
    """

    half: float
    all: float
    box: tuple[Usage, Usage]
    cells: tuple[Usage, Usage]

    def row(self, name: str) -> str:
        """A line of the table."""
        parts = [f"{self.half:.1f}", f"{self.all:.1f}"]
        for before, after in (self.box, self.cells):
            parts.append(f"{after.cpu_seconds - before.cpu_seconds:.1f}")
            parts.append(f"{after.waited_seconds - before.waited_seconds:.1f}")
        parts.append(f"{self.box[1].memory_bytes / MEBIBYTE:.0f}")
        return f"| {name} | {' | '.join(parts)} |"


async def come_back(box: Box, core: int, *, cold: bool) -> Comeback:
    """All cells at once after the SmartBox was killed and started again.

    `cold`: the cells start as well, as after a power cut. Else they have old sessions, which they
    notice by the silence (10 s, which is in the time).
    """
    cells = [Cell(box, serial, box.port) for serial in box.serials]
    for some in range(0, len(cells), 20):
        await asyncio.gather(*(cell.open() for cell in cells[some:][:20]))
        if not cold:
            await asyncio.gather(*(_until_back(cell, 0.0) for cell in cells[some:][:20]))
    port = box.port
    box.kill()
    box.start(core, port)
    before, began = (box.usage(), Usage.of(os.getpid())), time.monotonic()
    times = sorted(await asyncio.gather(*(_until_back(cell, began) for cell in cells)))
    after = box.usage(), Usage.of(os.getpid())
    for cell in cells:
        await cell.close()
    ours, theirs = zip(before, after, strict=True)
    return Comeback(times[len(times) // 2], times[-1], ours, theirs)


async def _until_back(cell: Cell, began: float) -> float:
    while True:
        try:
            await cell.send(1, 1.0)
        except SmartBoxAway:
            continue
        return time.monotonic() - began


def soak(hours: float, rate: float) -> list[tuple[float, int, int, float]]:
    """A bridge's memory over the hours: (hours, bytes, tickets, processor seconds)."""
    script = Path(__file__).resolve().parent / "soak.py"
    run = subprocess.run(
        [sys.executable, script, str(hours), str(rate)], check=True, capture_output=True, text=True
    )
    rows = [line.split() for line in run.stdout.splitlines()]
    return [(float(a), int(b), int(c), float(d)) for a, b, c, d in rows]


def show_load(name: str, found: Load, rate: float) -> None:
    """One row."""
    print(
        f"| {name} | {found.samples:,} | {found.messages:,} | {found.samples / found.seconds:,.0f} "
        f"| {found.cpu / found.samples * 1e6:.0f} | {found.cpu / found.messages * 1e6:.0f} "
        f"| {found.share(rate):.1%} | {found.before.memory_bytes / MEBIBYTE:.0f} "
        f"| {found.after.memory_bytes / MEBIBYTE:.0f} |",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was asked for."""
    options = _options(arguments)
    goals: list[tuple[str, str, bool]] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if "paced" in options.parts:
            goals += _paced_part(options, directory)
        if "load" in options.parts:
            goals += _load_part(options, directory)
        if "exchanges" in options.parts:
            _exchanges_part(options)
        if "soak" in options.parts:
            goals += _soak_part(options)
        if "back" in options.parts:
            goals += _back_part(options, directory)
    print("\n| goal | measured | held |\n| --- | ---: | ---: |")
    for goal, measured, held in goals:
        print(f"| {goal} | {measured} | {'yes' if held else 'NO'} |")
    return 0 if all(held for *_, held in goals) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    parts = ("paced", "load", "exchanges", "soak", "back")
    add("--parts", nargs="+", default=parts, choices=parts, help="what is measured")
    add("--core", type=int, default=0, help="the SmartBox's core; the cells take the others")
    add("--cells", type=int, default=64)
    add("--rate", type=float, default=50.0, help="samples a second of each cell")
    add("--seconds", type=float, default=60.0, help="of load")
    add("--paced-seconds", type=float, default=20.0, help="of samples, as fast as they are taken")
    add("--hours", type=float, default=24.0, help="of samples, compressed")
    add("--soak-rate", type=float, default=10.0, help="samples a second of each of its four cells")
    add("--reconnect", type=int, default=1000, help="cells that come back at once")
    return parser.parse_args(arguments)


def _paced_part(options: argparse.Namespace, directory: Path) -> list[tuple[str, str, bool]]:
    box = Box(_made(directory / "paced"), options.cells, options.rate)
    print(
        f"| {options.cells} cells at {options.rate:g}/s, samples a message | messages "
        "| SmartBox's processor s | of one core | µs a message | MiB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    shares: dict[int, float] = {}
    for pack in (5, 1):
        found = paced(box, options.core, options.rate, pack, options.paced_seconds)
        shares[pack] = found.share
        print(
            f"| {pack} | {found.messages:,} | {found.cpu:.2f} | {found.share:.1%} "
            f"| {found.cpu / found.messages * 1e6:.0f} | {found.memory / MEBIBYTE:.0f} |",
            flush=True,
        )
    print(f"\nfive in a message / one: {shares[5] / shares[1]:.2f} times the time\n")
    _show_pis(shares[5], options.cells)
    goal = f"{options.cells} cells at {options.rate:g}/s: under {SHARE_LIMIT:.0%} of a core"
    return [(goal, f"{shares[5]:.1%}", shares[5] < SHARE_LIMIT)]


def _show_pis(share: float, cells: int) -> None:
    print("| of one core, estimated | share | cells on half a core |\n| --- | ---: | ---: |")
    for name, least, most in PIS:
        few, many = (int(SHARE_LIMIT / (share * times) * cells) for times in (most, least))
        print(f"| {name} | {share * least:.0%} to {share * most:.0%} | {few} to {many} |")


def _load_part(options: argparse.Namespace, directory: Path) -> list[tuple[str, str, bool]]:
    total = options.cells * options.rate
    box = Box(_made(directory / "load"), options.cells, options.rate)
    print(
        "| cells, samples a message | samples | messages | samples/s | µs a sample | µs a message "
        f"| share at {total:,.0f}/s | MiB before | MiB after |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    found: dict[int, Load] = {}
    for pack in (5, 1):
        box.start(options.core)
        _leave(options.core)
        try:
            found[pack] = asyncio.run(load(box, options.rate, pack, options.seconds))
        finally:
            box.kill()
        show_load(f"{options.cells}, {pack}", found[pack], total)
    ratio = found[5].share(1) / found[1].share(1)
    print(f"\nfive in a message / one: {ratio:.2f} times the time\n")
    share = found[5].share(total)
    _show_pis(share, options.cells)
    memory = found[5].after.memory_bytes
    return [
        (
            f"{options.cells} cells at {options.rate:g}/s: under {SHARE_LIMIT:.0%} of a core",
            f"{share:.1%}",
            share < SHARE_LIMIT,
        ),
        ("... under 150 MiB", f"{memory / MEBIBYTE:.0f} MiB", memory < MEMORY_LIMIT),
    ]


def _exchanges_part(options: argparse.Namespace) -> None:
    messages = options.cells * options.rate / 5
    ours, theirs = our_bytes(), aiocoaps_bytes()
    held = messages * 60 / MEBIBYTE
    print("\n| what is kept of a message for 60 s | bytes | MiB at the load above |")
    print("| --- | ---: | ---: |")
    print(f"| by aiocoap itself | {theirs:,.0f} | {theirs * held:.0f} |")
    print(f"| ids and answers (coap/duplicates.py) | {ours:,.0f} | {ours * held:.0f} |", flush=True)


def _soak_part(options: argparse.Namespace) -> list[tuple[str, str, bool]]:
    rows = soak(options.hours, options.soak_rate)
    print("\n| hours of samples | MiB | tickets | processor s |\n| ---: | ---: | ---: | ---: |")
    shown = [row for place, row in enumerate(rows) if place % 4 == 3]
    for hours, memory, tickets, cpu in shown:
        print(f"| {hours:.0f} | {memory / MEBIBYTE:.1f} | {tickets} | {cpu:.0f} |")
    growth = rows[-1][1] / rows[len(rows) // 4][1]
    goal = f"{options.hours:g} h of samples: memory grows by less than 5 % after the first quarter"
    return [(goal, f"{growth - 1:+.1%}", growth < GROWTH_LIMIT)]


def _back_part(options: argparse.Namespace, directory: Path) -> list[tuple[str, str, bool]]:
    box = Box(_made(directory / "back"), options.reconnect, 10.0)
    print(
        "\n| cells coming back | half s | all s | SmartBox: processor s | waited for it s ", end=""
    )
    print("| cells: processor s | waited for it s | MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    slowest = 0.0
    for name, cold in (("after a power cut of all", True), ("after the SmartBox's own", False)):
        box.start(options.core)
        _leave(options.core)
        try:
            found = asyncio.run(come_back(box, options.core, cold=cold))
        finally:
            box.kill()
        slowest = max(slowest, found.all)
        print(found.row(f"{options.reconnect}, {name}"), flush=True)
    goal = f"{options.reconnect} cells at once: all back within {BACK_LIMIT:g} s"
    return [(goal, f"{slowest:.1f} s", slowest <= BACK_LIMIT)]


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _leave(core: int) -> None:
    """Take every core but the SmartBox's for the cells, where there is another."""
    others = os.sched_getaffinity(0) - {core}
    if others:
        os.sched_setaffinity(0, others)


if __name__ == "__main__":
    sys.exit(main())
