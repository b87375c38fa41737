"""One sample over CoAP: taken, refused for good, or to be sent again."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiocoap import POST, Message
from aiocoap.error import Error as CoapError
from aiocoap.numbers.codes import Code

from steelyard.coap import senml
from steelyard.coap.client import ClientTimes, CoapClient, create_coap_client
from steelyard.coap.credentials import Credentials
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import SampleRefused, SmartBoxAway
from steelyard.loadcell.source import Reading

# What is wrong with this very sample; any other failure may pass (a cell may be registered later).
_FINAL = frozenset(
    {
        Code.BAD_REQUEST,
        Code.CONFLICT,
        Code.UNPROCESSABLE_ENTITY,
        Code.REQUEST_ENTITY_TOO_LARGE,
        Code.UNSUPPORTED_CONTENT_FORMAT,
    }
)


class Sender(Protocol):
    """Sends samples."""

    async def send(self, reading: Reading) -> None:
        """Return once it is acknowledged. Raises SmartBoxAway or SampleRefused."""
        ...

    async def send_pack(self, readings: Sequence[Reading]) -> None:
        """The same for several with numbers that follow each other, in one message."""
        ...

    async def send_celsius(self, reading: Reading) -> None:
        """The same for a reading's temperature alone."""
        ...


def encode_reading(reading: Reading) -> bytes:
    """A reading as SenML in CBOR: kilograms, seconds; the cell's name is in its certificate."""
    return encode_pack([reading])


def encode_pack(readings: Sequence[Reading]) -> bytes:
    """Several readings: the first one's time is the base of the others."""
    return senml.encode(
        [_to_senml(float(reading.kilograms), reading, "kg") for reading in readings]
    )


def _to_senml(value: float, reading: Reading, unit: str) -> senml.Sample:
    number = int(value) if value.is_integer() else value
    return senml.Sample(value=number, time=reading.time / 1000, unit=unit)


class CoapSender:
    """Confirmable POSTs of SenML in CBOR to the SmartBox."""

    def __init__(self, client: CoapClient, config: LoadCellConfig) -> None:
        self._client = client
        host = f"[{config.server_host}]" if ":" in config.server_host else config.server_host
        self._uri = f"coaps://{host}:{config.server_port}/weight"
        self._timeout = config.answer_seconds

    async def send(self, reading: Reading) -> None:
        """See `Sender.send`. An answer that does not come in time is a SmartBox that is away."""
        await self._post(reading.sequence, encode_reading(reading))

    async def send_pack(self, readings: Sequence[Reading]) -> None:
        """See `Sender.send_pack`."""
        await self._post(readings[0].sequence, encode_pack(readings))

    async def send_celsius(self, reading: Reading) -> None:
        """See `Sender.send_celsius`."""
        if reading.celsius is not None:
            record = _to_senml(reading.celsius, reading, "Cel")
            await self._post(reading.sequence, senml.encode([record]))

    async def _post(self, sequence: int, payload: bytes) -> None:
        message = Message(
            code=POST,
            uri=f"{self._uri}?sequence={sequence}",
            payload=payload,
            content_format=senml.CONTENT_FORMAT,
        )
        request = self._client.request(message, handle_blockwise=False)
        try:
            # Not wait_for: on Python 3.11 it loses a cancellation that comes with the answer.
            async with asyncio.timeout(self._timeout):
                response = await request.response
        except TimeoutError:
            raise SmartBoxAway("no answer in time") from None
        except (CoapError, OSError) as error:
            cause = error.__cause__ or error
            raise SmartBoxAway(f"{type(cause).__name__}: {cause}") from None
        if response.code.is_successful():
            return
        detail = f"{response.code}: {response.payload.decode(errors='replace')[:200]}"
        if response.code in _FINAL:
            raise SampleRefused(detail)
        raise SmartBoxAway(detail)


async def open_client(config: LoadCellConfig) -> CoapClient:
    """A client with the cell's certificate. Raises CredentialUnusable."""
    credentials = Credentials(
        certificate=config.certificate_file,
        private_key=config.key_file,
        authority=config.ca_file,
        revocations=config.crl_file,
    )
    return await create_coap_client(
        credentials, config.server_name, times=ClientTimes(silence=config.silence_seconds)
    )
