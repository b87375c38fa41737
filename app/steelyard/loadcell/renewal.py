"""A cell's certificate while it sends: renewed through the SmartBox, with the list of the revoked.

The DTLS session goes on; the next handshake reads the files anew (steelyard.coap.link).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiocoap import GET, POST, Message
from aiocoap.error import Error as CoapError
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.coap.client import CoapClient
from steelyard.errors import Problem
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import SmartBoxAway
from steelyard.loadcell.reporting import Report
from steelyard.pki.holding import (
    FORMAT_CERTIFICATE,
    FORMAT_REQUEST,
    RENEWAL_PATH,
    REVOCATIONS_PATH,
    Holding,
)

ANSWER_SECONDS = 120.0


class Renewal:
    """One turn each `renewal_seconds`; `clock` is the wall clock."""

    def __init__(
        self,
        config: LoadCellConfig,
        client: CoapClient,
        report: Report,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        host = f"[{config.server_host}]" if ":" in config.server_host else config.server_host
        self._base = f"coaps://{host}:{config.server_port}"
        self._seconds = config.renewal_seconds
        self._client = client
        self._report = report
        self._clock = clock
        self._sleep = sleep
        crl = config.crl_file or config.certificate_file.with_suffix(".crl")
        self._holding = Holding(config.certificate_file, config.key_file, config.ca_file, crl)
        self._keeps_list = config.crl_file is not None

    async def run(self) -> None:
        """Until cancelled. Chance spreads the cells of a station, so that not all come at once."""
        while True:
            await self._sleep(self._seconds * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            await self.turn()

    async def turn(self) -> None:
        """Fetch the list, and renew the certificate if it is time; what fails is reported."""
        for step in (self._heed_revocations, self._renew):
            try:
                await step()
            except Problem as problem:
                self._report("certificate not looked after", detail=str(problem))

    async def _heed_revocations(self) -> None:
        if self._keeps_list:
            message = Message(code=GET, uri=f"{self._base}/{'/'.join(REVOCATIONS_PATH)}")
            if self._holding.take_revocations(await self._ask(message)):
                self._report("revocations fetched")

    async def _renew(self) -> None:
        if not self._holding.is_due(self._clock()):
            return
        message = Message(
            code=POST,
            uri=f"{self._base}/{'/'.join(RENEWAL_PATH)}",
            payload=self._holding.request().public_bytes(Encoding.DER),
            content_format=FORMAT_REQUEST,
            accept=FORMAT_CERTIFICATE,
        )
        if self._holding.take(await self._ask(message)):
            self._report("certificate renewed", until=str(self._holding.own().not_valid_after_utc))

    async def _ask(self, message: Message) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await self._client.request(message).response
        except TimeoutError:
            raise SmartBoxAway("no answer in time") from None
        except (CoapError, OSError) as error:
            cause = error.__cause__ or error
            raise SmartBoxAway(f"{type(cause).__name__}: {cause}") from None
        if not response.code.is_successful():
            told = response.payload.decode(errors="replace")[:200]
            raise SmartBoxAway(f"{response.code}: {told}")
        return bytes(response.payload)
