"""The uplink against a platform that fails in every way: no ticket lost, none registered twice."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartbox_kit import Fault, Stage, expected_ticket, plan, until
from uplink_kit import Desk, registered

from steelyard.errors import ConfigurationError
from steelyard.smartbox.errors import PlatformProblem, PlatformUnreached
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.outbox.outbox import Waiting
from steelyard.smartbox.uplink.answers import read_answers
from steelyard.smartbox.uplink.asking import failures_told
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.smartbox.uplink.platform import make_session, make_tls_context


async def test_a_backlog_goes_in_batches_of_a_hundred(desk: Desk) -> None:
    """A week offline is a few requests; each ticket once, with the platform's receipt."""
    ids = await desk.queue(250)
    link = desk.link()
    await registered(link, 250)
    assert sorted(desk.platform.batches) == [ids[:100], ids[100:200], ids[200:]]
    outbox = desk.recorder.storage.outbox
    receipts = await desk.recorder.run(lambda: list(outbox.receipts()))
    assert {r.ticket_id: (r.transaction_hash, r.block_number) for r in receipts} == (
        desk.platform.receipts
    )
    assert desk.platform.token_requests == 1
    assert desk.platform.known_twice == 0


async def test_a_single_ticket_goes_at_once(desk: Desk) -> None:
    """It does not wait for company."""
    link = desk.link()
    (ticket_id,) = await desk.queue(1)
    link.uplink.wake()
    await registered(link, 1)
    assert desk.platform.batches == [[ticket_id]]
    assert link.sleeps == []


async def test_batches_are_bounded_in_bytes(desk: Desk) -> None:
    """Where the bytes are reached first, the batch ends there."""
    await desk.queue(20)
    link = desk.link(batch_bytes=4096)
    await registered(link, 20)
    assert max(len(batch) for batch in desk.platform.batches) < 12


FAULTS = [
    Fault(),
    Fault(apply=True),
    Fault(status=500),
    Fault(status=500, apply=True),
    Fault(status=503),
    Fault(status=429),
    Fault(status=403),
    Fault(status=404),
    Fault(status=302, headers={"Location": "https://localhost:1/"}),
    Fault(status=200, body=b"<html>", apply=True),
    Fault(status=200, body=b'{"results": []}', apply=True),
    Fault(status=200, body=b'{"results": [{"ticketID": "other", "status": "refused"}]}'),
    Fault(status=200, body=b"\xff\xfe"),
    Fault(status=200, body=b""),
    Fault(status=200, body=b"[" * 100_000),
    Fault(status=200, body=b"x" * 5_000_000),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.status}-{f.apply}-{f.body[:12]!r}")
async def test_any_failure_is_tried_again_and_nothing_doubles(desk: Desk, fault: Fault) -> None:
    """Whether or not the platform took the batch before it failed."""
    ids = await desk.queue(3)
    desk.platform.faults.extend([fault] * 2)
    link = desk.link()
    await registered(link, 3)
    assert list(desk.platform.tickets) == ids
    assert link.counts()["refused"] == 0
    assert link.sleeps == [1.0, 2.0]
    await until(lambda: link.status.alarms() == {})
    assert link.status.counters["failed_requests"] == 2


async def test_retry_after_is_honoured(desk: Desk) -> None:
    """In seconds or as a date; a longer pause of one's own stays; nonsense is ignored."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    values = ["30", soon, "0", "-5", "soon", "999999999", "9" * 400]
    desk.platform.faults.extend(Fault(503, headers={"Retry-After": value}) for value in values)
    await desk.queue(1)
    link = desk.link()
    await registered(link, 1)
    assert link.sleeps[0] == 30.0
    assert 80 < link.sleeps[1] <= 90
    assert link.sleeps[2:] == [4.0, 8.0, 8.0, 3600.0, 3600.0]


async def test_the_pauses_double_up_to_a_limit(desk: Desk) -> None:
    """And begin anew after a success."""
    desk.platform.faults.extend([Fault(503)] * 6)
    await desk.queue(1)
    link = desk.link()
    await registered(link, 1)
    assert link.sleeps == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    await until(lambda: link.status.alarms() == {})
    assert link.uplink._pace._backoff.pause() == 1.0


async def test_a_platform_that_was_never_there_is_waited_for(desk: Desk) -> None:
    """No connection, then one."""
    port = desk.platform.port
    await desk.platform.stop()
    await desk.queue(2)
    link = desk.link()
    await until(lambda: len(link.sleeps) > 5)
    assert "platform" in link.status.alarms()
    await desk.platform.start(port)
    await registered(link, 2)
    await until(lambda: link.status.alarms() == {})


async def test_several_batches_are_under_way_at_once(desk: Desk) -> None:
    """As many requests as are set, with one token, and every ticket once."""
    ids = await desk.queue(50)
    desk.platform.gate.clear()
    link = desk.link(batch_size=5, batches_in_flight=6)
    await until(lambda: desk.platform.under_way == 6)
    assert desk.platform.token_requests == 1
    desk.platform.gate.set()
    await registered(link, 50)
    assert sorted(one for batch in desk.platform.batches for one in batch) == sorted(ids)
    assert desk.platform.token_requests == 1
    assert desk.platform.known_twice == 0


async def test_a_token_that_is_unknown_to_many_is_renewed_once(desk: Desk) -> None:
    """Several batches hear 401 at once: one new token, and none of them fails."""
    await desk.queue(30)
    desk.platform.gate.clear()
    link = desk.link(batch_size=5, batches_in_flight=6)
    await until(lambda: desk.platform.under_way == 6)
    desk.platform.tokens.clear()
    desk.platform.gate.set()
    await registered(link, 30)
    assert desk.platform.token_requests == 2
    assert link.sleeps == []


async def test_a_token_that_nobody_gets_is_one_failure(desk: Desk) -> None:
    """The management API is asked once, and all wait once."""
    await desk.queue(30)
    desk.platform.token_faults.append(Fault(503, headers={"Retry-After": "5"}))
    link = desk.link(batch_size=5, batches_in_flight=6)
    await registered(link, 30)
    assert desk.platform.token_requests == 2
    assert {*link.sleeps} == {5.0}


async def test_a_cut_connection_is_a_push_back_and_none_at_all_is_not(desk: Desk) -> None:
    """Nor is a network that swallows everything: there the connection's own time limit ends it."""
    ticket = Waiting("a", "{}")
    desk.platform.faults.append(Fault())
    link = desk.link()
    with pytest.raises(PlatformProblem) as cut:
        await link.platform.register([ticket])
    assert not isinstance(cut.value, PlatformUnreached)
    await desk.platform.stop()
    with pytest.raises(PlatformUnreached):
        await link.platform.register([ticket])
    async with silent_server(desk.platform.port):
        with pytest.raises(PlatformUnreached, match="ConnectionTimeoutError"):
            # A second for the connection, and three more until nobody would know.
            await desk.link(timeout=4.0).platform.register([ticket])


async def test_a_name_that_cannot_be_looked_up_is_none_at_all(desk: Desk) -> None:
    """The codec of names refuses it before anything is asked."""
    url, tls = "https://a..b", make_tls_context(desk.stage.https.certificate_path)
    async with make_session(tls, 5.0) as session:
        with (
            pytest.raises(PlatformUnreached, match=r"a\.\.b: the host's name cannot be looked up"),
            failures_told(url),
        ):
            await session.get(url)


@asynccontextmanager
async def silent_server(port: int) -> AsyncIterator[None]:
    """Takes connections, and never says a word."""
    ended = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.transport.abort()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", port):
        yield
        ended.set()


async def test_an_unknown_token_is_renewed_once(desk: Desk) -> None:
    """A 401 gets a new token and the same batch again, without a pause."""
    await desk.queue(1)
    link = desk.link()
    await registered(link, 1)
    desk.platform.tokens.clear()
    desk.platform.tickets.clear()
    moment = Moment("wb-1", 5)
    ticket = expected_ticket(plan(1)[0]).model_copy(update={"id": "again_1"})
    joined = Joined(moment, (Sample("C", 5, 5, 1),))
    await desk.recorder.run(desk.recorder.storage.record, joined, ticket)
    link.uplink.wake()
    await registered(link, 2)
    assert desk.platform.token_requests == 2
    assert link.sleeps == []


async def test_a_token_is_renewed_before_it_expires(desk: Desk) -> None:
    """By the monotonic clock: the wall clock may jump."""
    link = desk.link()
    for number, now in enumerate((0.0, 200.0, 271.0, 290.0, 545.0)):
        link.now = now
        moment = Moment("wb-1", number)
        ticket = expected_ticket(plan(1)[0]).model_copy(update={"id": f"t_{number}"})
        joined = Joined(moment, (Sample("C", number, number, 1),))
        await desk.recorder.run(desk.recorder.storage.record, joined, ticket)
        link.uplink.wake()
        await registered(link, number + 1)
    assert desk.platform.token_requests == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"access_token": 5, "token_type": "Bearer"}',
        b'{"access_token": "a\\r\\nX: y", "token_type": "Bearer"}',
        b'{"access_token": "", "token_type": "Bearer"}',
        b'{"access_token": "a", "token_type": "mac"}',
        b'{"access_token": "a", "token_type": "Bearer", "expires_in": -1}',
        b'{"access_token": "a", "token_type": "Bearer", "expires_in": true}',
    ],
)
async def test_a_bad_token_answer_is_a_failure(desk: Desk, body: bytes) -> None:
    """It is asked for again, and nothing of it gets into a header."""
    desk.platform.token_faults.append(Fault(200, body=body))
    await desk.queue(1)
    link = desk.link()
    await registered(link, 1)
    assert link.sleeps == [1.0]


async def test_wrong_credentials_raise_an_alarm_without_the_secret(desk: Desk) -> None:
    """The tickets wait."""
    await desk.queue(1)
    link = desk.link(client_secret="wrong-one")
    await until(lambda: len(link.sleeps) > 2)
    (text,) = link.status.alarms().values()
    assert "gives no token: it answers 401" in text
    assert "wrong-one" not in text
    assert link.counts()["registered"] == link.counts()["refused"] == 0
    assert desk.platform.batches == []


async def test_a_refused_ticket_is_set_aside_and_the_rest_goes_on(desk: Desk) -> None:
    """With the platform's reason."""
    ids = await desk.queue(5)
    problem = {"status": 422, "title": "The ticket contradicts itself", "detail": "scaleNet"}
    desk.platform.refuse[ids[2]] = problem
    link = desk.link()
    await registered(link, 4)
    outbox = desk.recorder.storage.outbox
    (refusal,) = await desk.recorder.run(lambda: list(outbox.refusals()))
    assert (refusal.id, refusal.problem) == (ids[2], problem)
    assert "refused-tickets" in link.status.alarms()


@pytest.mark.parametrize("status", [503, 429, 500])
async def test_a_ticket_that_the_platform_could_not_take_now_waits(desk: Desk, status: int) -> None:
    """A refusal for the platform's own reasons is none."""
    ids = await desk.queue(3)
    desk.platform.refuse[ids[1]] = {"status": status, "title": "later"}
    link = desk.link()
    await registered(link, 2)
    await until(lambda: len(link.sleeps) > 1)
    assert link.counts()["refused"] == 0
    del desk.platform.refuse[ids[1]]
    await registered(link, 3)


async def test_one_bad_ticket_does_not_spoil_its_batch(desk: Desk) -> None:
    """A batch that is refused as a whole is halved until the one is found."""
    ids = await desk.queue(100)
    desk.platform.poison = {ids[37]}
    link = desk.link()
    await registered(link, 99)
    await until(lambda: link.counts()["refused"] == 1)
    assert sorted(desk.platform.tickets) == sorted({*ids} - {ids[37]})
    assert len(desk.platform.batches) < 30


async def test_another_authority_s_platform_gets_nothing(desk: Desk) -> None:
    """Only the configured authority is trusted: no token request, no ticket."""
    await desk.queue(1)
    link = desk.link(ca_file=desk.stage.devices.certificate_path)
    await until(lambda: len(link.sleeps) > 2)
    assert desk.platform.token_requests == 0
    assert "certificate" in link.status.alarms()["platform"].lower()


def test_only_tls_1_3_is_spoken(stage: Stage, tmp_path: Path) -> None:
    """The context knows one authority and no older protocol; a bad file is named."""
    context = make_tls_context(stage.https.certificate_path)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1
    for path in (tmp_path / "none.pem", stage.secret_file):
        with pytest.raises(ConfigurationError, match=r"smartbox\.ca_file: .* cannot be used"):
            make_tls_context(path)


HASH = "0x" + "ab" * 32


def result(ticket_id: str, **changes: Any) -> dict[str, Any]:
    good = {
        "ticketID": ticket_id,
        "status": "registered",
        "transactionHash": HASH,
        "blockNumber": 3,
        "problem": None,
    }
    return good | changes


@pytest.mark.parametrize(
    "results",
    [
        [result("a")],
        [result("a"), result("a")],
        [result("a"), result("b"), result("c")],
        [result("a"), result("b", transactionHash=None)],
        [result("a"), result("b", transactionHash="0xAB")],
        [result("a"), result("b", blockNumber=-1)],
        [result("a"), result("b", blockNumber="3")],
        [result("a"), result("b", status="maybe")],
        [result("a"), result("b", status="refused")],
        [result("a"), "b"],
        None,
    ],
)
def test_an_answer_is_believed_whole_or_not_at_all(results: object) -> None:
    """Each sent ticket has exactly one complete result, or the batch is sent again."""
    with pytest.raises(PlatformProblem, match="answer is not valid"):
        read_answers(json.dumps({"results": results}).encode(), ["a", "b"])
    answers = read_answers(json.dumps({"results": [result("b"), result("a")]}).encode(), ["a", "b"])
    assert [receipt.ticket_id for receipt in answers.receipts] == ["b", "a"]


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_reader(body: bytes) -> None:
    """Any bytes are answers or a PlatformProblem."""
    with pytest.raises(PlatformProblem):
        read_answers(body, ["a"])


def test_pauses_are_spread() -> None:
    """Between half and all of the pause, so that stations do not come back together."""
    chance: Callable[[], float] = lambda: 0.0  # noqa: E731 - one line says it
    assert [Backoff(2.0, 8.0, chance).pause(), Backoff(2.0, 8.0, lambda: 0.99).pause()] == [
        1.0,
        pytest.approx(1.99),
    ]
