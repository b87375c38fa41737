"""The life of an enrolled SmartBox's certificate: renewed in time, and who was revoked is out.

The DTLS server looks at the files by itself: it takes a renewed certificate for new sessions, lets
the others be, and ends those of cells that are on a new list.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from structlog import get_logger

from steelyard.errors import Problem
from steelyard.pki.holding import Holding
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.errors import EnrolmentRefused, StationRefused
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.platform import Platform

log = get_logger(__name__)

REVOKED_ALARM = "revoked"
CERTIFICATE_ALARM = "certificate"
REVOCATIONS_ALARM = "revocations"
# A clock that is wrong would ask for one certificate after the other.
RENEWED_PAUSE = timedelta(hours=1)
FAILED_PAUSE = timedelta(minutes=1)


class Life:
    """One turn each `seconds`: the list, then the certificate.

    `clock` is the wall clock, `ticks` a monotonic one in seconds.
    """

    def __init__(
        self,
        holding: Holding,
        management: Management,
        platform: Platform,
        status: Status,
        *,
        seconds: float,
        ticks: Callable[[], float],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._holding = holding
        self._management = management
        self._platform = platform
        self._status = status
        self._seconds = seconds
        self._ticks = ticks
        self._clock = clock
        self._sleep = sleep
        self._not_before = 0.0

    async def run(self) -> None:
        """Until cancelled. Nothing that the platform answers ends it."""
        while True:
            try:
                await self.turn()
            except Exception as error:  # noqa: BLE001 - no answer of the platform ends weighing
                log.warning("certificate not looked after", error=type(error).__name__)
            await self._sleep(self._seconds)

    async def turn(self) -> None:
        """Look at the list, and renew the certificate if it is time."""
        try:
            await self._heed_revocations()
            self._status.clear_alarm(REVOCATIONS_ALARM)
        except Problem as problem:
            text = f"the revocation list was not fetched: {_told(problem)}"
            self._status.raise_alarm(REVOCATIONS_ALARM, text)
        try:
            await self._renew()
        except Problem as problem:
            self._put_off(FAILED_PAUSE)
            self._tell(problem)

    async def _heed_revocations(self) -> None:
        der = await self._management.revocations()
        if der is not None:
            try:
                changed = self._holding.take_revocations(der)
            except Problem:
                self._management.forget_revocations()
                raise
            if changed:
                log.info("revocations fetched", revoked=len(self._holding.revoked() or ()))
        if self._holding.is_revoked():
            self._status.raise_alarm(
                REVOKED_ALARM, "this SmartBox was revoked: the platform takes no tickets from it"
            )

    async def _renew(self) -> None:
        if not self._holding.is_due(self._clock()):
            self._status.clear_alarm(CERTIFICATE_ALARM)
            return
        if self._ticks() < self._not_before:
            return
        request = self._holding.request().public_bytes(Encoding.PEM).decode()
        async with self._platform.with_token() as token:
            self._status.clear_alarm(REVOKED_ALARM)
            certified = await self._management.renew(token, request)
        if self._holding.take(certified.papers.certificate):
            self._status.count("certificates_renewed")
            log.info("certificate renewed", until=f"{self._holding.own().not_valid_after_utc}")
        self._put_off(RENEWED_PAUSE)
        self._status.clear_alarm(CERTIFICATE_ALARM)

    def _tell(self, problem: Problem) -> None:
        if isinstance(problem, StationRefused):
            self._status.raise_alarm(
                REVOKED_ALARM, "the platform refuses this SmartBox: it was revoked or replaced"
            )
        left = self._holding.left(self._clock()).days
        refused = isinstance(problem, EnrolmentRefused)
        log.warning("certificate not renewed", days_left=left, refused=refused)
        self._status.raise_alarm(
            CERTIFICATE_ALARM,
            f"the certificate was not renewed, {left} days left: {_told(problem)}",
        )

    def _put_off(self, pause: timedelta) -> None:
        self._not_before = self._ticks() + pause.total_seconds()


def _told(problem: Problem) -> str:
    return problem.detail or problem.title
