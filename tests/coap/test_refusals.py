"""Who is not let in: at the handshake, later, and with a wrong payload."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cbor2
import pytest
from aiocoap import CHANGED, GET, Message
from aiocoap.error import NetworkError
from aiocoap.numbers.codes import Code
from coap_harness import Bench, sample_request, until
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from steelyard.coap.credentials import Credentials
from steelyard.coap.errors import CredentialUnusable, HandshakeRefused
from steelyard.coap.server import ServerLimits
from steelyard.pki import building
from steelyard.pki.profiles import Profile, loadcell_profile, smartbox_profile


async def refusal(bench: Bench, credentials: Credentials | str) -> tuple[str, str]:
    """The reason that the server counted and the one that the client was told."""
    server, client = await bench.server(), await bench.client(credentials)
    with pytest.raises(NetworkError) as caught:
        await client.request(sample_request(server)).response
    assert isinstance(caught.value.__cause__, HandshakeRefused)
    assert bench.samples == []
    assert server.counters.peers + server.counters.handshakes_open == 0
    ((reason, count),) = server.counters.handshakes_refused.items()
    assert count == 1
    return reason, caught.value.__cause__.reason


async def test_rogue_authority(bench: Bench) -> None:
    """A certificate of another authority with the same name is refused."""
    rogue = bench.pki.directory / "rogue"
    own = bench.pki.credentials("LC-1")
    credentials = Credentials(rogue / "LC-1.pem", rogue / "LC-1.key", own.authority)
    assert await refusal(bench, credentials) == ("unknown-authority", "peer-says-unknown-authority")


async def test_expired(bench: Bench) -> None:
    """An expired certificate is refused, and the cell is told so."""
    assert await refusal(bench, bench.pki.expired()) == ("expired", "peer-says-expired")


async def test_revoked(bench: Bench) -> None:
    """A certificate on the list that the server has at its start is refused."""
    revoked = bench.pki.special("revoked", loadcell_profile("LC-3", "S1"))
    leaf = x509.load_pem_x509_certificate(revoked.certificate.read_bytes())
    bench.pki.authority.revoke(leaf)
    assert await refusal(bench, "revoked") == ("revoked", "peer-says-revoked")


def list_of_tomorrow(bench: Bench, *revoked: Credentials) -> Path:
    """The authority's list, as a clock that is hours behind finds it."""
    authority, tomorrow = bench.pki.authority, datetime.now(UTC) + timedelta(days=1)
    builder = x509.CertificateRevocationListBuilder()
    builder = builder.issuer_name(authority.certificate.subject).last_update(tomorrow)
    for one in revoked:
        leaf = x509.load_pem_x509_certificate(one.certificate.read_bytes())
        entry = building.revoked(leaf.serial_number, tomorrow)
        builder = builder.add_revoked_certificate(entry)
    builder = builder.next_update(tomorrow + timedelta(days=1))
    path = bench.directory / "tomorrow.pem"
    made = builder.sign(authority._key, hashes.SHA256())
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path


async def test_a_clock_that_is_behind_shuts_nobody_out(bench: Bench) -> None:
    """Certificates and a list that are not valid yet are taken, at both ends, and the list counts.

    A board without a battery begins in the evening when it stopped; the list is of this morning.
    """
    pki, tomorrow = bench.pki, datetime.now(UTC) + timedelta(days=1)
    box = pki.special("box", smartbox_profile("SB-1", ["127.0.0.1"], "S1"), not_before=tomorrow)
    cell, thief = (
        pki.special(serial, loadcell_profile(serial, "S1"), not_before=tomorrow)
        for serial in ("LC-5", "LC-6")
    )
    crl = list_of_tomorrow(bench, thief)
    server = await bench.server(replace(box, revocations=crl))
    client = await bench.client(replace(cell, revocations=crl))
    assert (await client.request(sample_request(server)).response).code == CHANGED
    assert [peer.cell_serial for peer in server.peers] == ["LC-5"]
    with pytest.raises(NetworkError) as caught:
        await (await bench.client(thief)).request(sample_request(server)).response
    assert caught.value.__cause__.reason == "peer-says-revoked"
    rogue = Credentials(
        pki.directory / "rogue/LC-1.pem", pki.directory / "rogue/LC-1.key", cell.authority
    )
    with pytest.raises(NetworkError):
        await (await bench.client(rogue)).request(sample_request(server)).response
    assert server.counters.handshakes_refused == {"revoked": 1, "unknown-authority": 1}


async def test_server_certificate_as_a_clients(bench: Bench) -> None:
    """A SmartBox's certificate opens nothing at another SmartBox."""
    assert (await refusal(bench, "SB-1"))[0] == "wrong-purpose"


async def test_certificate_without_a_purpose(bench: Bench) -> None:
    """A certificate that says nothing about its use is refused, though OpenSSL takes it."""
    authority = bench.pki.authority
    key = ec.generate_private_key(ec.SECP256R1())
    signed = (
        x509.CertificateBuilder()
        .subject_name(loadcell_profile("LC-1", "S1").subject)
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(authority.certificate.not_valid_before_utc)
        .not_valid_after(authority.certificate.not_valid_after_utc)
        .sign(authority._key, hashes.SHA256())
    )
    assert (await refusal(bench, bench.pki.put("plain", signed, key)))[0] == "wrong-purpose"


async def test_key_on_another_curve(bench: Bench) -> None:
    """Only P-256 is spoken."""
    key = ec.generate_private_key(ec.SECP384R1())
    leaf = bench.pki.authority.sign(loadcell_profile("LC-1", "S1"), key.public_key())
    assert (await refusal(bench, bench.pki.put("p384", leaf, key)))[0] == "wrong-key"


@pytest.mark.parametrize("name", ["other.test", "127.0.0.2", "urn:steelyard:smartbox:SB-2"])
async def test_wrong_server_name(bench: Bench, name: str) -> None:
    """A client gives nothing to a server that is not the one it was told of."""
    server, client = await bench.server(), await bench.client(server_name=name)
    with pytest.raises(NetworkError) as caught:
        await client.request(sample_request(server)).response
    assert caught.value.__cause__.reason == "wrong-name"
    await until(lambda: bool(server.counters.handshakes_refused), "the server hears of it")
    assert server.counters.handshakes_ok == 0


@pytest.mark.parametrize("station", ["S2", None])
async def test_a_smartbox_of_another_station(bench: Bench, station: str | None) -> None:
    """A cell that knows its station gives nothing to another's SmartBox, whatever its name is."""
    profile = smartbox_profile("SB-1", ["127.0.0.1"], station or "S1")
    if station is None:
        common_name = profile.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        profile = replace(profile, subject=x509.Name(common_name))
    server = await bench.server(bench.pki.special("elsewhere", profile))
    client = await bench.client()
    with pytest.raises(NetworkError) as caught:
        await client.request(sample_request(server)).response
    assert caught.value.__cause__.reason == "wrong-station"
    assert server.counters.handshakes_ok == 0
    stationless = await bench.client("other")
    answer = await stationless.request(sample_request(server)).response
    assert answer.code == Code.FORBIDDEN, "who has no station compares none"


@pytest.mark.parametrize("kind", ["rogue", "expired", "client"])
async def test_wrong_server_certificate(bench: Bench, kind: str) -> None:
    """A client refuses a server of another authority, an expired one, and a cell that poses."""
    pki = bench.pki
    rogue = pki.directory / "rogue"
    credentials, reason = {
        "rogue": (
            Credentials(
                rogue / "SB-1.pem", rogue / "SB-1.key", pki.authority.certificate_path, None
            ),
            "unknown-authority",
        ),
        "expired": (pki.expired(smartbox_profile("SB-1", ["127.0.0.1"], "S1")), "expired"),
        "client": (
            pki.special(
                "poser",
                Profile(
                    loadcell_profile("LC-9", "S1").subject,
                    smartbox_profile("SB-1", ["127.0.0.1"], "S1").alternative_names,
                    (ExtendedKeyUsageOID.CLIENT_AUTH,),
                ),
            ),
            "wrong-purpose",
        ),
    }[kind]
    server, client = await bench.server(credentials), await bench.client()
    with pytest.raises(NetworkError) as caught:
        await client.request(sample_request(server)).response
    assert caught.value.__cause__.reason == reason


async def test_revocation_ends_a_session(bench: Bench) -> None:
    """A cell that is revoked loses its session at once and does not get another."""
    crl = bench.own_crl()
    credentials = bench.pki.special("thief", loadcell_profile("LC-4", "S1"))
    server = await bench.server(bench.pki.credentials("SB-1", crl=crl))
    thief, honest = await bench.client(credentials), await bench.client("LC-2")
    for client in (thief, honest):
        assert (await client.request(sample_request(server)).response).code == CHANGED
    leaf = x509.load_pem_x509_certificate(credentials.certificate.read_bytes())
    bench.pki.authority.revoke(leaf)
    crl.write_bytes(bench.pki.authority.crl_path.read_bytes())
    server.reload_revocations()
    assert [peer.cell_serial for peer in server.peers] == ["LC-2"]
    assert server.counters.sessions_ended == {"revoked": 1}
    with pytest.raises(NetworkError):
        await thief.request(sample_request(server)).response
    assert server.counters.handshakes_refused == {"revoked": 1}
    await honest.request(sample_request(server)).response
    assert honest.counters.handshakes_ok == 1


async def test_changed_list_is_noticed(bench: Bench) -> None:
    """The server watches the file; a broken list is not taken, and the old one stays."""
    crl = bench.own_crl()
    credentials = bench.pki.special("thief2", loadcell_profile("LC-5", "S1"))
    limits = ServerLimits(watch_seconds=0.05)
    server = await bench.server(bench.pki.credentials("SB-1", crl=crl), limits=limits)
    thief = await bench.client(credentials)
    await thief.request(sample_request(server)).response
    crl.write_text("junk")
    with pytest.raises(CredentialUnusable):
        server.reload_revocations()
    assert len(server.peers) == 1
    leaf = x509.load_pem_x509_certificate(credentials.certificate.read_bytes())
    bench.pki.authority.revoke(leaf)
    crl.write_bytes(bench.pki.authority.crl_path.read_bytes())
    await until(lambda: server.counters.sessions_ended["revoked"] == 1, "the session ends")


async def test_certificate_that_expires_ends_its_session(bench: Bench, monkeypatch) -> None:
    """A session does not outlive the certificate that opened it."""
    server = await bench.server(limits=ServerLimits(watch_seconds=0.05))
    client = await bench.client()
    await client.request(sample_request(server)).response
    late = server.peers[0].not_after

    class Late:
        @staticmethod
        def now(zone: object) -> object:
            del zone
            return late

    monkeypatch.setattr("steelyard.coap.endpoint.datetime", Late)
    await until(lambda: server.counters.sessions_ended["expired"] == 1, "the session ends")


@pytest.mark.parametrize(
    ("payload", "code", "counter"),
    [
        (b"", Code.BAD_REQUEST, "decode_errors"),
        (b"\xff\x00 not cbor", Code.BAD_REQUEST, "decode_errors"),
        (cbor2.dumps([{2: float("nan")}]), Code.BAD_REQUEST, "decode_errors"),
        (cbor2.dumps([{-2: "LC-2", 2: 1}]), Code.FORBIDDEN, "foreign_payloads"),
        (cbor2.dumps([{2: 1}, {0: "LC-10", 2: 1}]), Code.FORBIDDEN, "foreign_payloads"),
    ],
)
async def test_bad_payloads(bench: Bench, payload: bytes, code: Code, counter: str) -> None:
    """What is not SenML, or another cell's, gets 4.xx with a sentence, and is counted."""
    server, client = await bench.server(), await bench.client()
    response = await client.request(sample_request(server, payload)).response
    assert response.code == code
    assert response.payload.decode().strip()
    assert getattr(server.counters, counter) == 1
    assert bench.samples == []


@pytest.mark.parametrize(
    "name", ["LC-1", "LC-1:weight", "LC-1/weight", "urn:steelyard:loadcell:LC-1"]
)
async def test_own_names_are_taken(bench: Bench, name: str) -> None:
    """A payload may name its own cell, with a quantity behind."""
    server, client = await bench.server(), await bench.client()
    payload = cbor2.dumps([{-2: name, 2: 1}])
    assert (await client.request(sample_request(server, payload)).response).code == CHANGED


async def test_other_content_format(bench: Bench) -> None:
    """JSON is 4.15, not a decode error."""
    server, client = await bench.server(), await bench.client()
    request = sample_request(server)
    request.opt.content_format = 50
    response = await client.request(request).response
    assert response.code == Code.UNSUPPORTED_CONTENT_FORMAT
    assert server.counters.decode_errors == 0


async def test_only_cells_send_samples(bench: Bench) -> None:
    """Another client of the same authority may speak, but not as a cell."""
    server, client = await bench.server(), await bench.client("other")
    response = await client.request(sample_request(server)).response
    assert response.code == Code.FORBIDDEN
    assert b"not a load cell's" in response.payload
    host, port = server.address
    who = await client.request(Message(code=GET, uri=f"coaps://{host}:{port}/who")).response
    assert who.payload == b"other"


async def test_serial_that_contradicts_itself_is_nobodys(bench: Bench) -> None:
    """A certificate whose URN and common name differ names no cell."""
    profile = Profile(
        loadcell_profile("LC-1", "S1").subject,
        loadcell_profile("LC-2", "S1").alternative_names,
        (ExtendedKeyUsageOID.CLIENT_AUTH,),
    )
    server, client = await bench.server(), await bench.client(bench.pki.special("two", profile))
    response = await client.request(sample_request(server)).response
    assert response.code == Code.FORBIDDEN


async def test_refused_client_may_come_again(bench: Bench, tmp_path: Path) -> None:
    """A client whose certificate is renewed is let in by the next request."""
    files = bench.pki.expired()
    renewed = bench.pki.credentials("LC-1")
    own = Credentials(tmp_path / "c.pem", tmp_path / "c.key", files.authority)
    own.certificate.write_bytes(files.certificate.read_bytes())
    own.private_key.write_bytes(files.private_key.read_bytes())
    own.private_key.chmod(0o600)
    server, client = await bench.server(), await bench.client(own)
    with pytest.raises(NetworkError):
        await client.request(sample_request(server)).response
    own.certificate.write_bytes(renewed.certificate.read_bytes())
    own.private_key.write_bytes(renewed.private_key.read_bytes())
    assert (await client.request(sample_request(server)).response).code == CHANGED
