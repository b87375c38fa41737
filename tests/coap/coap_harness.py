"""What the tests of this room share: a small PKI, a bench of ends, a proxy that loses."""

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiocoap import CHANGED, POST, Message
from aiocoap.resource import Site
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from steelyard.coap.client import ClientTimes, CoapClient, create_coap_client
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.resources import ProblemResource, Request, read_samples
from steelyard.coap.senml import CONTENT_FORMAT, Sample, encode
from steelyard.coap.server import CoapServer, ServerLimits, create_coap_server
from steelyard.pki.authority import Authority
from steelyard.pki.profiles import Profile, loadcell_profile
from steelyard.secret_files import write_secret


class Pki:
    """A device authority, a rogue of the same name, and leaves of every kind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority.create(directory / "devices", "Devices")
        self.rogue = Authority.create(directory / "rogue", "Devices")
        self.authority.issue_smartbox("SB-1", ["127.0.0.1", "box.test"], directory, station="S1")
        for serial in ("LC-1", "LC-2"):
            self.authority.issue_loadcell(serial, directory, station="S1")
        self.authority.issue_client("other", directory)
        self.rogue.issue_loadcell("LC-1", directory / "rogue", station="S1")
        self.rogue.issue_smartbox("SB-1", ["127.0.0.1"], directory / "rogue", station="S1")

    def credentials(
        self, name: str, *, revocations: bool = True, crl: Path | None = None
    ) -> Credentials:
        """The files of a leaf, by its path below the directory without the ending."""
        authority = self.authority
        return Credentials(
            self.directory / f"{name}.pem",
            self.directory / f"{name}.key",
            authority.certificate_path,
            (crl or authority.crl_path) if revocations else None,
        )

    def special(self, name: str, profile: Profile, **options: object) -> Credentials:
        """A leaf that `steelyard pki` would not issue."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.authority.sign(profile, key.public_key(), **options)  # type: ignore[arg-type] # the test's own
        return self.put(name, certificate, key)

    def put(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey):
        (self.directory / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_secret(self.directory / f"{name}.key", pem)
        return self.credentials(name)

    def expired(self, profile: Profile | None = None) -> Credentials:
        """A leaf that ended a minute ago."""
        # The authority is a day old by its certificate, so that it can have issued it in time.
        start = datetime.now(UTC) - timedelta(hours=23)
        builder_profile = profile or loadcell_profile("LC-1", "S1")
        certificate = self.authority.sign
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate(builder_profile, key.public_key(), not_before=start, days=0.9)  # type: ignore[arg-type] # a part of a day
        return self.put("expired", leaf, key)


class Samples(ProblemResource):
    """Takes samples from load cells by POST or PUT, as often as they come."""

    def __init__(
        self, taken: list[tuple[str, Sequence[Sample]]], counters: TransportCounters
    ) -> None:
        super().__init__()
        self._taken = taken
        self._counters = counters

    async def render_post(self, request: Message) -> Message:
        self._taken.append(
            read_samples(Request.of(request), self._counters, station="S1", now=time.time())
        )
        return Message(code=CHANGED)

    async def render_put(self, request: Message) -> Message:
        return await self.render_post(request)


class WhoAmI(ProblemResource):
    """Answers with the sender's name."""

    async def render_get(self, request: Message) -> Message:
        return Message(payload=Request.of(request).sender.name.encode())

    async def render_put(self, request: Message) -> Message:
        del request
        return Message(code=CHANGED)


class Bench:
    """Makes ends and remembers what the server got."""

    def __init__(self, pki: Pki, directory: Path) -> None:
        self.pki = pki
        self.directory = directory
        self.samples: list[tuple[str, Sequence[Sample]]] = []
        self._open: list[CoapServer | CoapClient | Proxy] = []

    async def server(
        self,
        credentials: Credentials | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: ServerLimits | None = None,
    ) -> CoapServer:
        counters = TransportCounters()
        site = Site()
        site.add_resource(["samples"], Samples(self.samples, counters))
        site.add_resource(["who"], WhoAmI())
        server = await create_coap_server(
            site,
            (host, port),
            credentials or self.pki.credentials("SB-1"),
            limits=limits,
            counters=counters,
        )
        self._open.append(server)
        return server

    async def client(
        self,
        credentials: Credentials | str = "LC-1",
        server_name: str | None = None,
        times: ClientTimes | None = None,
    ) -> CoapClient:
        if isinstance(credentials, str):
            credentials = self.pki.credentials(credentials)
        client = await create_coap_client(credentials, server_name, times=times)
        self._open.append(client)
        return client

    async def proxy(self, server: CoapServer, **options: object) -> "Proxy":
        proxy = Proxy(server.address, **options)  # type: ignore[arg-type] # the proxy's own
        await proxy.open()
        self._open.append(proxy)
        return proxy

    def own_crl(self) -> Path:
        """A copy of the revocation list that this test may change."""
        path = self.directory / "crl.pem"
        shutil.copy(self.pki.authority.crl_path, path)
        return path

    async def close(self) -> None:
        for one in reversed(self._open):
            with suppress(asyncio.CancelledError):
                await one.shutdown()


def sample_request(server: CoapServer | tuple[str, int], payload: bytes | None = None) -> Message:
    """A POST of one sample."""
    host, port = server if isinstance(server, tuple) else server.address
    return Message(
        code=POST,
        uri=f"coaps://{host}:{port}/samples",
        payload=encode([Sample(12_345, 1_605_160_889.392)]) if payload is None else payload,
        content_format=CONTENT_FORMAT,
    )


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds; the test's own time limit ends a wait in vain."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came: {what}")


class Proxy(asyncio.DatagramProtocol):
    """Between one client and a server: records every datagram, and loses some by a seed."""

    def __init__(self, server: tuple[str, int], *, loss: float = 0.0, seed: int = 0) -> None:
        self._server = server
        self._loss = loss
        self._random = random.Random(seed)  # noqa: S311 -- a loss that can be repeated
        self.seen: list[tuple[str, bytes]] = []
        self.lost = 0
        self.filter: Callable[[str, bytes], bool] = lambda *_: True
        self._backs: dict[tuple[str, int], asyncio.DatagramTransport] = {}

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.front, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )

    @property
    def address(self) -> tuple[str, int]:
        return self.front.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asyncio.ensure_future(self._forward(data, addr))  # noqa: RUF006 -- ends with the loop

    async def _forward(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._passes("client", data):
            (await self._back(addr)).sendto(data)

    async def _back(self, addr: tuple[str, int]) -> asyncio.DatagramTransport:
        if addr not in self._backs:
            loop = asyncio.get_running_loop()
            back, _ = await loop.create_datagram_endpoint(
                lambda: _Back(self, addr), remote_addr=self._server
            )
            self._backs.setdefault(addr, back)
        return self._backs[addr]

    def backwards(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._passes("server", data):
            self.front.sendto(data, addr)

    def _passes(self, origin: str, data: bytes) -> bool:
        if self._random.random() < self._loss or not self.filter(origin, data):
            self.lost += 1
            return False
        self.seen.append((origin, data))
        return True

    async def shutdown(self) -> None:
        for transport in (self.front, *self._backs.values()):
            transport.close()
        await asyncio.sleep(0)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, proxy: Proxy, addr: tuple[str, int]) -> None:
        self._proxy, self._addr = proxy, addr

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        self._proxy.backwards(data, self._addr)


class Raw(asyncio.DatagramProtocol):
    """A socket that says what a test wants it to."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    @classmethod
    async def open(cls, server: tuple[str, int]) -> "Raw":
        loop = asyncio.get_running_loop()
        _, raw = await loop.create_datagram_endpoint(cls, remote_addr=server)
        return raw

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        self.got.append(data)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data)  # type: ignore[attr-defined] # a datagram transport

    def close(self) -> None:
        self.transport.close()
