"""What a SmartBox needs, looked at one by one: how it is, and what to do.

Nothing here changes anything. A check that needs what another one found missing says so.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import aiohttp
import click
from cryptography import x509

from steelyard.coap.credentials import Credentials
from steelyard.errors import ConfigurationError, Problem
from steelyard.pki.errors import KeyUnusable
from steelyard.pki.holding import Holding
from steelyard.secret_files import read_secret_line
from steelyard.smartbox.errors import PlatformProblem, StationRefused
from steelyard.smartbox.http_date import read_http_date
from steelyard.smartbox.pages.client import read_page
from steelyard.smartbox.room import Room
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.uplink.platform import Platform, make_session, make_tls_context

SCARCE_BYTES = 512 * 1024 * 1024
CLOCK_WARNING_SECONDS = 5.0
CLOCK_FAILURE_SECONDS = 60.0
SILENT_SECONDS = 60.0
TIMEOUT_SECONDS = 15.0
_LEAST_FILES = 16
_RENEW_ALONE = "it renews itself while the SmartBox runs and reaches the platform"
_RENEW_BY_PLAY = "run playbooks/site.yml, or `steelyard pki`, to renew it"


class Level(IntEnum):
    """How a thing is; the highest one found is the exit status."""

    OK = 0
    WARNING = 3
    FAILURE = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its name, how it is in a sentence, and what to do."""

    name: str
    level: Level
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """With the level as a word."""
        return asdict(self) | {"level": self.level.name.lower()}


@dataclass(frozen=True, slots=True)
class Reached:
    """What one of the APIs answered: its time less ours (seconds), or why it did not answer."""

    skew: float | None = None
    problem: str | None = None


def check_disk(directory: Path, reserve: int) -> Finding:
    """Whether the data directory can be written, and has room for tickets beside the reserve."""
    try:
        found = os.statvfs(directory)
    except OSError as error:
        return Finding(
            "disk",
            Level.FAILURE,
            f"{directory}: {error.strerror}",
            "make the directory for the SmartBox's user, or correct smartbox.data_directory",
        )
    if found.f_flag & os.ST_RDONLY or not os.access(directory, os.W_OK):
        return Finding(
            "disk",
            Level.FAILURE,
            f"{directory} cannot be written",
            "remount it for writing; if it became read-only by itself, replace the card",
        )
    free, left = found.f_bavail * found.f_frsize, found.f_favail
    sentence = f"{free // (1024 * 1024)} MiB free at {directory}"
    remedy = "free some space: without it no ticket is issued; the alibi memory must stay"
    full = Room(directory, reserve).problem()
    if full is not None:
        return Finding("disk", Level.FAILURE, full, remedy)
    if found.f_files and left < _LEAST_FILES:
        told = f"{directory} has room for {left} files more"
        return Finding("disk", Level.FAILURE, told, remedy)
    scarce = free < reserve + SCARCE_BYTES
    return Finding("disk", Level.WARNING if scarce else Level.OK, sentence, remedy)


def check_certificates(settings: SmartBoxSettings, now: datetime) -> Iterator[Finding]:
    """Whether key, certificate, authority and list belong together, and for how long."""
    credentials = Credentials(
        settings.certificate_file,
        settings.key_file,
        settings.device_ca_file,
        settings.device_crl_file,
    )
    again = (
        "enrol the SmartBox again with a new claim code"
        if settings.enrolled
        else ("let role pki bring its certificates again")
    )
    try:
        credentials.server_context()
        own = x509.load_pem_x509_certificate(settings.certificate_file.read_bytes())
        revoked = own.serial_number in credentials.revoked()
    except (Problem, OSError, ValueError) as error:
        yield Finding("certificates", Level.FAILURE, str(error), again)
        return
    if revoked:
        yield Finding("certificates", Level.FAILURE, "the SmartBox's certificate is revoked", again)
        return
    yield _standing("certificates", own, now, settings.enrolled, again)
    authorities = x509.load_pem_x509_certificates(settings.device_ca_file.read_bytes())
    last = min(one.not_valid_after_utc for one in authorities)
    level = Level.OK if last - now > timedelta(days=365) else Level.WARNING
    yield Finding(
        "authority",
        level,
        f"the devices' authority is good until {last:%Y-%m-%d}",
        "plan a new authority, and enrol the devices again",
    )


def _standing(
    name: str, own: x509.Certificate, now: datetime, enrolled: bool, again: str
) -> Finding:
    start, end = own.not_valid_before_utc, own.not_valid_after_utc
    told = f"good from {start:%Y-%m-%d} to {end:%Y-%m-%d}"
    if now < start:
        remedy = "set the clock: see the finding of the clock"
        # It is taken all the same: see docs/decisions/coap-revocation.md.
        return Finding(name, Level.WARNING, f"{told}: not yet", remedy)
    if now >= end:
        return Finding(name, Level.FAILURE, f"{told}: expired", again)
    remedy = _RENEW_ALONE if enrolled else _RENEW_BY_PLAY
    # Enrolled ones are renewed after a third: with half of it gone something is amiss.
    late = (end - start) / (2 if enrolled else 3)
    level = Level.WARNING if end - now < late else Level.OK
    return Finding(name, level, f"{told}, {(end - now).days} days left", remedy)


def check_cells(settings: SmartBoxSettings, now: datetime) -> Iterator[Finding]:
    """Whether each load cell was heard of lately, by the SmartBox that runs here."""
    serials = [cell.serial for bridge in settings.weighbridges for cell in bridge.cells]
    try:
        page = read_page(settings.data_directory)
    except click.ClickException as problem:
        yield Finding(
            "cells",
            Level.WARNING,
            f"nobody listens to the {len(serials)} load cells: {problem.message}",
            "start the SmartBox: systemctl start steelyard-smartbox, or steelyard smartbox run",
        )
        return
    yield from cells_of_page(page, serials, now)
    alarms = [f"{one['name']}: {one['text']}" for one in page.get("alarms", ())]
    if alarms:
        remedy = "steelyard smartbox status says since when"
        yield Finding("alarms", Level.WARNING, "; ".join(alarms), remedy)


def cells_of_page(page: dict[str, Any], serials: list[str], now: datetime) -> Iterator[Finding]:
    """A finding for the cells that speak, and one for each that does not."""
    heard: dict[str, str | None] = {}
    for cells in page.get("weighbridges", {}).values():
        heard |= {serial: one.get("last_seen") for serial, one in cells.items()}
    silent = 0
    for serial in serials:
        seen = heard.get(serial)
        if seen is not None:
            moment = datetime.fromisoformat(seen)
            if (now - moment).total_seconds() <= SILENT_SECONDS:
                continue
        silent += 1
        yield Finding(
            f"cell {serial}",
            Level.WARNING if seen is not None else Level.FAILURE,
            f"last heard {seen}" if seen else "not heard since the SmartBox started",
            "look at its power and cable; a fresh or revoked one is enrolled with a claim code "
            "(steelyard smartbox enrol-cells)",
        )
    told = f"{len(serials) - silent} of {len(serials)} load cells spoke within a minute"
    yield Finding("cells", Level.OK if silent == 0 else Level.WARNING, told)


async def check_platform(settings: SmartBoxSettings) -> tuple[list[Finding], list[Reached]]:
    """Whether both APIs answer and the station may log in; and what time they have."""
    try:
        tls = make_tls_context(settings.ca_file)
        secret = read_secret_line(settings.client_secret_file, "smartbox.client_secret_file")
    except ConfigurationError as problem:
        remedy = "bring the file again: enrol the SmartBox anew, or run its play"
        return [Finding("platform", Level.FAILURE, problem.detail, remedy)], []
    async with make_session(tls, TIMEOUT_SECONDS, settings.proxy_url) as session:
        urls = {"management API": settings.management_url, "tickets API": settings.tickets_url}
        reached = await asyncio.gather(*(_reach(session, url) for url in urls.values()))
        findings = [
            _reached(name, url, one) for (name, url), one in zip(urls.items(), reached, strict=True)
        ]
        if reached[0].problem is None:
            findings.append(await _log_in(session, settings, secret))
    return findings, list(reached)


async def _reach(session: aiohttp.ClientSession, url: str) -> Reached:
    try:
        async with session.get(f"{url}/healthz", allow_redirects=False) as response:
            told = response.headers.get("Date")
            ours = time.time()
    except TimeoutError:
        return Reached(problem="no answer in time")
    except (aiohttp.ClientError, OSError) as error:
        return Reached(problem=f"{type(error).__name__}: {error}")
    moment = read_http_date(told)
    if moment is None:
        return Reached()
    # The header has whole seconds: half of one is right on average.
    return Reached(skew=moment.timestamp() + 0.5 - ours)


def _reached(name: str, url: str, reached: Reached) -> Finding:
    if reached.problem is None:
        return Finding(name, Level.OK, f"{url} answers")
    remedy = "look at the network and the name server; tickets wait in the outbox meanwhile"
    if "certificate" in reached.problem.lower():
        remedy = "smartbox.ca_file must be the authority of the platform's certificates, and the "
        remedy += "clock must be right"
    return Finding(name, Level.FAILURE, f"{url}: {reached.problem}", remedy)


async def _log_in(
    session: aiohttp.ClientSession, settings: SmartBoxSettings, secret: str
) -> Finding:
    platform = Platform(
        session,
        management_url=settings.management_url,
        tickets_url=settings.tickets_url,
        client_id=settings.client_id,
        client_secret=secret,
    )
    try:
        await platform.token()
    except StationRefused as problem:
        return Finding(
            "log-in",
            Level.FAILURE,
            f"the platform refuses the station: {problem.detail}",
            "the SmartBox was revoked, replaced or its station disabled: ask the customer's "
            "administrator, and enrol it again with a new claim code",
        )
    except PlatformProblem as problem:
        return Finding("log-in", Level.WARNING, problem.detail, "try again in a minute")
    return Finding("log-in", Level.OK, f"{settings.station} gets a token")


def check_clock(reached: list[Reached], settings: SmartBoxSettings, now: datetime) -> Finding:
    """Whether the clock is right: by the platform's, or at least not before the certificate."""
    remedy = "let it be set by NTP: timedatectl set-ntp true; see timedatectl timesync-status"
    skews = [one.skew for one in reached if one.skew is not None]
    if skews:
        worst = max(skews, key=abs)
        level = Level.OK
        if abs(worst) > CLOCK_WARNING_SECONDS:
            level = Level.FAILURE if abs(worst) > CLOCK_FAILURE_SECONDS else Level.WARNING
        word = "behind" if worst > 0 else "ahead of"
        return Finding("clock", level, f"{abs(worst):.0f} s {word} the platform's", remedy)
    try:
        born = (
            Holding(settings.certificate_file, settings.key_file, settings.device_ca_file, Path())
            .own()
            .not_valid_before_utc
        )
    except KeyUnusable:
        born = datetime(2020, 1, 1, tzinfo=UTC)
    if now < born:
        return Finding("clock", Level.FAILURE, f"{now:%Y-%m-%d %H:%M} is in the past", remedy)
    return Finding("clock", Level.WARNING, "not compared: the platform told no time", remedy)


async def examine(
    settings: SmartBoxSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[Finding]:
    """Look at everything, and say what was found in a fixed order."""
    platform, reached = await check_platform(settings)
    now = clock()
    return [
        check_clock(reached, settings, now),
        check_disk(settings.data_directory, settings.reserve_bytes),
        *check_certificates(settings, now),
        *await asyncio.to_thread(lambda: list(check_cells(settings, now))),
        *platform,
    ]
