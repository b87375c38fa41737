"""SIGKILL at any moment: no weighing is lost, none is registered twice."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest
from smartbox_kit import (
    CELLS,
    FakePlatform,
    Planned,
    Stage,
    expected_ticket,
    plan,
    until,
    write_replay,
)

from steelyard.smartbox.alibi.format import Record
from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.pages.client import READY_FILE
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE

SEED = int(os.environ.get("STEELYARD_TEST_SEED", "20201112"))
KILLS = 100
RECORD_BYTES = 800


class Zygote:
    """The forking parent, see zygote.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pids: list[int] = []

    @classmethod
    async def start(cls) -> "Zygote":
        script = Path(__file__).with_name("zygote.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return cls(process)

    async def fork(self, **command: object) -> int:
        """Start a child; its pid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command, default=str).encode() + b"\n")
        pid = int(await self._process.stdout.readline())
        self.pids.append(pid)
        return pid

    async def stop(self) -> None:
        for pid in self.pids:
            kill(pid)
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


def kill(pid: int) -> None:
    """SIGKILL a child, if it is there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_alive(pid: int) -> bool:
    """Whether a child is there; the zygote's are reaped at once."""
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    parent = await Zygote.start()
    yield parent
    await parent.stop()


class Field:
    """One station with its cells, on one directory and one port, that is killed and started."""

    def __init__(
        self, zygote: Zygote, stage: Stage, platform: FakePlatform, directory: Path, port: int
    ) -> None:
        self.zygote = zygote
        self.stage = stage
        self.platform = platform
        self.directory = directory
        self.data = directory / "data"
        self.port = port
        self.rows = directory / "rows.csv"
        self.cells: dict[str, int] = {}

    async def start_smartbox(self, **extra: object) -> int:
        (self.data / READY_FILE).unlink(missing_ok=True)
        settings = self.stage.settings(
            self.data, self.platform.url, coap_port=self.port, join_deadline_seconds=0.5
        )
        return await self.zygote.fork(
            role="smartbox",
            settings=settings,
            replay=self.rows,
            log=self.directory / "smartbox.log",
            exit_file=self.directory / "smartbox.exit",
            **extra,
        )

    async def start_cell(self, serial: str) -> None:
        # Silence long enough for a handshake on a busy machine: shorter, and cells that begin
        # again and again would leave the SmartBox no time to answer any of them.
        config = self.stage.cell(
            serial, self.port, self.directory, answer_seconds=1.0, silence_seconds=0.3
        )
        self.cells[serial] = await self.zygote.fork(
            role="cell",
            config=asdict(config),
            log=self.directory / "cells.log",
            exit_file=self.directory / f"{serial}.exit",
        )

    async def restart_cell(self, serial: str) -> None:
        """SIGKILL a load cell, too, and start it again where its position is."""
        kill(self.cells[serial])
        await until(lambda: not is_alive(self.cells[serial]))
        await self.start_cell(serial)

    def alibi_bytes(self) -> int:
        path = self.data / ALIBI_FILE
        return path.stat().st_size if path.exists() else 0

    async def until_written(self, pid: int, size: int) -> None:
        """Wait until the alibi memory has grown to a size, or its SmartBox has died.

        Not for long: on a machine that is too busy, the next kill comes a little early.
        """
        with contextlib.suppress(TimeoutError):
            await until(lambda: self.alibi_bytes() >= size or not is_alive(pid), 5)

    def cells_done(self) -> bool:
        return all((self.directory / f"{serial}.exit").exists() for serial in CELLS)

    def check_smartbox_never_failed(self) -> None:
        exit_file = self.directory / "smartbox.exit"
        log = self.directory / "smartbox.log"
        assert not exit_file.exists(), log.read_text()[-2000:]


def free_udp_port() -> int:
    """A port that no one has now."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_nothing_lost(field: Field, planned: list[Planned]) -> None:
    """Each weighing is one ticket, registered once, with a stored receipt; the alibi verifies."""
    expected = {expected_ticket(w).id: expected_ticket(w) for w in planned}
    assert field.platform.tickets == expected
    outbox = Outbox.open_for_reading(field.data / OUTBOX_FILE)
    stored = {r.ticket_id: (r.transaction_hash, r.block_number) for r in outbox.receipts()}
    assert stored == field.platform.receipts
    assert outbox.counts()["registered"] == len(planned)
    finding = verify_alibi(field.data / ALIBI_FILE, field.data / OUTBOX_FILE)
    assert finding.holds, finding.sentence
    records = [r for r in read_all(field.data / ALIBI_FILE) if isinstance(r, Record)]
    assert sorted(r.body["ticket"]["ticketID"] for r in records) == sorted(expected)
    for serial in CELLS:
        assert (field.directory / f"{serial}.exit").read_text() == "0"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_smartbox_killed_a_hundred_times_loses_and_doubles_nothing(
    zygote: Zygote, stage: Stage, platform: FakePlatform, tmp_path: Path
) -> None:
    """A hundred SIGKILLs at random moments of one long run, then the books are balanced.

    Twenty load cells are killed on the way as well.
    """
    chance = random.Random(SEED)  # noqa: S311 - repeatable moments
    planned = plan(1000)
    write_replay(planned, tmp_path)
    field = Field(zygote, stage, platform, tmp_path, free_udp_port())
    for serial in CELLS:
        await field.start_cell(serial)
    progress, by_itself = [], 0
    for number in range(KILLS):
        # Every fourth time it dies by itself, right before a write of the alibi memory is durable.
        extra = {"die_at_fsync": chance.randrange(1, 9)} if number % 4 == 0 else {}
        before = field.alibi_bytes()
        pid = await field.start_smartbox(**extra)
        if number % 4 != 1:  # and every fourth time at any moment of its start
            await field.until_written(pid, before + chance.randrange(8 * RECORD_BYTES))
        await asyncio.sleep(chance.uniform(0.0, 0.02))
        by_itself += bool(extra) and not is_alive(pid)
        kill(pid)
        await until(lambda pid=pid: not is_alive(pid))
        if number % 5 == 0:
            await field.restart_cell(chance.choice([*CELLS]))
        progress.append(field.alibi_bytes())
    assert progress[0] < progress[KILLS // 2] < progress[-1], "the kills must hit a run at work"
    assert not field.cells_done(), "the kills must hit a run at work"
    assert by_itself > 0, "some must die right before a write is durable"
    print(f"{progress[-1] // RECORD_BYTES} weighings recorded by the last kill")
    await field.start_smartbox()

    def all_sent() -> bool:
        field.check_smartbox_never_failed()
        return len(platform.receipts) == len(planned) and field.cells_done()

    await until(all_sent, 300)
    outbox = Outbox.open_for_reading(field.data / OUTBOX_FILE)
    await until(lambda: outbox.counts()["registered"] == len(planned))
    check_nothing_lost(field, planned)
    print(
        f"{KILLS} kills ({by_itself} by itself before an fsync), {len(planned)} weighings, "
        f"{platform.known_twice} tickets sent twice"
    )
