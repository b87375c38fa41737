"""Displays live by their streams: all of them, whatever one of them does."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

import pytest
from display_kit import TRUCK, Front
from hypothesis import given
from hypothesis import strategies as st
from smartbox_kit import until

from steelyard.smartbox.display import feed as feed_module
from steelyard.smartbox.display.changes import Changes
from steelyard.smartbox.display.feed import MOST_STREAMS, encode

Start = Callable[..., Awaitable[Front]]


async def test_a_display_is_told_all_that_it_shows(front: Start) -> None:
    """The station once; the scales, the alarms and the tickets with each change."""
    one = await front()
    station = await one.told("station")
    assert station["station"] == "station-1"
    assert [bridge["name"] for bridge in station["weighbridges"]] == ["wb-1", "wb-2"]
    assert [cell["place"] for cell in station["weighbridges"][0]["cells"]][1] == [0.0, 1.0]
    await one.stand(2)
    await one.stand(2, *TRUCK)
    told = await one.told("scales", lambda told: told["scales"]["wb-1"].get("stable"))
    scale = told["scales"]["wb-1"]
    assert (scale["gross"], scale["step"], scale["old"]) == (30_000_000, "stable", False)
    assert scale["refusals"]["ticket"] is None
    assert scale["refusals"]["clear-tare"]["code"] == "no-tare"
    assert told["scales"]["wb-2"]["reason"]["code"] == "empty"
    one.status.raise_alarm("platform", "the platform is away")
    told = await one.told("scales", lambda told: bool(told["alarms"]))
    assert told["alarms"][0]["text"] == "the platform is away"


async def test_a_ticket_is_followed_to_the_ledger(front: Start) -> None:
    """Queued, then registered with its transaction, or refused with the reason."""
    one = await front()
    first, second = await one.weigh(vehicle="AA-00-BB"), await one.weigh()
    states: list[list[str]] = []
    async with asyncio.timeout(60):
        async for kind, told in one.events():
            if kind != "tickets":
                continue
            states.append([entry["state"] for entry in told["tickets"]])
            if len(states) == 1:
                assert told["counts"] == {"waiting": 2, "refused": 0}
                await one.register(first)
                await one.refuse(second, "the weighbridge is unknown")
            if states[-1] == ["refused", "registered"]:
                break
    newest, oldest = told["tickets"]
    assert newest["problem"]["detail"] == "the weighbridge is unknown"
    assert oldest["receipt"]["transactionHash"] == "0x" + "ab" * 32
    assert oldest["ticket"]["vehicle"] == "AA-00-BB"
    assert told["counts"] == {"waiting": 0, "refused": 1}


async def test_a_dismissed_ticket_asks_for_nobody(front: Start) -> None:
    """It is still shown, with the platform's reason and why it is settled; it counts no more."""
    one = await front()
    ids = [await one.weigh(), await one.weigh()]
    for ticket in ids:
        await one.refuse(ticket, "the weighbridge is unknown")
    told = await one.told("tickets", lambda told: told["counts"] == {"waiting": 0, "refused": 2})
    await one.recorder.run(one.outbox.dismiss, [ids[0]], 1, "weighed again by hand")
    told = await one.told("tickets", lambda told: told["counts"] != {"waiting": 0, "refused": 2})
    assert told["counts"] == {"waiting": 0, "refused": 1}
    newest, oldest = told["tickets"]
    assert (newest["state"], newest["settled"]) == ("refused", None)
    assert (oldest["state"], oldest["settled"]) == ("dismissed", "weighed again by hand")
    assert oldest["problem"]["detail"] == "the weighbridge is unknown"


async def test_two_displays_see_what_one_of_them_does(front: Start) -> None:
    """A tare that one takes, the other shows; for another load it is not taken at all."""
    one = await front()
    await one.stand(2)
    await one.stand(2, *TRUCK)
    other = asyncio.create_task(
        one.told("scales", lambda told: told["scales"]["wb-1"]["tare"] == 20_000)
    )
    load = one.live.bridge("wb-1").load
    assert (await one.press("tare", grams=20_000, load=load))[0] == 200
    scale = (await other)["scales"]["wb-1"]
    assert (scale["tare_kind"], scale["net"]) == ("preset", 29_980_000)
    await one.stand(2)
    status, problem = await one.press("tare", grams=40_000, load=load)
    assert (status, problem["reason"]["code"]) == (409, "other-load")
    assert one.live.bridge("wb-1").tare.grams == 0


async def test_two_displays_that_ask_at_once_get_one_ticket(front: Start) -> None:
    """One load has one ticket, whoever asks how often."""
    one = await front()
    await one.stand(2)
    await one.stand(2, *TRUCK)
    got = await asyncio.gather(*(one.press("ticket", load=0) for _ in range(4)))
    assert {status for status, _ in got} == {200}
    await one.stand(3, *TRUCK)
    status, problem = await one.press("ticket", load=0)
    assert (status, problem["reason"]["code"]) == (409, "has-ticket")
    await one.recorder.run(lambda: None)
    assert len(await one.recorder.run(one.outbox.waiting, 10)) == 1


async def deaf(front: Front) -> socket.socket:
    """A browser that asks for the stream and never reads it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", front.port))
    request = f"GET /display/events HTTP/1.1\r\nHost: 127.0.0.1:{front.port}\r\n\r\n"
    await loop.sock_sendall(sock, request.encode())
    return sock


async def test_a_browser_that_stops_reading_is_cut_off_and_holds_up_nobody(
    front: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weighing goes on, another display is told everything, and no heap of events grows."""
    monkeypatch.setattr(feed_module, "STALL_SECONDS", 0.5)
    one = await front()
    sock = await deaf(one)
    try:
        await one.stand(2)
        async with asyncio.timeout(120):
            while one.display.feed.stalled == 0:
                # A large alarm fills what the kernel keeps for the deaf one.
                one.status.raise_alarm("platform", "x" * 50_000)
                await one.stand(0.1, *TRUCK)
                await asyncio.sleep(0.01)
        one.status.clear_alarm("platform")
        await one.stand(2, *TRUCK)
        told = await one.told("scales")
        assert told["scales"]["wb-1"]["gross"] == 30_000_000
        await until(lambda: not one.display.feed.streams)
    finally:
        sock.close()


async def test_no_more_streams_than_a_smartbox_serves(front: Start) -> None:
    """The next one is told so in a sentence; when one goes there is room again."""
    one = await front()
    streams = [await one.session.get(one.url + "/display/events") for _ in range(MOST_STREAMS)]
    status, body = await one.get("/display/events")
    assert status == 503
    assert json.loads(body)["detail"] == f"at most {MOST_STREAMS} may be open"
    for stream in streams:
        stream.close()
    await until(lambda: not one.display.feed.streams)
    assert (await one.told("station"))["station"] == "station-1"


async def test_the_end_of_the_smartbox_ends_the_streams(front: Start) -> None:
    """A display that is open does not hold up a restart."""
    one = await front()
    ended = asyncio.create_task(one.told("scales", lambda _: False))
    await until(lambda: one.display.feed.streams > 0)
    await one.display.feed.close()
    with pytest.raises(AssertionError, match="the stream ended"):
        await ended


async def test_an_old_weight_is_called_old_and_nothing_rests_on_it(front: Start) -> None:
    """The cells fell silent a moment ago: they are no fault yet, but nobody tares on memory."""
    one = await front()
    await one.stand(2)
    await one.stand(2, *TRUCK)
    one.now += 3000
    told = await one.told("scales", lambda told: told["scales"]["wb-1"]["old"])
    assert told["scales"]["wb-1"]["refusals"]["tare"]["code"] == "old-weight"
    for action in ("zero", "tare", "ticket"):
        status, problem = await one.press(action)
        assert (status, problem["reason"]["code"]) == (409, "old-weight"), action
    assert (await one.press("tare", grams=20_000))[0] == 200


async def test_a_vehicle_that_comes_too_late_is_refused(front: Start) -> None:
    """It would be on no ticket, and nobody would know."""
    one = await front()
    await one.stand(2)
    await one.stand(2, *TRUCK)
    assert (await one.press("ticket"))[0] == 200
    await one.stand(1, *TRUCK)
    status, problem = await one.press("vehicle", vehicle="AA-00-BB")
    assert (status, problem["reason"]["code"]) == (409, "has-ticket")
    assert one.live.bridge("wb-1").vehicle is None


async def test_a_refusal_on_a_button_is_what_pressing_it_says(front: Start) -> None:
    """In every state between an empty bridge and an unloading truck."""
    one = await front()
    seen: set[str] = set()
    for seconds, load in ((0.3, 0), (1.5, 0), (0.3, 1), (2, 1), (0, 1), (1, 1), (0.4, 0), (2, 0)):
        await one.stand(seconds, *(load * kilograms for kilograms in TRUCK))
        told = (await one.told("scales"))["scales"]["wb-1"]
        for action in ("zero", "tare", "clear-tare", "ticket"):
            why = told["refusals"][action]
            status, answer = await one.press(action)
            if action == "clear-tare":
                assert status == 200
            else:
                assert (status == 409) == (why is not None), (action, why, answer)
            if status == 409:
                assert answer["reason"] == why
                seen.add(why["code"])
    assert {"moves", "waits-for-zero", "empty", "has-ticket", "zero-range"} <= seen


@given(st.text(), st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_an_event_is_one_line_of_data(text: str, values: dict[str, object]) -> None:
    """Whatever stands in it: a vehicle's line break would end an event and begin another."""
    content = {"text": text, "values": values}
    data = encode("scales", content)
    kind, line, *rest = data.split(b"\n")
    assert (kind, rest) == (b"event: scales", [b"", b""])
    assert json.loads(line.removeprefix(b"data: ")) == content
    assert b"\r" not in data


async def test_every_waiting_display_hears_of_a_change() -> None:
    """Also when another of them goes away while it waits."""
    changes = Changes()
    first, second = (asyncio.create_task(changes.after(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    changes.tell()
    assert await second == 1
    assert await changes.after(0) == 1
