"""Whatever the platform answers, the SmartBox goes on: an alarm, a pause, and the ticket waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from smartbox_kit import START_MS, expected_ticket, plan, until

from steelyard.smartbox.enrolment.management import ANSWER_SECONDS, Management
from steelyard.smartbox.enrolment.management import MAX_ANSWER_BYTES as MOST_OF_MANAGEMENT
from steelyard.smartbox.errors import PlatformProblem, StorageUnavailable
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.outbox.outbox import Outbox, Waiting
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.answers import Answers
from steelyard.smartbox.uplink.batches import Limits
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.smartbox.uplink.platform import (
    MAX_ANSWER_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    MAX_TOKEN_SECONDS,
    Platform,
)
from steelyard.smartbox.uplink.uplink import Uplink
from steelyard.ticket import Receipt

HASH = "0x" + "ab" * 32
NINES = "9" * 400
FAR_DATES = [
    "Mon, 01 Jan 99999999999 00:00:00 GMT",
    "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "1 Jan",
]

Canned = tuple[int, dict[str, str], bytes]
GOOD_TOKEN: Canned = (
    200,
    {},
    json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 600}).encode(),
)


class CannedSession:
    """A session of aiohttp's as far as the platform uses it: these answers, by turns."""

    def __init__(self, token: Canned, batch: Canned) -> None:
        self._token, self._batch = token, batch
        self.token_requests = 0

    @asynccontextmanager
    async def post(self, url: str, **_: object) -> AsyncIterator[Any]:
        is_token = url.endswith("/oauth2/token")
        self.token_requests += is_token
        status, headers, body = self._token if is_token else self._batch

        async def chunks(size: int) -> AsyncIterator[bytes]:
            for start in range(0, len(body), size):
                yield body[start : start + size]

        content = SimpleNamespace(iter_chunked=chunks)
        yield SimpleNamespace(status=status, headers=headers, content=content)


def platform(token: Canned = GOOD_TOKEN, batch: Canned = (200, {}, b"")) -> Platform:
    return Platform(
        CannedSession(token, batch),  # type: ignore[arg-type] # as much of a session as is used
        management_url="https://m",
        tickets_url="https://t",
        client_id="c",
        client_secret="s",
    )


async def ask(one: Platform) -> Answers | PlatformProblem:
    """One batch; any other exception is the test's failure."""
    try:
        return await one.register([Waiting("a", "{}")])
    except PlatformProblem as problem:
        return problem


whole = st.one_of(st.integers(), st.integers(2**62, 2**80), st.just(int(NINES)))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), whole, st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
results = st.fixed_dictionaries(
    {"ticketID": st.just("a"), "status": st.sampled_from(["registered", "refused", "maybe"])},
    optional={
        "transactionHash": st.just(HASH) | values,
        "blockNumber": whole | values,
        "problem": st.dictionaries(st.sampled_from(["status", "title", "x"]), values) | values,
    },
)
documents = st.one_of(
    values,
    st.fixed_dictionaries({"results": st.lists(results, min_size=1, max_size=2)}),
    st.fixed_dictionaries(
        {"access_token": values, "token_type": st.just("Bearer"), "expires_in": values | whole}
    ),
    st.dictionaries(st.sampled_from(["title", "detail", "errors", "type"]), values),
)
bodies = st.one_of(
    st.binary(max_size=60),
    documents.map(lambda one: json.dumps(one).encode()),
    st.integers(1, 100_000).map(lambda depth: b"[" * depth),
    st.integers(1, 100_000).map(lambda depth: b'{"results":' * depth),
    st.just(b'{"expires_in":' + b"9" * 5000 + b"}"),
)
delays = st.one_of(
    st.text(max_size=20), st.integers().map(str), st.just(NINES), st.sampled_from(FAR_DATES)
)
headers = st.one_of(st.just({}), st.fixed_dictionaries({"Retry-After": delays}))
statuses = st.sampled_from([200, 201, 302, 400, 401, 403, 409, 422, 429, 500, 503, 999])
answers = st.tuples(statuses, headers, bodies)


@settings(deadline=None)
@given(token=st.just(GOOD_TOKEN) | answers, batch=answers)
@example(token=GOOD_TOKEN, batch=(503, {"Retry-After": NINES}, b""))
@example(token=(503, {"Retry-After": "9" * 5000}, b""), batch=(200, {}, b""))
def test_any_answer_is_understood_or_a_problem(token: Canned, batch: Canned) -> None:
    """Bodies and headers of every kind; what is understood can be stored."""
    outcome = asyncio.run(ask(platform(token, batch)))
    outbox = Outbox.open(Path(":memory:"))
    if isinstance(outcome, Answers):
        outbox.settle(outcome.receipts, outcome.refusals)
    else:
        assert 0 <= (outcome.retry_after or 0) <= MAX_RETRY_AFTER_SECONDS
        assert len(outcome.detail) < 1000
        outbox.settle((), [("a", getattr(outcome, "problem", {}))])
    outbox.close()


@pytest.mark.parametrize("delay", [NINES, "0" * 50 + "3600", "9" * 5000, "99999999999"])
async def test_a_long_retry_after_is_capped(delay: str) -> None:
    """However many digits it has."""
    outcome = await ask(platform(batch=(503, {"Retry-After": delay}, b"")))
    assert isinstance(outcome, PlatformProblem)
    assert outcome.retry_after == MAX_RETRY_AFTER_SECONDS


@pytest.mark.parametrize("delay", FAR_DATES)
async def test_an_odd_date_is_no_wish(delay: str) -> None:
    """A date that no calendar has does not count, or counts as past."""
    outcome = await ask(platform(batch=(503, {"Retry-After": delay}, b"")))
    assert isinstance(outcome, PlatformProblem)
    assert not outcome.retry_after


@pytest.mark.parametrize("lifetime", [10**400, 2**70, MAX_TOKEN_SECONDS + 1])
async def test_a_token_lives_a_day_at_most(lifetime: int) -> None:
    """A huge `expires_in` neither overflows nor keeps a token for ever."""
    body = json.dumps(
        {"access_token": "t", "token_type": "Bearer", "expires_in": lifetime}
    ).encode()
    now = 0.0
    session = CannedSession((200, {}, body), (503, {}, b""))
    one = Platform(
        session,  # type: ignore[arg-type] # as much of a session as is used
        management_url="https://m",
        tickets_url="https://t",
        client_id="c",
        client_secret="s",
        clock=lambda: now,
    )
    await ask(one)
    now = MAX_TOKEN_SECONDS - 60.0
    await ask(one)
    assert session.token_requests == 1
    now = float(MAX_TOKEN_SECONDS)
    await ask(one)
    assert session.token_requests == 2


def test_a_block_number_fits_a_database() -> None:
    """2^63 - 1 is the last."""
    good = {"ticketID": "a", "transactionHash": HASH, "blockNumber": 2**63 - 1}
    assert Receipt.model_validate(good).block_number == 2**63 - 1
    with pytest.raises(ValidationError, match="blockNumber"):
        Receipt.model_validate(good | {"blockNumber": 2**63})


async def test_a_block_number_beyond_is_no_receipt() -> None:
    """The batch is sent again; nothing reaches the outbox."""
    result = {"ticketID": "a", "status": "registered", "transactionHash": HASH}
    body = json.dumps({"results": [result | {"blockNumber": 2**70}]}).encode()
    outcome = await ask(platform(batch=(200, {}, body)))
    assert isinstance(outcome, PlatformProblem)
    assert "answer is not valid" in outcome.detail


async def test_no_answer_is_read_without_end() -> None:
    """Of either API: what is longer than the bound is refused, and not taken for the whole."""
    long = b"x" * (MAX_ANSWER_BYTES + 1)
    outcome = await ask(platform(batch=(200, {}, long)))
    assert isinstance(outcome, PlatformProblem)
    assert "too long" in outcome.detail

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=long[: MOST_OF_MANAGEMENT + extra])

    app = web.Application()
    app.router.add_get("/v1/enrolment/revocations", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        management = Management(session, str(server.make_url("")).rstrip("/"))
        extra = 0
        assert await management.revocations() == long[:MOST_OF_MANAGEMENT]
        extra = 1
        with pytest.raises(PlatformProblem, match="too long"):
            await management.revocations()


async def test_a_management_api_that_hangs_is_left() -> None:
    """The look at the revocation list must come again within the minute."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/v1/enrolment/revocations", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        management = Management(session, str(server.make_url("")).rstrip("/"), answer_seconds=0.2)
        with pytest.raises(PlatformProblem, match="no answer in time"):
            await management.revocations()
        assert asked.is_set()
        go_on.set()


def test_a_revoked_device_is_out_within_a_minute_even_then() -> None:
    """A look that hangs, the pause, the next look's answer, and what the cells' sessions take."""
    pause = SmartBoxSettings.model_fields["revocation_seconds"].default
    assert ANSWER_SECONDS + pause + 2 < 60


class Moody:
    """A registrar that raises what it is given, then registers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors: Iterator[Exception] = iter(errors)

    async def register(self, tickets: Any, head: Any = None) -> Answers:
        for error in self.errors:
            raise error
        receipts = tuple(
            Receipt(ticket_id=one.id, transaction_hash=HASH, block_number=1) for one in tickets
        )
        return Answers(receipts, (), ())


async def test_no_exception_but_the_storage_s_ends_the_uplink(tmp_path: Path) -> None:
    """Each is an alarm with its kind only, and a pause; then the ticket is registered."""
    recorder = await Recorder.open(lambda: Storage.open(tmp_path, "station-1"))
    joined = Joined(Moment("wb-1", START_MS), (Sample("C", START_MS, 1, 1),))
    await recorder.run(recorder.storage.record, joined, expected_ticket(plan(1)[0]))
    status, sleeps, alarms = Status(lambda: 0), [], []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        alarms.append(status.alarms()["platform"])

    def uplink(registrar: Moody) -> Uplink:
        return Uplink(
            recorder,
            registrar,
            status,
            Limits(batch_size=1, batch_bytes=9999, batch_age=0.0, batches_in_flight=4),
            backoff=Backoff(1.0, 8.0, lambda: 1.0),
            sleep=sleep,
        )

    with pytest.raises(StorageUnavailable):
        await uplink(Moody(StorageUnavailable("full"))).run()
    odd = [OverflowError("secret"), RecursionError(), UnicodeError("x"), KeyError("results")]
    task = asyncio.create_task(uplink(Moody(*odd)).run())
    await until(lambda: task.done() or status.counters["receipts"] == 1)
    assert not task.done()
    assert sleeps == [1.0, 2.0, 4.0, 8.0]
    assert alarms[0] == "the platform's answer could not be used: OverflowError"
    assert status.counters["failed_requests"] == 4
    assert status.alarms() == {}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await recorder.close()


def test_a_request_outlasts_the_platform_s_own_limit() -> None:
    """Or the SmartBox would give up registrations that the platform is still waiting for."""
    from steelyard.tickets.settings import TicketsSettings

    own = SmartBoxSettings.model_fields["request_timeout_seconds"].default
    assert own > TicketsSettings.model_fields["handler_seconds"].default
