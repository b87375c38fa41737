"""Several batches side by side: which tickets go when, and what a failure of one does to all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from uplink_by_hand import ByHand, busy, taken, unreached

from steelyard.smartbox.errors import BatchRefused, StorageUnavailable
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.uplink.answers import Answers

Make = Callable[..., Awaitable[ByHand]]
INVALID = BatchRefused("no", {"status": 422, "title": "The request is not valid"})


async def test_as_many_go_as_are_set_and_the_oldest_first(by_hand: Make) -> None:
    """Each slot has its own tickets; one that is free has the next ones at once."""
    one = await by_hand(batch_size=2, batches_in_flight=3)
    await one.weigh(11)
    assert one.under_way() == [["t_1", "t_2"], ["t_3", "t_4"], ["t_5", "t_6"]]
    await one.take(1)
    assert one.under_way() == [["t_1", "t_2"], ["t_5", "t_6"], ["t_7", "t_8"]]
    await one.take(0)
    assert one.under_way() == [["t_5", "t_6"], ["t_7", "t_8"], ["t_9", "t_10"]]


async def test_a_fresh_ticket_goes_beside_what_is_under_way(by_hand: Make) -> None:
    """It does not wait for the others while a slot is free."""
    one = await by_hand(batches_in_flight=3)
    await one.weigh(1)
    await one.weigh(1)
    await one.weigh(1)
    assert one.under_way() == [["t_1"], ["t_2"], ["t_3"]]
    await one.weigh(1)
    assert len(one.requests) == 3
    await one.take(1)
    assert one.under_way() == [["t_1"], ["t_3"], ["t_4"]]


async def test_a_week_offline_is_a_few_blocks(by_hand: Make) -> None:
    """With the default settings, 4,200 tickets are there after three answers' time, for the
    requests wait for their blocks together; also when the platform was not reached for a week.
    """
    names = ("batch_size", "batch_bytes", "batches_in_flight")
    defaults = {name: SmartBoxSettings.model_fields[name].default for name in names}
    one = await by_hand(**defaults)
    await one.weigh(4200)
    for _ in range(20):
        while one.requests:
            await one.answer(0, unreached())
        await one.go_on()
    blocks = 0
    while one.requests:
        blocks += 1
        for request in one.requests:
            request.end(taken(request.what))
        await one.calm()
    assert blocks == 3
    assert one.outbox.counts()["registered"] == 4200


async def test_a_failure_stops_all_from_beginning_and_counts_once(by_hand: Make) -> None:
    """What began before it was known goes on; its failures make the pause no longer."""
    one = await by_hand(batches_in_flight=4)
    await one.weigh(20)
    await one.answer(0, busy())
    await one.answer(0, busy())
    await one.take(0)
    assert [pause.what for pause in one.pauses] == [1.0]
    assert one.under_way() == [["t_7", "t_8"]]
    await one.go_on()
    assert one.under_way() == [["t_7", "t_8"], ["t_1", "t_2"]]
    await one.answer(1, busy())
    assert [pause.what for pause in one.pauses] == [2.0]


async def test_nothing_begins_when_a_failure_comes_while_the_outbox_is_read(by_hand: Make) -> None:
    """What was read waits for the end of the pause, behind the tickets that failed."""
    one = await by_hand(batch_size=1)
    await one.weigh(1)
    one.queue(1)
    one.requests[0].end(busy())
    await one.calm()
    assert one.under_way() == []
    assert [pause.what for pause in one.pauses] == [1.0]
    await one.go_on()
    assert one.under_way() == [["t_1"], ["t_2"]]


async def test_the_longest_retry_after_holds_for_all(by_hand: Make) -> None:
    """Whichever batch it was told to, before or after the shorter one."""
    one = await by_hand(batches_in_flight=4)
    await one.weigh(20)
    for seconds in (5.0, 30.0, 2.0):
        await one.answer(0, busy(seconds))
    assert [pause.what for pause in one.pauses] == [5.0, 30.0, 2.0]
    await one.take(0)
    await one.go_on(0)
    await one.go_on(1)
    assert one.requests == []
    await one.go_on(0)
    assert one.under_way()[0] == ["t_1", "t_2"]


async def begun_after_pause(one: ByHand) -> int:
    await one.go_on()
    return len(one.requests)


async def test_fewer_go_after_each_push_back_and_more_after_each_success(by_hand: Make) -> None:
    """Half as many, down to one; one more with each that the platform takes, up to the setting."""
    one = await by_hand(batches_in_flight=8)
    await one.weigh(100)
    seen = []
    for _ in range(5):
        while one.requests:
            await one.answer(0, busy())
        seen.append(await begun_after_pause(one))
    assert seen == [4, 2, 1, 1, 1]
    seen = []
    for _ in range(9):
        await one.take()
        seen.append(len(one.requests))
    assert seen == [2, 3, 4, 5, 6, 7, 8, 8, 8]


async def test_tickets_that_must_come_later_are_a_push_back(by_hand: Make) -> None:
    """The answer's receipts are stored; the rest goes again, after a pause, beside fewer."""
    one = await by_hand(batch_size=3, batches_in_flight=2)
    await one.weigh(12)
    assert one.under_way() == [["t_1", "t_2", "t_3"], ["t_4", "t_5", "t_6"]]
    await one.answer(1, taken(["t_4", "t_5", "t_6"], later=["t_5"]))
    assert [pause.what for pause in one.pauses] == [1.0]
    assert one.outbox.counts()["registered"] == 2
    await one.take()
    await one.go_on()
    assert one.under_way() == [["t_5", "t_7", "t_8"]]


async def test_who_was_not_reached_has_not_pushed_back(by_hand: Make) -> None:
    """There is a pause, and after it as many go as before."""
    one = await by_hand(batches_in_flight=4)
    await one.weigh(20)
    for _ in range(4):
        await one.answer(0, unreached())
    assert [pause.what for pause in one.pauses] == [1.0]
    assert await begun_after_pause(one) == 4


async def test_an_old_success_does_not_end_a_trouble(by_hand: Make) -> None:
    """What began before the failure says nothing of the time after it: the alarm stays."""
    one = await by_hand(batches_in_flight=2)
    await one.weigh(3)
    await one.answer(0, busy())
    await one.take()
    assert one.status.alarms() == {"platform": "busy"}
    await one.go_on()
    await one.take()
    assert one.status.alarms() == {}


async def test_the_others_go_on_while_a_refused_batch_is_halved(by_hand: Make) -> None:
    """Its halves go by themselves, before newer tickets; only the one ticket is set aside."""
    one = await by_hand(batch_size=4, batches_in_flight=2)
    await one.weigh(9)
    await one.answer(0, INVALID)
    assert one.under_way() == [["t_5", "t_6", "t_7", "t_8"], ["t_1", "t_2"]]
    await one.take(0)
    assert one.under_way() == [["t_1", "t_2"], ["t_3", "t_4"]]
    await one.answer(0, INVALID)
    assert one.under_way() == [["t_3", "t_4"], ["t_1"]]
    await one.answer(1, INVALID)
    assert one.under_way() == [["t_3", "t_4"], ["t_2"]]
    await one.take(0)
    assert one.under_way() == [["t_2"], ["t_9"]]
    assert [refusal.id for refusal in one.outbox.refusals()] == ["t_1"]
    assert one.pauses == []


async def test_a_failure_does_not_begin_the_halving_anew(by_hand: Make) -> None:
    """A platform that fails again and again still sees the end of it."""
    one = await by_hand(batch_size=8, batches_in_flight=1)
    await one.weigh(8)
    requests = 0
    while not one.outbox.counts()["refused"]:
        requests += 1
        await one.answer(0, INVALID)
        if one.requests:
            await one.answer(0, busy())
            await one.go_on()
    assert requests == 4
    assert next(one.outbox.refusals()).id == "t_1"


async def test_what_the_platform_took_of_a_half_does_not_go_again(by_hand: Make) -> None:
    """A half that was answered ticket by ticket is no longer suspect."""
    one = await by_hand(batch_size=4, batches_in_flight=1)
    await one.weigh(4)
    await one.answer(0, INVALID)
    assert one.under_way() == [["t_1", "t_2"]]
    await one.answer(0, taken(["t_1", "t_2"], later=["t_2"]))
    await one.go_on()
    assert one.under_way() == [["t_3", "t_4"]]
    await one.take()
    assert one.under_way() == [["t_2"]]


@pytest.mark.parametrize("error", [KeyError("results"), RecursionError(), OSError("odd")])
async def test_an_odd_error_of_one_is_a_failure_like_others(
    by_hand: Make, error: Exception
) -> None:
    """The others go on, and its tickets go again."""
    one = await by_hand(batches_in_flight=2)
    await one.weigh(3)
    await one.answer(0, error)
    assert one.under_way() == [["t_3"]]
    await one.take()
    await one.go_on()
    await one.take()
    assert one.outbox.counts()["registered"] == 3


async def test_a_storage_failure_ends_all(by_hand: Make) -> None:
    """The one that met it tells; the others are given up, and go again after the restart."""
    one = await by_hand(batches_in_flight=3)
    await one.weigh(5)
    await one.answer(1, StorageUnavailable("the disk is full"))
    assert one.running.done()
    with pytest.raises(StorageUnavailable, match="the disk is full"):
        await one.running
    assert one.requests == []
    one.start()
    await one.calm()
    assert [ids for batch in one.under_way() for ids in batch] == [f"t_{n}" for n in range(1, 6)]


async def test_an_answer_that_cannot_be_stored_ends_all(by_hand: Make) -> None:
    """The outbox itself fails."""
    one = await by_hand(batches_in_flight=2)
    await one.weigh(3)
    one.outbox._connection.execute("DROP TABLE tickets")
    await one.take()
    with pytest.raises(StorageUnavailable, match="the outbox"):
        await one.running
    assert one.requests == []


async def test_a_shutdown_leaves_nothing_under_way(by_hand: Make) -> None:
    """Neither requests nor pauses; what had no answer goes again at the next start."""
    one = await by_hand(batches_in_flight=4)
    await one.weigh(9)
    await one.answer(0, busy(60.0))
    before = asyncio.all_tasks()
    await one.stop()
    assert one.running.cancelled()
    assert not {task for task in before if not task.done()} - {asyncio.current_task()}
    assert one.outbox.counts() | {"queued": 0} == {
        "queued": 0, "sending": 8, "registered": 0, "refused": 0, "set_aside": 0,
        "dismissed": 0, "untimed": 0,
    }  # fmt: skip
    one.start()
    await one.calm()
    assert one.under_way()[0] == ["t_1", "t_2"]


async def test_a_ticket_waits_for_company_as_long_as_is_set(by_hand: Make) -> None:
    """What comes meanwhile goes with it. What was given back has waited already."""
    one = await by_hand(batch_age=7.0)
    await one.weigh(1)
    await one.weigh(1)
    assert [pause.what for pause in one.pauses] == [7.0]
    assert one.requests == []
    await one.go_on()
    assert one.under_way() == [["t_1", "t_2"]]
    await one.answer(0, busy())
    await one.go_on()
    assert one.under_way() == [["t_1", "t_2"]]


async def test_a_refused_ticket_of_an_answer_is_set_aside(by_hand: Make) -> None:
    """The rest of its batch has its receipts, and nothing pauses."""
    one = await by_hand(batch_size=2, batches_in_flight=1)
    await one.weigh(2)
    receipts = taken(["t_1"]).receipts
    await one.answer(0, Answers(receipts, (("t_2", {"status": 409}),), ()))
    assert one.outbox.counts()["registered"] == 1
    assert one.outbox.counts()["refused"] == 1
    assert one.pauses == []
