"""Reading what waits: the oldest, without what is under way, at a cost that does not grow."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.smartbox.alibi.format import Head, Record
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.ticket import Receipt


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    one = Outbox.open(Path(":memory:"))
    yield one
    one.close()


def fill(outbox: Outbox, count: int) -> list[str]:
    """Queue tickets as the recorder does; their ids."""
    head = outbox.head()
    first = head.sequence + 1 if head else 1
    ids = [f"t_{number}" for number in range(first, first + count)]
    for number, ticket_id in enumerate(ids, first):
        body = {"ticket": {"ticketID": ticket_id}, "samples": [], "weighbridge": "w", "time": 1}
        outbox.add(Record(body, Head(number, b"", number)))
    return ids


def ids_of(outbox: Outbox, limit: int, without: list[str]) -> list[str]:
    return [ticket.id for ticket in outbox.waiting(limit, without=without)]


def test_the_oldest_that_are_not_left_out(outbox: Outbox) -> None:
    """In the order of the weighings, whatever was tried, and nothing that is answered."""
    ids = fill(outbox, 10)
    outbox.mark_sending(ids[4:6])
    outbox.settle(
        [Receipt(ticket_id=ids[1], transaction_hash="0x" + "0" * 64, block_number=1)],
        [(ids[2], {"status": 422})],
    )
    assert ids_of(outbox, 3, []) == [ids[0], ids[3], ids[4]]
    assert ids_of(outbox, 3, [ids[0], ids[4], ids[1], "unknown"]) == [ids[3], ids[5], ids[6]]
    assert ids_of(outbox, 99, ids) == []
    (ticket,) = outbox.waiting(1)
    assert json.loads(ticket.body) == {"ticketID": ids[0]}


def test_what_is_left_out_may_have_any_letters(outbox: Outbox) -> None:
    """It is a value, not a part of the query."""
    fill(outbox, 2)
    assert ids_of(outbox, 9, ["'); DROP TABLE tickets; --", '"', "ä", "t_1"]) == ["t_2"]


def test_reading_costs_the_same_however_many_wait(outbox: Outbox) -> None:
    """Counted in the steps of SQLite's machine: all that wait are neither read nor sorted."""
    steps = [0]

    def step() -> None:
        steps[0] += 1

    def cost() -> int:
        steps[0] = 0
        assert len(outbox.waiting(20, without=without)) == 20
        return steps[0]

    without = fill(outbox, 60)
    outbox._connection.set_progress_handler(step, 1)
    fill(outbox, 40)
    few = cost()
    fill(outbox, 3000)
    assert cost() == few
