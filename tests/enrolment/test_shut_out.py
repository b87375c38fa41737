"""Who is revoked in the middle of sending is out, by the real ways: both APIs, DTLS, the outbox."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from enrolment_kit import Field, reading, running_box, running_cell
from fakes import FakeLedger
from registry_world import Secrets
from steelyard.coap.endpoint import ServerLimits
from steelyard.identity.tokens import TokenVerifier
from steelyard.ledger.protocol import ContractWriter, Registration
from steelyard.ledger.settings import LedgerSettings
from steelyard.loadcell.errors import SmartBoxAway
from steelyard.loadcell.sender import CoapSender
from steelyard.smartbox.pages.client import read_page
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.ticket import AlibiHead, Ticket
from steelyard.tickets.app import build
from steelyard.tickets.settings import TicketsSettings
from steelyard.web.server import running

pytestmark = pytest.mark.timeout(180)

MINUTE = 60.0


@dataclass
class Noting(FakeLedger):
    """A ledger that notes which tickets it was given: the world's contracts are of another one."""

    given: set[str] = field(default_factory=set)

    async def register(
        self,
        writer: ContractWriter,
        tickets: Sequence[Ticket],
        alibi_head: AlibiHead | None = None,
    ) -> list[Registration]:
        self.given |= {ticket.id for ticket in tickets}
        return await super().register(writer, tickets, alibi_head)


@asynccontextmanager
async def tickets_api(field: Field, secrets: Secrets, ledger: Noting) -> AsyncIterator[str]:
    """The tickets API over the same database; its URL."""
    values: dict[str, Any] = {
        "port": 0,
        "certificate": secrets.certificate,
        "private_key": secrets.private_key,
        "rate_per_second": 10_000,
        "rate_burst": 100_000,
        "shutdown_seconds": 2,
    }
    settings = TicketsSettings(**values)
    api = field.api
    verifier = TokenVerifier.from_settings(secrets.identity())
    app = build(settings, api.database, api.vault, verifier, ledger, LedgerSettings())
    async with running(app, settings) as url:
        yield url


async def until(condition: Callable[[], bool]) -> None:
    """Wait, and not for long at a time; the test's own limit ends what never comes."""
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - of things that tell nobody
        await asyncio.sleep(0.05)


def page_of(field: Field) -> dict[str, Any]:
    """What the SmartBox tells on its status page; it answers in this process."""
    return read_page(field.box_settings().data_directory)


def alarms_of(field: Field) -> set[str]:
    """The names of its alarms."""
    return {alarm["name"] for alarm in page_of(field)["alarms"]}


def test_the_settings_add_up_to_less_than_a_minute() -> None:
    """The list is fetched, and then noticed: also where the setting is as long as it may be."""
    seconds = SmartBoxSettings.model_fields["revocation_seconds"]
    (most,) = (rule.le for rule in seconds.metadata if hasattr(rule, "le"))
    assert seconds.default + ServerLimits().watch_seconds <= MINUTE / 2
    assert most + ServerLimits().watch_seconds < MINUTE


async def test_a_cell_revoked_in_the_middle_of_sending_is_out(enrolled: Field) -> None:
    """Its samples are taken until the list is there; from then on none, in no session."""
    taken: list[int] = []
    events: list[str] = []

    async def send(sender: CoapSender) -> None:
        for number in count(1):
            try:
                await sender.send(reading(number))
                events.append("taken")
                taken.append(number)
            except SmartBoxAway as problem:
                # A request that is under way when the session ends has no answer at all.
                events.append("revoked" if "revoked" in str(problem).lower() else "away")
                if events.count("revoked") == 3:
                    return
            await asyncio.sleep(0.05)

    async with (
        running_box(enrolled) as port,
        running_cell(enrolled.cell_config(port)) as (_, sender),
    ):
        sending = asyncio.create_task(send(sender))
        await until(lambda: len(taken) >= 3)
        await enrolled.revoke("cell_a")
        await sending
        async with running_cell(enrolled.cell_config(port)) as (_, again):
            with pytest.raises(SmartBoxAway, match="revoked"):
                await again.send(reading(taken[-1] + 1))
        page = await asyncio.to_thread(page_of, enrolled)
    out = events.index("revoked")
    assert "taken" not in events[out:]
    # One may have been on its way into a ticket when the session ended, which took its answer away.
    assert page["counters"]["tickets"] - len(taken) in {0, 1}


async def test_a_smartbox_revoked_in_the_middle_of_sending_is_out(
    enrolled: Field, secrets: Secrets
) -> None:
    """Nothing of it reaches the ledger any more; it weighs on, and tells the operator why."""
    ledger = Noting()
    taken: list[int] = []
    stop = asyncio.Event()

    async def go_on(sender: CoapSender) -> None:
        for number in count(1):
            if stop.is_set():
                return
            await sender.send(reading(number))
            taken.append(number)
            await asyncio.sleep(0.02)

    async with tickets_api(enrolled, secrets, ledger) as url:
        changes = {"tickets_url": url, "backoff_seconds": 0.05, "backoff_limit_seconds": 0.2}
        async with (
            running_box(enrolled, **changes) as port,
            running_cell(enrolled.cell_config(port)) as (_, sender),
        ):
            sending = asyncio.create_task(go_on(sender))
            await until(lambda: len(ledger.given) >= 3)
            await enrolled.revoke("box_a")
            # What was let in before has its answer; the SmartBox knows by the list and by a 401.
            await until(lambda: {"revoked", "platform"} <= alarms_of(enrolled))
            registered, before = len(ledger.given), len(taken)
            await until(lambda: len(taken) >= before + 20)
            stop.set()
            await sending
            page = await asyncio.to_thread(page_of, enrolled)
    assert len(ledger.given) == registered
    assert page["tickets"]["registered"] == registered
    assert page["tickets"]["queued"] + page["tickets"]["sending"] >= 10
    assert page["tickets"]["refused"] == 0
