"""A station in an emulated board enrols, weighs, and its power is cut: nothing is lost."""

import asyncio
import mmap
import os
import random
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from board_station import DATA, BoardStage, BoardStation, BoardWorkspace
from infra.images.errors import ImageProblem
from steelyard.demo.client import https_session
from steelyard.demo.plan import read_plan
from steelyard.demo.processes import Processes
from steelyard.demo.stage import Options

WEIGHINGS = Path(__file__).parents[3] / "data/weighings-600.csv"
READY = "steelyard: ready after"
SECONDS = 1800
CUTS = int(os.environ.get("STEELYARD_POWER_CUTS", "20"))
TICKETS = 100
# A weight every so many seconds from each cell.
INTERVAL = 20.0
# What a time server's client does once it has the time (adjtimex(2): the errors, and a status
# without STA_UNSYNC). A SmartBox that begins then believes the kernel.
SYNCHRONISED = (
    "python3 -c 'import ctypes, struct; "
    'b = ctypes.create_string_buffer(struct.pack("=Ixxxxqqqqi", 0x1C, 0, 0, 1000, 1000, 1), 208); '
    "assert ctypes.CDLL(None).adjtimex(b) == 0' && systemctl restart steelyard-smartbox"
)


def first_weighings(path: Path) -> Path:
    """The first hundred weighings of the paper's first station."""
    lines = WEIGHINGS.read_text().splitlines(keepends=True)
    own = [line for line in lines[1:] if line.startswith("station-1,")]
    path.write_text("".join([lines[0], *own[:TICKETS]]))
    return path


def is_on(card: Path, text: bytes) -> bool:
    """Whether a card has these bytes anywhere."""
    with card.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return whole.find(text) >= 0


@asynccontextmanager
async def weighing_station(board, operator, directory):
    """The platform with everyone registered, and the station in the board."""
    csv = first_weighings(directory / "weighings.csv")
    plan = read_plan(csv, {}, directory / "plan")
    workspace = BoardWorkspace(directory / "work", plan)
    options = Options(csv, {}, "sandbox", 500, capture=False, network=None)
    with Processes() as processes:
        async with https_session(workspace.servers.certificate_path) as session:
            stage = BoardStage(options, plan, workspace, processes, session, lambda _: None)
            await stage.open()
            station = BoardStation(stage, plan.stations[0], board, operator)
            try:
                yield station
            finally:
                station.stop()


async def power_on(board) -> float:
    """Start the board; seconds until it is ready.

    On a busy machine a device may not be there in time: the board then resets, and starts again.
    """
    began = time.monotonic()
    for last in (False, False, True):
        board.start()
        try:
            await asyncio.to_thread(board.wait_for, READY, SECONDS)
            break
        except ImageProblem:
            if board.running or last:
                raise
    return time.monotonic() - began


async def enrolled(station: BoardStation) -> None:
    """Wait until the first boot has let the SmartBox begin."""
    async with asyncio.timeout(SECONDS):
        while True:
            said = await asyncio.to_thread(
                station.board.ssh, station.key, "systemctl is-active steelyard-smartbox; true"
            )
            if said.strip() == "active":
                return
            await asyncio.sleep(3)


async def weighed(station, left):
    """Wait until fewer weights than these are left to send."""
    ends = time.monotonic() + SECONDS
    while station.left() >= left:
        assert time.monotonic() < ends, f"no weight was taken in {SECONDS} s: {left} are left"
        await asyncio.sleep(0.5)


@pytest.mark.timeout(0)
async def test_it_enrols_and_nothing_is_lost_when_the_power_is_cut(blank_board, operator, built):
    """From the card to receipts: each weighing has one ticket in the end, and the alibi is whole.

    The tickets are compared with the file, field by field, as the customer finds them.
    The claim code is nowhere on the card any more once it was used.
    """
    board = blank_board
    with tempfile.TemporaryDirectory() as scratch:
        async with weighing_station(board, operator, Path(scratch)) as station:
            code = await station.flash(built)
            print(f"\nready after {await power_on(board):.0f} s")
            await enrolled(station)
            await station.enrol_cells(INTERVAL)
            station.weigh()
            pause = random.Random(os.environ.get("STEELYARD_SEED", "steelyard"))  # noqa: S311 - no secret
            counted, left = [], [station.left()]
            for number in range(CUTS):
                # Each time power is there, something is weighed, however slow this computer is.
                await weighed(station, left[-1])
                await asyncio.sleep(pause.uniform(1, 15))
                left.append(station.left())
                assert left[-1] > 0, f"everything was weighed before cut {number}"
                board.cut()
                if number == 0:
                    assert board.on_boot() == [
                        "README.txt",
                        "ca.pem",
                        "machine-id",
                        "station-taken.txt",
                    ]
                    assert not is_on(board.card, code[-19:].encode())
                counted.append(round(await power_on(board)))
            await asyncio.to_thread(station.hurry, 0.5)
            await station.wait_for(TICKETS, SECONDS)
            told = await asyncio.to_thread(station.ask, "alibi", "verify", DATA)
            at_cuts = f"{CUTS} cuts with {left[1:]} weights to go"
            print(f"\n{at_cuts}, ready again after {counted} s; {told}")
            assert f"{TICKETS} records" in told
            status = await asyncio.to_thread(station.status)
            assert {state: count for state, count in status["tickets"].items() if count} == {
                "registered": TICKETS
            }
            assert status["alibi_records"] == TICKETS
            tickets = await station.tickets()
            assert station.differences(tickets) == []
            starts: dict[str, list[int]] = {}
            for ticket in sorted(tickets, key=lambda ticket: ticket["timestamp"]):
                own = starts.setdefault(ticket["scaleSerialNumber"], [])
                own.append(ticket["terminalRestartValue"])
            assert all(own == sorted(own) for own in starts.values())
            different = {start for own in starts.values() for start in own}
            # Not one for each start: a few weights need not be a ticket yet.
            assert len(different) > 1
            print(f"the ledger has each as it was weighed, in {len(different)} different starts")
            await asyncio.to_thread(station.board.ssh, station.key, SYNCHRONISED)
            await station.knows_the_time_by("kernel", SECONDS)
