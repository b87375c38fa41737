"""A station in an emulated board weighs, while its power is cut: nothing is lost, nothing twice."""

import asyncio
import os
import random
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from board_station import BoardStage, BoardStation, BoardWorkspace
from steelyard.demo.client import https_session
from steelyard.demo.plan import read_plan
from steelyard.demo.processes import Processes
from steelyard.demo.stage import Options

WEIGHINGS = Path(__file__).parents[3] / "data/weighings-600.csv"
READY = "steelyard: ready after"
SECONDS = 1800
CUTS = int(os.environ.get("STEELYARD_POWER_CUTS", "20"))
TICKETS = 100


def first_weighings(path: Path) -> Path:
    """The first hundred weighings of the paper's first station."""
    lines = WEIGHINGS.read_text().splitlines(keepends=True)
    own = [line for line in lines[1:] if line.startswith("station-1,")]
    path.write_text("".join([lines[0], *own[:TICKETS]]))
    return path


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


@pytest.mark.timeout(0)
async def test_nothing_is_lost_when_the_power_is_cut(board, operator):
    """Each weighing has one ticket with a receipt in the end, and the alibi memory is whole."""
    with tempfile.TemporaryDirectory() as scratch:
        async with weighing_station(board, operator, Path(scratch)) as station:
            board.start()
            await asyncio.to_thread(board.wait_for, READY, SECONDS)
            await asyncio.to_thread(station.install)
            station.weigh(interval=2.0)
            pause = random.Random(os.environ.get("STEELYARD_SEED", "steelyard"))  # noqa: S311 - no secret
            counted = []
            for _ in range(CUTS):
                await asyncio.sleep(pause.uniform(1, 60))
                board.cut()
                board.start()
                began = time.monotonic()
                await asyncio.to_thread(board.wait_for, READY, SECONDS)
                counted.append(round(time.monotonic() - began))
            await station.wait_for(TICKETS, SECONDS)
            told = await asyncio.to_thread(
                board.ssh,
                operator,
                "/opt/steelyard/station/current/venv/bin/steelyard smartbox alibi verify"
                " /var/lib/steelyard/smartbox",
            )
            print(f"\n{CUTS} cuts, ready again after {counted} s; {told}")
            assert str(TICKETS) in told
            assert await asyncio.to_thread(station.registered) == TICKETS
