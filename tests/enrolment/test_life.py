"""A station that was enrolled, running: weighing, renewing, and shutting out who was revoked."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp

from enrolment_kit import Field, reading, running_box, running_cell
from steelyard.loadcell.errors import SmartBoxAway
from steelyard.loadcell.renewal import Renewal
from steelyard.loadcell.sender import CoapSender
from steelyard.pki.holding import Holding
from steelyard.smartbox.doctor import Finding, Level, examine
from steelyard.smartbox.enrolment.life import Life
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.enrolment.renewing import holding_of
from steelyard.smartbox.pages.client import read_page
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.platform import Platform, make_tls_context

LATER = timedelta(days=31)


@asynccontextmanager
async def life_of(field: Field, status: Status, clock: Any) -> AsyncIterator[Life]:
    """What looks after the SmartBox's files, with a clock of the test's."""
    settings = field.box_settings()
    holding = holding_of(settings)
    assert holding is not None
    connector = aiohttp.TCPConnector(ssl=make_tls_context(field.ca_file))
    async with aiohttp.ClientSession(connector=connector) as session:
        platform = Platform(
            session,
            management_url=settings.management_url,
            tickets_url=settings.tickets_url,
            client_id=settings.client_id,
            client_secret=settings.client_secret_file.read_text().strip(),
        )
        management = Management(session, settings.management_url)
        yield Life(
            holding, management, platform, status, seconds=1.0, ticks=time.monotonic, clock=clock
        )


async def send_until_revoked(sender: CoapSender) -> int:
    """Go on sending until the cell is told that it was revoked; the last number.

    A request that is under way when the session ends has no answer at all.
    """
    async with asyncio.timeout(170):
        for number in count(2):
            try:
                await sender.send(reading(number))
            except SmartBoxAway as problem:
                if "revoked" in str(problem).lower():
                    return number
            await asyncio.sleep(0.1)
    raise AssertionError


def report(told: list[str]) -> Any:
    def tell(event: str, **fields: object) -> None:
        told.append(event)

    return tell


def later() -> datetime:
    return datetime.now(UTC) + LATER


async def test_an_enrolled_station_weighs(enrolled: Field) -> None:
    """The cell's samples become tickets at once, with what enrolment alone has written."""
    async with (
        running_box(enrolled) as port,
        running_cell(enrolled.cell_config(port)) as (_, sender),
    ):
        await sender.send(reading(1))
        page = await asyncio.to_thread(read_page, enrolled.box_settings().data_directory)
    assert sum(page["tickets"].values()) >= 1
    assert page["counters"]["tickets"] == 1


async def test_certificates_renew_themselves_and_nothing_stops(enrolled: Field) -> None:
    """After a third of their lives both are new, in the same session, and new sessions work."""
    settings = enrolled.box_settings()
    status = Status(lambda: 0)
    async with (
        running_box(enrolled) as port,
        running_cell(enrolled.cell_config(port)) as (client, sender),
        life_of(enrolled, status, later) as life,
    ):
        config = enrolled.cell_config(port)
        await sender.send(reading(1))
        before = settings.certificate_file.read_bytes(), config.certificate_file.read_bytes()
        await enrolled.age(31)
        told: list[str] = []
        await Renewal(config, client, report(told), clock=later).turn()
        await life.turn()
        after = settings.certificate_file.read_bytes(), config.certificate_file.read_bytes()
        assert told == ["certificate renewed"]
        assert before[0] != after[0]
        assert before[1] != after[1]
        assert status.alarms() == {}
        await sender.send(reading(2))
        assert client.counters.handshakes_ok == 1  # the session that was there goes on
        async with running_cell(config) as (_, newer):
            await newer.send(reading(3))


async def test_a_certificate_that_is_young_stays(enrolled: Field) -> None:
    """Before a third of its life nobody asks for another."""
    holding = holding_of(enrolled.box_settings())
    assert holding is not None
    before = holding.own()
    async with life_of(enrolled, Status(lambda: 0), lambda: datetime.now(UTC)) as life:
        await life.turn()
    assert holding.own() == before


async def test_a_revoked_cell_is_out(enrolled: Field) -> None:
    """Its session ends and it gets no other; the list came by itself. Enrolled anew it is back."""
    async with running_box(enrolled) as port:
        async with running_cell(enrolled.cell_config(port)) as (client, sender):
            await sender.send(reading(1))
            await enrolled.revoke("cell_a")
            number = await send_until_revoked(sender)
            assert sum(client.counters.sessions_ended.values()) == 1
        for path in enrolled.cell_directory.iterdir():
            path.unlink()
        await enrolled.enrol_cell(await enrolled.claim("cell_a"))
        async with running_cell(enrolled.cell_config(port)) as (_, sender):
            await sender.send(reading(number + 1))


async def test_a_revoked_smartbox_says_so(enrolled: Field) -> None:
    """It sees itself on the list, its token is refused, and the alarm tells the operator."""
    await enrolled.revoke("box_a")
    status = Status(lambda: 0)
    before = enrolled.box_settings().certificate_file.read_bytes()
    async with life_of(enrolled, status, later) as life:
        await life.turn()
    assert set(status.alarms()) == {"revoked", "certificate"}
    assert enrolled.box_settings().certificate_file.read_bytes() == before


async def test_a_platform_that_is_away_ends_nothing(enrolled: Field) -> None:
    """The old certificate and the old list stay in use; alarms say what was not done."""
    settings = enrolled.box_settings()
    holding = holding_of(settings)
    assert holding is not None
    status = Status(lambda: 0)
    connector = aiohttp.TCPConnector(ssl=make_tls_context(enrolled.ca_file))
    async with aiohttp.ClientSession(connector=connector) as session:
        nowhere = "https://127.0.0.1:1"
        platform = Platform(
            session,
            management_url=nowhere,
            tickets_url=nowhere,
            client_id="x",
            client_secret="y",
        )
        life = Life(
            holding,
            Management(session, nowhere),
            platform,
            status,
            seconds=1.0,
            ticks=time.monotonic,
            clock=later,
        )
        await life.turn()
    assert set(status.alarms()) == {"revocations", "certificate"}
    assert (
        "59 days left" in status.alarms()["certificate"] or "58" in status.alarms()["certificate"]
    )


async def test_a_cell_cannot_renew_anothers_certificate(enrolled: Field) -> None:
    """A request by another key, over the cell's session, is refused."""
    cell = enrolled.cell_config(1)
    box = holding_of(enrolled.box_settings())
    assert box is not None
    async with running_box(enrolled) as port:
        config = enrolled.cell_config(port)
        async with running_cell(config) as (client, _):
            told: list[str] = []
            renewal = Renewal(config, client, report(told), clock=later)
            # The cell has got hold of the SmartBox's key.
            renewal._holding = Holding(
                cell.certificate_file, box.private_key, cell.ca_file, box.revocations
            )
            await renewal.turn()
    assert told == ["certificate not looked after"]


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {one.name: one.level for one in findings}


async def test_the_doctor_finds_a_healthy_station_and_a_revoked_one(enrolled: Field) -> None:
    """Each part is looked at, and what is amiss comes with what to do."""
    # One URL for both: the tickets API is not part of this world.
    settings = enrolled.box_settings(tickets_url=enrolled.api.url)
    settings.data_directory.mkdir(exist_ok=True)
    found = levels(await examine(settings))
    assert found == {
        "clock": found["clock"],  # this machine's, and how busy it is
        "disk": found["disk"],
        "certificates": Level.OK,
        "authority": Level.OK,
        "cells": Level.WARNING,
        "management API": Level.OK,
        "tickets API": Level.OK,
        "log-in": Level.OK,
    }
    async with running_box(enrolled) as port:
        silent = levels(await examine(settings))
        assert silent["cell LC-1"] is Level.FAILURE
        async with running_cell(enrolled.cell_config(port)) as (_, sender):
            await sender.send(reading(1))
        assert levels(await examine(settings))["cells"] is Level.OK
    await enrolled.revoke("box_a")
    after = await examine(settings)
    assert levels(after)["log-in"] is Level.FAILURE
    assert all(one.remedy for one in after if one.level is not Level.OK)


async def test_the_doctor_tells_a_late_clock_and_a_platform_that_is_away(enrolled: Field) -> None:
    """A certificate that is not born yet, or expired, and an API that does not answer."""
    settings = enrolled.box_settings(
        management_url="https://127.0.0.1:1", tickets_url="https://127.0.0.1:1"
    )
    early = await examine(settings, lambda: datetime(2020, 1, 1, tzinfo=UTC))
    assert levels(early)["clock"] is Level.FAILURE
    assert (
        levels(early)["certificates"] is Level.WARNING
    )  # its clock is the fault: the certificate is taken
    assert levels(early)["disk"] is Level.FAILURE  # nobody made its directory yet
    assert levels(early)["management API"] is Level.FAILURE
    late = levels(await examine(settings, lambda: datetime.now(UTC) + timedelta(days=60)))
    assert (late["clock"], late["certificates"]) == (Level.WARNING, Level.WARNING)
