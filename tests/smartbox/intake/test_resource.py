"""What a SmartBox answers over CoAP, and what it counts."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from aiocoap import GET, POST, Message
from aiocoap.numbers.codes import Code
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from smartbox_kit import BRIDGES, START_MS, FakePlatform, Stage, until

from steelyard.coap.client import CoapClient, create_coap_client
from steelyard.coap.credentials import Credentials
from steelyard.pki.authority import Issued
from steelyard.pki.profiles import loadcell_profile
from steelyard.secret_files import write_secret
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.service import Ready, SmartBox

SECONDS = START_MS // 1000


class Careless(Credentials):
    """A cell that gives its samples to any station's SmartBox, as a hostile one would."""

    def client_context(self) -> SSL.Context:
        return self._context(SSL.DTLS_CLIENT_METHOD)


class Line:
    """A running SmartBox, and a client with some cell's certificate."""

    def __init__(self, stage: Stage, box: SmartBox, ready: Ready) -> None:
        self.stage = stage
        self.box = box
        self.ready = ready
        self.clients: list[CoapClient] = []

    async def client(self, serial: str, issued: Issued | None = None) -> CoapClient:
        issued = issued or self.stage.cells[serial]
        credentials = Careless(
            issued.certificate_path, issued.key_path, self.stage.devices.certificate_path
        )
        self.clients.append(await create_coap_client(credentials, "localhost"))
        return self.clients[-1]

    async def post(self, serial: str, payload: Any, query: str = "sequence=0") -> Message:
        return await self.send(await self.client(serial), payload, query)

    async def send(self, client: CoapClient, payload: Any, query: str = "sequence=0") -> Message:
        data = payload if isinstance(payload, bytes) else cbor2.dumps(payload)
        uri = f"coaps://127.0.0.1:{self.ready.coap_port}/weight?{query}"
        message = Message(code=POST, uri=uri, payload=data, content_format=112)
        return await client.request(message).response

    async def status(self) -> dict[str, Any]:
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.get(self.ready.status_url) as answer,
        ):
            return await answer.json()


@pytest.fixture
async def line(stage: Stage, platform: FakePlatform, tmp_path: Path) -> AsyncIterator[Line]:
    import asyncio

    box = SmartBox(stage.load(tmp_path / "data", platform.url, join_deadline_seconds=0.2))
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(box.run(ready.set_result))
    one = Line(stage, box, await ready)
    yield one
    for client in one.clients:
        await client.shutdown()
    box.stop()
    await running


def pack(kilograms: object = 1000, **changes: object) -> list[dict[int, object]]:
    return [{-3: SECONDS, 1: "kg", 2: kilograms}]


BAD = [
    (b"\xff\xff", "sequence=0", Code.BAD_REQUEST, "not CBOR"),
    (b"", "sequence=0", Code.BAD_REQUEST, "not CBOR"),
    (b"kg=12", "sequence=0", Code.BAD_REQUEST, "CBOR"),
    ({"v": 1}, "sequence=0", Code.BAD_REQUEST, "array"),
    ([{-3: SECONDS, 2: float("nan")}], "sequence=0", Code.BAD_REQUEST, "finite"),
    ([{-3: SECONDS, 2: float("inf")}], "sequence=0", Code.BAD_REQUEST, "finite"),
    ([{-3: SECONDS, 3: "heavy"}], "sequence=0", Code.BAD_REQUEST, "number as its value"),
    ([{-3: SECONDS, 4: True}], "sequence=0", Code.BAD_REQUEST, "number as its value"),
    ([{-3: SECONDS, 1: "lb", 2: 1}], "sequence=0", Code.BAD_REQUEST, "unit must be kg"),
    ([{-3: SECONDS, 1: "kg", 2: 1e9}], "sequence=0", Code.BAD_REQUEST, "10000000 kg"),
    ([{-3: SECONDS + 0.0005, 2: 1}], "sequence=0", Code.BAD_REQUEST, "millisecond"),
    ([{-3: -1, 2: 1}], "sequence=0", Code.BAD_REQUEST, "must be a time since 1970"),
    ([{1: "kg", 2: 1}], "sequence=0", Code.BAD_REQUEST, "must be a time since 1970"),
    ([{-3: 2**53, 2: 1}], "sequence=0", Code.BAD_REQUEST, "from 1970 to 9999"),
    (pack(), "", Code.BAD_REQUEST, "sequence=N"),
    (pack(), "sequence=-1", Code.BAD_REQUEST, "sequence=N"),
    (pack(), "sequence=9999999999999999", Code.BAD_REQUEST, "sequence=N"),
    (pack(), "sequence=1&sequence=2", Code.BAD_REQUEST, "sequence=N"),
    ([{-2: "C12", -3: SECONDS, 2: 1}], "sequence=0", Code.FORBIDDEN, "C11"),
]


async def test_bad_payloads_get_a_reason_and_change_nothing(line: Line, tmp_path: Path) -> None:
    """Each with its code and what is allowed; all are counted; no sample is taken."""
    client = await line.client("C11")
    for payload, query, code, reason in BAD:
        data = payload if isinstance(payload, bytes) else cbor2.dumps(payload)
        uri = f"coaps://127.0.0.1:{line.ready.coap_port}/weight?{query}".rstrip("?")
        message = Message(code=POST, uri=uri, payload=data, content_format=112)
        response = await client.request(message).response
        assert response.code is code, (payload, response.payload)
        assert reason in response.payload.decode(), (payload, response.payload)
    status = await line.status()
    counters = status["counters"]
    assert sum(n for name, n in counters.items() if name.startswith("rejected_")) == len(BAD)
    assert counters["rejected_foreign_cell"] == status["transport"]["foreign_payloads"] == 1
    assert status["transport"]["decode_errors"] == 8
    assert "samples_taken" not in counters
    assert status["tickets"]["queued"] == status["alibi_records"] == 0


async def test_other_methods_paths_and_formats_are_refused(line: Line) -> None:
    """4.05, 4.04 and 4.15."""
    client = await line.client("C11")
    base = f"coaps://127.0.0.1:{line.ready.coap_port}"
    got = [
        (await client.request(Message(code=GET, uri=f"{base}/weight")).response).code,
        (await client.request(Message(code=POST, uri=f"{base}/other")).response).code,
        (
            await client.request(
                Message(code=POST, uri=f"{base}/weight", payload=b"[]", content_format=50)
            ).response
        ).code,
    ]
    assert got == [
        Code.METHOD_NOT_ALLOWED,
        Code.NOT_FOUND,
        Code.UNSUPPORTED_CONTENT_FORMAT,
    ]


async def test_a_cell_of_nowhere_is_refused_and_counted(line: Line) -> None:
    """Its certificate is the authority's, but no weighbridge here has it: 4.03."""
    response = await line.post("STRANGER", pack())
    assert response.code is Code.FORBIDDEN
    assert "STRANGER stands under no weighbridge" in response.payload.decode()
    assert (await line.status())["counters"]["unknown_cells"] == 1


async def test_a_cell_of_another_station_is_refused_and_counted(
    line: Line, stage: Stage, tmp_path: Path
) -> None:
    """Two stations, one authority, a serial that stands under a weighbridge here: 4.03."""
    foreign = stage.devices.issue_loadcell("C11", tmp_path / "foreign", station="station-2")
    client = await line.client("C11", foreign)
    response = await line.send(client, pack())
    assert response.code is Code.FORBIDDEN
    assert response.payload.decode() == "the certificate of C11 is not one of station station-1"
    status = await line.status()
    assert status["transport"]["foreign_stations"] == 1
    assert status["counters"] == {"rejected_foreign_station": 1}
    assert status["weighbridges"]["wb-1"]["C11"]["last_seen"] is None
    assert (await line.post("C11", pack())).code is Code.CHANGED, "its own cell may weigh"


async def test_a_cell_without_a_station_is_refused(
    line: Line, stage: Stage, tmp_path: Path
) -> None:
    """A certificate from before stations were mandatory weighs nowhere."""
    profile = loadcell_profile("C11", "station-1")
    bare = x509.Name(profile.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = stage.devices.sign(replace(profile, subject=bare), key.public_key())
    files = tmp_path / "C11.pem", tmp_path / "C11.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    write_secret(files[1], key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    client = await line.client("C11", Issued(certificate, *files))
    assert (await line.send(client, pack())).code is Code.FORBIDDEN
    assert (await line.status())["transport"]["foreign_stations"] == 1


async def test_the_status_page_tells_of_silent_cells(line: Line) -> None:
    """One cell speaks, three do not: the sample is taken, set aside, and the alarm says why."""
    response = await line.post("C11", pack())
    assert response.code is Code.CHANGED
    status = await line.status()
    assert status["tickets"]["set_aside"] == 1
    assert status["set_aside"][0]["detail"] == "no sample from C12, C13, C14"
    assert [alarm["name"] for alarm in status["alarms"]] == ["silent-cells:wb-1"]
    assert status["weighbridges"]["wb-1"]["C11"]["last_seen"] is not None
    assert status["weighbridges"]["wb-1"]["C12"]["last_seen"] is None


async def test_floats_arrive_as_the_grams_that_were_meant(
    line: Line, platform: FakePlatform
) -> None:
    """0.1 + 0.2 and friends: kilograms with three decimals are exact, whatever their double is."""
    import asyncio

    kilograms = [4193.125, 3926.1, 4594.007, 4287.768]
    await asyncio.gather(
        *(
            line.post(cell, pack(value))
            for cell, value in zip(BRIDGES["wb-1"][1], kilograms, strict=True)
        )
    )
    await until(lambda: bool(platform.tickets))
    (ticket,) = platform.tickets.values()
    assert [cell.weight for cell in ticket.cells] == [4_193_125, 3_926_100, 4_594_007, 4_287_768]
    assert ticket.gross == 17_000_000


async def test_a_second_smartbox_on_the_same_directory_does_not_start(
    line: Line, stage: Stage, platform: FakePlatform, tmp_path: Path
) -> None:
    """The alibi memory has one writer."""
    from steelyard.smartbox.errors import StorageUnavailable

    with pytest.raises(StorageUnavailable, match="another process holds it"):
        await Recorder.open(lambda: Storage.open(tmp_path / "data", "station-1"))
