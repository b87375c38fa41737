"""A station in an emulated board enrols, weighs, and its power is cut: nothing is lost."""

import asyncio
import json
import mmap
import os
import random
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from board_card import LEASES, LISTENERS, open_ports
from board_station import DATA, BoardStage, BoardStation, BoardWorkspace
from board_updates import (
    READY,
    SECONDS,
    goes_back,
    install,
    leave_the_smartbox_out,
)
from board_updates import status as slots
from infra.images.errors import ImageProblem
from steelyard.demo.client import https_session
from steelyard.demo.plan import read_plan
from steelyard.demo.processes import Processes
from steelyard.demo.stage import Options

WEIGHINGS = Path(__file__).parents[3] / "data/weighings-600.csv"
CUTS = int(os.environ.get("STEELYARD_POWER_CUTS", "20"))
TICKETS = 150
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
    """The first TICKETS weighings of the paper's first station."""
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


async def weighed_anew(station, reached):
    """Wait until a weighing was complete that no cell had begun when this start did.

    `reached` is what the foremost cell had brought by then. What it sent next may have become a
    ticket whose acknowledgement the cut took away; what comes after that is of this start alone.
    """
    ends = time.monotonic() + SECONDS
    while max(station.positions()) < reached + 2:
        assert time.monotonic() < ends, f"nothing was weighed in {SECONDS} s: {reached} before"
        await asyncio.sleep(0.5)


@pytest.mark.timeout(0)
async def test_it_enrols_and_nothing_is_lost_when_the_power_is_cut(
    blank_board, operator, built, make
):
    """From the card to receipts: each weighing has one ticket in the end, and the alibi is whole.

    The tickets are compared with the file, field by field, as the customer finds them.
    The claim code is nowhere on the card any more once it was used. At last an update leaves what
    was weighed and who the station is, and one without a SmartBox goes back.
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
            counted, left, reached = [], [], 0
            for number in range(CUTS):
                # Each time power is there, a ticket is made, however slow this computer is.
                await weighed_anew(station, reached)
                await asyncio.sleep(pause.uniform(1, 15))
                board.cut()
                reached = max(station.positions())
                left.append(station.left())
                assert left[-1] > 0, f"everything was weighed before cut {number}"
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
            at_cuts = f"{CUTS} cuts with {left} weights to go"
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
            # One for each time that the power came: it starts once more where it enrols.
            assert len(different) > CUTS
            print(f"the ledger has each as it was weighed, in {len(different)} different starts")
            await asyncio.to_thread(station.board.ssh, station.key, SYNCHRONISED)
            await station.knows_the_time_by("kernel", SECONDS)
            ports = open_ports(await asyncio.to_thread(board.ssh, operator, LISTENERS))
            wanted = {("tcp", "22"), ("udp", "5684"), ("udp", "5353")}
            assert wanted <= ports <= wanted | LEASES
            await keeps_what_it_has(station, make)
            await sets_the_clock(station)


async def keeps_what_it_has(station, make):
    """An update of the enrolled station, and one that is not well."""
    board, key = station.board, station.key
    await asyncio.to_thread(install, board, key, make("9.1", lambda tree: None))
    board.start()
    await asyncio.to_thread(board.wait_for, "root-b is well", SECONDS)
    missing = "the other is started: the SmartBox does not answer"
    await asyncio.to_thread(goes_back, board, key, make("9.2", leave_the_smartbox_out), missing)
    told = await asyncio.to_thread(slots, board, key)
    assert (told["running"], told["version"]) == ("b", "9.1")
    await enrolled(station)
    await station.knows_the_time_by("platform", SECONDS)
    told = await asyncio.to_thread(station.ask, "alibi", "verify", DATA)
    assert f"{TICKETS} records" in told
    told = await asyncio.to_thread(station.status)
    assert (told["tickets"]["registered"], told["alibi_records"]) == (TICKETS, TICKETS)
    print("an update kept them, and an update without a SmartBox went back")


async def sets_the_clock(station):
    """A kernel that is behind has the time once the platform told the SmartBox.

    By less than an hour: so old the platform's certificate says that it is, which is made here.
    """
    kept = f"{DATA}/clock.json"
    told = await asyncio.to_thread(
        station.board.ssh, station.key, f"cat {kept} /proc/sys/kernel/random/boot_id"
    )
    clock, boot = told.rsplit("}", 1)
    # In its sandbox, too, the SmartBox knows which boot this is.
    assert json.loads(clock + "}")["boot"] == boot.strip()
    late = (
        "systemctl stop steelyard-smartbox && date --utc --set @$(($(date +%s) - 2400)) && "
        f"rm {kept} && systemctl start steelyard-smartbox"
    )
    await asyncio.to_thread(station.board.ssh, station.key, late)
    async with asyncio.timeout(SECONDS):
        behind = 2400.0
        while behind > 60:
            await asyncio.sleep(3)
            said = await asyncio.to_thread(station.board.ssh, station.key, "date +%s")
            behind = time.time() - int(said)
    print(f"the kernel's clock was 40 minutes behind, and is {behind:.0f} s now")
    await station.knows_the_time_by("platform", SECONDS)
