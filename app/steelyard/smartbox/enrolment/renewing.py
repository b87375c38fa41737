"""The parts of a running SmartBox that look after certificates, where it was enrolled."""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp
from aiocoap.resource import Site

from steelyard.pki.holding import Holding
from steelyard.smartbox.enrolment.cell_life import add_to_site
from steelyard.smartbox.enrolment.life import Life
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.platform import Platform


@dataclass(slots=True)
class Renewing:
    """Looks after the SmartBox's certificate, and hands on what its cells ask for theirs."""

    holding: Holding
    management: Management
    platform: Platform
    status: Status
    life: Life
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    @classmethod
    def of(
        cls,
        settings: SmartBoxSettings,
        session: aiohttp.ClientSession,
        platform: Platform,
        status: Status,
    ) -> "Renewing | None":
        """The parts; None for a SmartBox whose certificates come from elsewhere."""
        holding = holding_of(settings)
        if holding is None:
            return None
        management = Management(session, settings.management_url)
        life = Life(
            holding,
            management,
            platform,
            status,
            seconds=settings.revocation_seconds,
            ticks=time.monotonic,
        )
        return cls(holding, management, platform, status, life)

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self.life.run(), name="certificates")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def add_to(self, site: Site, station: str) -> None:
        """Offer the cells what they need for theirs."""
        add_to_site(site, station, self.holding, self.management, self.platform, self.status)


def holding_of(settings: SmartBoxSettings) -> Holding | None:
    """The files that renew themselves; None where they do not."""
    if not settings.enrolled or settings.device_crl_file is None:
        return None
    return Holding(
        settings.certificate_file,
        settings.key_file,
        settings.device_ca_file,
        settings.device_crl_file,
    )
