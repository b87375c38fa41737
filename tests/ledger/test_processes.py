"""Two platform processes with one key: they cost each other time, and lose and double nothing."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from builders import ticket, tickets
from ledger_process import order_of

from stations import counted
from steelyard.ledger.protocol import ContractWriter
from steelyard.ticket import Receipt, Ticket

PROGRAM = Path(__file__).with_name("ledger_process.py")
Start = Callable[[ContractWriter, list[Ticket]], Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a process that is ready to register tickets; it ends with the test."""
    started: list[Process] = []

    async def one(writer: ContractWriter, some: list[Ticket]) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, stdin=PIPE, stdout=PIPE
        )
        started.append(process)
        process.stdin.write(order_of(writer, some))
        assert await process.stdout.readline() == b"ready\n"
        return process

    yield one
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


def begin(*processes: Process) -> None:
    for process in processes:
        process.stdin.write(b"\n")


async def outcomes(process: Process) -> dict[str, dict[str, Any]]:
    """What a process was told, by the tickets' ids."""
    output = await process.stdout.read()
    assert await process.wait() == 0
    return {one["id"]: one for one in map(json.loads, output.splitlines())}


def receipts(told: dict[str, dict[str, Any]]) -> dict[str, Receipt]:
    return {name: Receipt.model_validate(one["receipt"]) for name, one in told.items()}


async def found(ledger, view, some: list[Ticket]) -> dict[str, Receipt | None]:
    return {one.id: await ledger.receipt(view, one.id) for one in some}


async def test_two_processes_with_different_tickets(start, ledger, writer, customer_view):
    """Every ticket of both is registered by its own process, once."""
    ours, theirs = tickets(15, "ours"), tickets(15, "theirs")
    pair = [await start(writer, some) for some in (ours, theirs)]
    begin(*pair)
    told = [await outcomes(process) for process in pair]

    assert [len(one) for one in told] == [15, 15]
    assert all(one["created"] for each in told for one in each.values())
    assert await counted(ledger, customer_view, 30) == 30
    for each, some in zip(told, (ours, theirs), strict=True):
        assert receipts(each) == await found(ledger, writer.view, some)


async def test_two_processes_with_the_same_tickets(start, ledger, writer, customer_view):
    """One of them is told that it registered a ticket, both get the one receipt."""
    batch = tickets(10)
    pair = [await start(writer, batch) for _ in range(2)]
    begin(*pair)
    one, other = [await outcomes(process) for process in pair]

    assert receipts(one) == receipts(other) == await found(ledger, writer.view, batch)
    assert [one[name]["created"] + other[name]["created"] for name in one] == [1] * 10
    assert await counted(ledger, customer_view, 10) == 10


async def test_one_of_two_processes_is_killed(start, ledger, writer, customer_view):
    """The other goes on; what the dead one was about to register is registered by a repeat."""
    ours, theirs = tickets(20, "ours"), tickets(20, "theirs")
    dying, living = [await start(writer, some) for some in (ours, theirs)]
    begin(dying, living)
    assert json.loads(await dying.stdout.readline())["created"]
    dying.send_signal(signal.SIGKILL)
    told = await outcomes(living)

    assert receipts(told) == await found(ledger, writer.view, theirs)
    again = await ledger.register(writer, ours)
    assert all(one.receipt for one in again)
    assert not all(one.created for one in again)
    assert await counted(ledger, customer_view, 40) == 40
    assert (await ledger.register(writer, [ticket(0, id="last")]))[0].created
