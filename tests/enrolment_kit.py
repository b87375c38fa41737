"""An issuing authority for tests, and devices that enrol by hand: a key, a request, a proof."""

import asyncio
import socket
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import update

from registry_world import Api, World
from steelyard.coap.client import CoapClient
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.enrol import Wanted as CellWanted
from steelyard.loadcell.enrol import enrol as enrol_cell
from steelyard.loadcell.sender import CoapSender, open_client
from steelyard.loadcell.settings import LoadCellSettings
from steelyard.loadcell.source import Reading
from steelyard.pki.authority import Authority
from steelyard.pki.claims import ClaimCode, prove
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.smartbox.enrolment.cell_relay import RelayResource, open_relay
from steelyard.smartbox.enrolment.enrol import Enrolled, Wanted, enrol
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.service import Ready, SmartBox
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.uplink.platform import make_tls_context
from steelyard.store.models import DeviceCertificate


def make_settings(directory: Path, **changes: Any) -> EnrolmentSettings:
    """Settings with an authority for devices alone, made in the directory."""
    authority = Authority.create(directory, "Test devices", nameless=True)
    values = {
        "authority_file": authority.certificate_path,
        "authority_key_file": authority.directory / "authority.key",
        "tickets_url": "https://127.0.0.1:1",
    }
    return EnrolmentSettings(**(values | changes))


@dataclass
class FreshDevice:
    """A device with a key of its own; `serial` is what its requests say."""

    serial: str | None = None
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def request(self) -> x509.CertificateSigningRequest:
        names = [x509.NameAttribute(NameOID.COMMON_NAME, self.serial)] if self.serial else []
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
        return builder.sign(self.key, hashes.SHA256())

    def pem(self) -> str:
        return self.request().public_bytes(Encoding.PEM).decode()

    def body(self, code: str) -> dict[str, str]:
        """The body of its enrolment with a claim code."""
        parsed = ClaimCode.parse(code)
        assert parsed is not None
        request = self.request()
        return {
            "claim": parsed.locator,
            "request": request.public_bytes(Encoding.PEM).decode(),
            "proof": prove(parsed.key(), request.public_bytes(Encoding.DER)).hex(),
        }


def wrong(code: str) -> str:
    """A code with the same locator and another secret."""
    return code[:-1] + ("0" if code[-1] != "0" else "1")


@dataclass
class Field:
    """A station in the field: the API that it belongs to, and where its devices have their files.

    The world's customer `a` has one weighbridge on one load cell there.
    """

    api: Api
    world: World
    admin: str
    ca_file: Path
    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir()

    @property
    def box_directory(self) -> Path:
        return self.directory / "box"

    @property
    def cell_directory(self) -> Path:
        return self.directory / "cell"

    async def claim(self, name: str) -> ClaimCode:
        """A claim code for a device of the world."""
        path = f"/v1/devices/{self.world.ids[name]}/claim"
        answer = await self.api.call("POST", path, self.admin)
        assert answer.status == 201, answer.text
        code = ClaimCode.parse(answer.json["code"])
        assert code is not None
        return code

    async def revoke(self, name: str) -> None:
        """Revoke a device of the world."""
        path = f"/v1/devices/{self.world.ids[name]}/revoke"
        assert (await self.api.call("POST", path, self.admin)).status == 200

    async def enrol_box(self, into: Path | None = None, code: ClaimCode | None = None) -> Enrolled:
        """Enrol the SmartBox as the command does."""
        wanted = Wanted(
            self.api.url, self.ca_file, into or self.box_directory, self.directory / "data"
        )
        return await enrol(wanted, code or await self.claim("box_a"))

    def box_settings(self, **changes: Any) -> SmartBoxSettings:
        """What the enrolled SmartBox's file says, on free ports."""
        document = tomllib.loads((self.box_directory / "smartbox.toml").read_text())
        free = {"coap_host": "127.0.0.1", "coap_port": 0, "status_port": 0}
        return SmartBoxSettings(**(document["smartbox"] | free | changes))

    @asynccontextmanager
    async def management(self) -> AsyncIterator[Management]:
        """The API as the SmartBox sees it."""
        connector = aiohttp.TCPConnector(ssl=make_tls_context(self.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Management(session, self.api.url)

    async def enrol_cell(self, code: ClaimCode, told: list[str] | None = None) -> str:
        """Enrol the load cell through a relay on loopback; its serial."""
        lines = told if told is not None else []
        async with self.management() as management:
            station = self.world.ids["station_a"]
            relay = RelayResource(management, station, lines.append)
            port = free_port()
            # On all addresses, as the command listens without --host.
            context = await open_relay(relay, "0.0.0.0", port)  # noqa: S104
            try:
                wanted = CellWanted("127.0.0.1", port, 5684, self.cell_directory)
                serial, _ = await enrol_cell(wanted, code)
            finally:
                await context.shutdown()
        return serial

    def cell_config(self, port: int) -> LoadCellConfig:
        """What the enrolled cell's file says, for a SmartBox on this port."""
        document = tomllib.loads((self.cell_directory / "loadcell.toml").read_text())
        changes = {"server_port": port, "silence_seconds": 1.0, "answer_seconds": 20.0}
        return LoadCellSettings(**(document["loadcell"] | changes)).config()

    async def age(self, days: int) -> None:
        """Make all certificates older in the platform's books, where their life is told."""
        by = days * 86_400_000
        async with self.api.database.session() as session:
            await session.execute(
                update(DeviceCertificate).values(
                    issued_at=DeviceCertificate.issued_at - by,
                    not_before=DeviceCertificate.not_before - by,
                    not_after=DeviceCertificate.not_after - by,
                )
            )


def free_port() -> int:
    """A UDP port on loopback that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running_box(field: Field, **changes: Any) -> AsyncIterator[int]:
    """The enrolled SmartBox, running; its CoAP port."""
    box = SmartBox(field.box_settings(**({"revocation_seconds": 1.0} | changes)))
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(box.run(ready.set_result))
    await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    try:
        yield ready.result().coap_port
    finally:
        box.stop()
        await running


@asynccontextmanager
async def running_cell(config: LoadCellConfig) -> AsyncIterator[tuple[CoapClient, CoapSender]]:
    """The enrolled cell's client."""
    client = await open_client(config)
    try:
        yield client, CoapSender(client, config)
    finally:
        await client.shutdown()


def reading(number: int) -> Reading:
    """A weighing of 20 t, at second `number`."""
    return Reading(number, 1_605_160_800_000 + number * 1000, Decimal(20_000))
