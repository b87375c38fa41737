"""A cell and its SmartBox speak to each other over real loopback sockets."""

import asyncio
import random
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from aiocoap import CHANGED, GET, PUT, Message
from aiocoap.error import LibraryShutdown
from aiocoap.numbers.types import CON
from aiocoap.resource import Resource
from coap_harness import Bench, Raw, sample_request, until

from steelyard.coap.client import ChannelLost, ClientTimes
from steelyard.coap.credentials import Credentials
from steelyard.coap.errors import CredentialUnusable
from steelyard.coap.records import split_records
from steelyard.coap.senml import Sample
from steelyard.coap.server import ServerLimits
from steelyard.pki.profiles import smartbox_profile

HANDSHAKE, CHANGE_CIPHER_SPEC = 22, 20
MESSAGES = {
    1: "ClientHello",
    2: "ServerHello",
    3: "HelloVerifyRequest",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
}


def handshake_messages(datagram: bytes) -> list[str]:
    """The names of what a datagram holds; an encrypted handshake record is a Finished."""
    names = []
    for record in split_records(datagram):
        if record[0] == CHANGE_CIPHER_SPEC:
            names.append("ChangeCipherSpec")
        elif record[0] == HANDSHAKE:
            encrypted = record[3:5] != b"\0\0"
            names.append("Finished" if encrypted else MESSAGES[record[13]])
        else:
            names.append("data")
    return names


async def test_sample_arrives_with_its_cell(bench: Bench) -> None:
    """A sample without a name is the cell's whose certificate came with it."""
    server, client = await bench.server(), await bench.client()
    response = await client.request(sample_request(server)).response
    assert response.code == CHANGED
    assert bench.samples == [("LC-1", [Sample(12_345, 1_605_160_889.392)])]
    assert [(one.cell_serial, one.station) for one in server.peers] == [("LC-1", "S1")]
    assert server.counters.handshakes_ok == client.counters.handshakes_ok == 1


async def test_handshake_as_captured(bench: Bench) -> None:
    """Six datagrams: cookie first, then both sides' certificates (RFC 6347, figure 1)."""
    server, client = await bench.server(), await bench.client()
    proxy = await bench.proxy(server)
    await client.request(sample_request(proxy.address)).response
    flights = [(origin, handshake_messages(data)) for origin, data in proxy.seen]
    assert flights[:6] == [
        ("client", ["ClientHello"]),
        ("server", ["HelloVerifyRequest"]),
        ("client", ["ClientHello"]),
        (
            "server",
            [
                "ServerHello",
                "Certificate",
                "ServerKeyExchange",
                "CertificateRequest",
                "ServerHelloDone",
            ],
        ),
        (
            "client",
            [
                "Certificate",
                "ClientKeyExchange",
                "CertificateVerify",
                "ChangeCipherSpec",
                "Finished",
            ],
        ),
        ("server", ["ChangeCipherSpec", "Finished"]),
    ]
    assert all(names == ["data"] for _, names in flights[6:])
    assert sum(len(data) for _, data in proxy.seen[:6]) < 2100
    assert b"12345" not in b"".join(data for _, data in proxy.seen)


async def test_one_certificate_each(bench: Bench) -> None:
    """The root is not sent along: each Certificate message holds one certificate."""
    server, client = await bench.server(), await bench.client()
    proxy = await bench.proxy(server)
    await client.request(sample_request(proxy.address)).response
    lengths = []
    for _, datagram in proxy.seen[:6]:
        for record in split_records(datagram):
            if record[0] == HANDSHAKE and record[3:5] == b"\0\0" and record[13] == 11:
                chain = int.from_bytes(record[25:28], "big")
                first = int.from_bytes(record[28:31], "big")
                lengths.append((chain, first + 3))
    assert len(lengths) == 2
    assert all(chain == first for chain, first in lengths)


async def test_many_cells_on_one_port(bench: Bench) -> None:
    """200 clients at once each get their answer and their own session."""
    server = await bench.server(limits=ServerLimits(max_sessions_per_certificate=100))
    clients = [await bench.client(("LC-1", "LC-2")[i % 2]) for i in range(200)]
    host, port = server.address
    answers = await asyncio.gather(
        *(
            client.request(Message(code=GET, uri=f"coaps://{host}:{port}/who")).response
            for client in clients
        )
    )
    assert [answer.payload for answer in answers] == [b"LC-1", b"LC-2"] * 100
    assert server.counters.peers == 200
    assert server.counters.handshakes_open == 0


async def test_large_answers_and_requests_in_blocks(bench: Bench) -> None:
    """A payload larger than a datagram travels block by block (RFC 7959)."""
    server, client = await bench.server(), await bench.client()
    host, port = server.address
    request = Message(code=PUT, uri=f"coaps://{host}:{port}/who", payload=b"x" * 5000)
    assert (await client.request(request).response).code == CHANGED


async def test_a_duplicate_gets_the_first_answer(bench: Bench) -> None:
    """The same message again is answered with the same bytes, and no handler hears of it."""
    server, client = await bench.server(), await bench.client()
    await client.request(sample_request(server)).response
    (channel,) = client._links.values()
    taken, answers = len(bench.samples), []
    deliver = channel.deliver
    channel.deliver = lambda way, data: answers.append(data)
    message = sample_request(server)
    message.mtype, message.mid, message.token = CON, 4711, b"tt"
    message.opt.uri_path = ("samples",)
    for count in (1, 2, 3):
        channel.send(message.encode(), expects_answer=True)
        await until(lambda count=count: len(answers) == count, "an answer each")
    channel.deliver = deliver
    assert len(bench.samples) == taken + 1
    assert len(set(answers)) == 1
    assert Message.decode(answers[0]).code == CHANGED


async def test_an_exchange_is_kept_in_few_bytes(bench: Bench) -> None:
    """Aiocoap's own memory of messages stays empty; ours has ids and answers, for 60 s."""
    server, client = await bench.server(), await bench.client()
    for _ in range(20):
        await client.request(sample_request(server)).response
    manager = server.context.request_interfaces[0].token_interface
    interface = manager.message_interface
    await until(lambda: not manager._recent_messages, "nothing kept by aiocoap")
    assert len(interface._duplicates) == 20
    (exchanges,) = interface._duplicates._exchanges.values()
    assert all(len(answer) < 16 for _, answer in exchanges.values())
    await client.shutdown()
    await until(lambda: len(interface._duplicates) == 0, "nothing kept of a session that ended")


async def test_close_notify_on_stop(bench: Bench) -> None:
    """An end that stops says so, and the other forgets the session at once."""
    server, client = await bench.server(), await bench.client()
    await client.request(sample_request(server)).response
    await client.shutdown()
    await until(lambda: server.counters.peers == 0, "the server forgets the client")
    assert server.counters.sessions_ended == {"closed-by-peer": 1}
    second = await bench.client()
    await second.request(sample_request(server)).response
    await server.shutdown()
    await until(lambda: second.counters.peers == 0, "the client forgets the server")
    assert second.counters.sessions_ended == {"closed-by-peer": 1}


async def test_server_that_comes_back_is_found_again(bench: Bench) -> None:
    """After a clean restart of the server the next request shakes hands anew."""
    server, client = await bench.server(), await bench.client()
    await client.request(sample_request(server)).response
    port = server.address[1]
    await server.shutdown()
    again = await bench.server(port=port)
    assert (await client.request(sample_request(again)).response).code == CHANGED
    assert again.counters.handshakes_ok == 1


async def test_server_name_may_be_a_urn_or_dns_name(bench: Bench) -> None:
    """A SmartBox is recognised by its URN as well, whatever address it got."""
    server = await bench.server()
    for name in ("urn:steelyard:smartbox:SB-1", "BOX.test", "127.0.0.1"):
        client = await bench.client(server_name=name)
        assert (await client.request(sample_request(server)).response).code == CHANGED


async def test_junk_leaves_no_state(bench: Bench) -> None:
    """3,000 datagrams of junk, from many ports, open nothing and disturb nobody."""
    server, client = await bench.server(), await bench.client()
    await client.request(sample_request(server)).response
    hello = bytes.fromhex("16feff0000000000000000") + (80).to_bytes(2, "big")
    hello += bytes.fromhex("01000044000000000000 0044fefd")
    raws = [await Raw.open(server.address) for _ in range(30)]
    seen, before = server.counters, server.counters.datagrams_in
    for index in range(100):
        for number, raw in enumerate(raws):
            kinds = (
                bytes([number, index] * 20),
                hello + bytes(100),
                b"\x17\xfe\xfd" + bytes(8) + b"\x00\x10" + bytes(16),
                hello[:30],
                b"\0",
            )
            raw.send(kinds[(index + number) % 5])
        # One round at a time, or the kernel would drop the junk for us.
        wanted = before + 30 * (index + 1)
        await until(lambda wanted=wanted: seen.datagrams_in >= wanted, "a round is read")
    # What looks like a ClientHello gets a cookie, as it must; the rest gets nothing.
    assert seen.junk + seen.cookies_sent == 3001
    assert seen.junk >= 2400
    assert server.counters.peers == 1
    assert server.counters.handshakes_open == 0
    assert (await client.request(sample_request(server)).response).code == CHANGED
    assert client.counters.handshakes_ok == 1
    for raw in raws:
        raw.close()


async def test_first_hello_leaves_no_state(bench: Bench) -> None:
    """A genuine ClientHello without cookie gets its HelloVerifyRequest and is forgotten."""
    server, client = await bench.server(), await bench.client()
    proxy = await bench.proxy(server)
    await client.request(sample_request(proxy.address)).response
    hello = proxy.seen[0][1]
    raw = await Raw.open(server.address)
    for _ in range(50):
        raw.send(hello)
    await until(lambda: len(raw.got) == 50, "fifty answers")
    assert {handshake_messages(one)[0] for one in raw.got} == {"HelloVerifyRequest"}
    assert all(len(one) < len(hello) for one in raw.got), "no amplification"
    assert server.counters.peers + server.counters.handshakes_open == 1
    raw.close()


async def test_stolen_cookie_is_worth_nothing(bench: Bench) -> None:
    """A ClientHello with a cookie made for another address opens no handshake."""
    server, client = await bench.server(), await bench.client()
    proxy = await bench.proxy(server)
    await client.request(sample_request(proxy.address)).response
    hello_with_cookie = proxy.seen[2][1]
    raw = await Raw.open(server.address)
    raw.send(hello_with_cookie)
    await until(lambda: len(raw.got) == 1, "an answer")
    assert handshake_messages(raw.got[0]) == ["HelloVerifyRequest"]
    assert server.counters.handshakes_open == 0
    raw.close()


async def test_session_is_replaced_only_after_the_cookie(bench: Bench) -> None:
    """From a known address, a first ClientHello changes nothing; one with its cookie does."""
    server, client = await bench.server(), await bench.client()
    proxy = await bench.proxy(server)
    await client.request(sample_request(proxy.address)).response
    other = await bench.client("LC-2")
    tap = await bench.proxy(server)
    await other.request(sample_request(tap.address)).response
    foreign_hello = tap.seen[0][1]

    link = next(iter(client._links.values()))
    front = link.local_address
    (await proxy._back(front)).sendto(foreign_hello)
    await until(lambda: server.counters.cookies_sent == 3, "a cookie for the forger")
    assert (await client.request(sample_request(proxy.address)).response).code == CHANGED
    assert server.counters.sessions_ended == {}

    # The true client forgets its session (as after a power cut) and comes from the same port.
    link._session = None
    assert (await client.request(sample_request(proxy.address)).response).code == CHANGED
    assert server.counters.sessions_ended == {"replaced": 1}
    assert server.counters.peers == 2


async def test_replayed_records_are_dropped(bench: Bench) -> None:
    """A captured request that is sent again reaches no handler."""
    server, client = await bench.server(), await bench.client()
    proxy = await bench.proxy(server)
    await client.request(sample_request(proxy.address)).response
    captured = proxy.seen[6][1]
    back = await proxy._back(next(iter(client._links.values())).local_address)
    back.sendto(captured)
    await client.request(sample_request(proxy.address)).response
    assert len(bench.samples) == 2
    # Nor does a late copy of the hello that opened the session disturb it.
    back.sendto(proxy.seen[2][1])
    await until(lambda: server.counters.junk == 1, "the copy is counted")
    await client.request(sample_request(proxy.address)).response
    assert server.counters.handshakes_ok == 1


async def test_idle_peers_go(bench: Bench) -> None:
    """Who says nothing for too long is told good-bye and may come back."""
    limits = ServerLimits(idle_seconds=0.05, watch_seconds=0.05)
    server, client = await bench.server(limits=limits), await bench.client()
    await client.request(sample_request(server)).response
    await until(lambda: server.counters.sessions_ended["idle"] == 1, "eviction")
    await until(lambda: client.counters.peers == 0, "the client hears of it")
    assert (await client.request(sample_request(server)).response).code == CHANGED


async def test_peers_are_bounded(bench: Bench) -> None:
    """With one peer too many, the one heard of longest ago goes."""
    server = await bench.server(limits=ServerLimits(max_peers=3))
    clients = [await bench.client() for _ in range(4)]
    for client in clients:
        await client.request(sample_request(server)).response
    assert server.counters.peers == 3
    assert server.counters.sessions_ended == {"crowded-out": 1}
    await until(lambda: clients[0].counters.peers == 0, "the first hears of it")
    assert (await clients[0].request(sample_request(server)).response).code == CHANGED


async def test_one_certificate_does_not_crowd_out_the_others(bench: Bench) -> None:
    """A cell that opens session after session loses its own oldest, not a neighbour's."""
    server = await bench.server(limits=ServerLimits(max_peers=4, max_sessions_per_certificate=2))
    neighbour = await bench.client("LC-2")
    await neighbour.request(sample_request(server)).response
    greedy = [await bench.client("LC-1") for _ in range(6)]
    for client in greedy:
        await client.request(sample_request(server)).response
    assert sorted(peer.name for peer in server.peers) == ["LC-1", "LC-1", "LC-2"]
    assert server.counters.sessions_ended == {"superseded": 4}
    await neighbour.request(sample_request(server)).response
    assert neighbour.counters.handshakes_ok == 1


async def test_mangled_traffic_raises_nothing(bench: Bench) -> None:
    """Bits that flip on the way, at either end and at any stage, reach no error handler."""
    escaped: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    server = await bench.server()
    proxy = await bench.proxy(server)
    client = await bench.client(times=ClientTimes(silence=0.5))
    await client.request(sample_request(proxy.address)).response
    link = next(iter(client._links.values()))
    back = await proxy._back(link.local_address)
    dice = random.Random(4)  # noqa: S311 -- a row of accidents that can be repeated
    captured = list(proxy.seen)
    for _ in range(1500):
        origin, datagram = dice.choice(captured)
        mangled = bytearray(datagram)
        for _ in range(dice.randrange(1, 4)):
            mangled[dice.randrange(len(mangled))] = dice.randrange(256)
        cut = bytes(mangled[: dice.randrange(1, len(mangled) + 1)])
        mangled_or_cut = dice.choice([bytes(mangled), cut])
        if origin == "client":
            back.sendto(mangled_or_cut)
        else:
            proxy.front.sendto(mangled_or_cut, link.local_address)
        await asyncio.sleep(0)
    assert (await client.request(sample_request(proxy.address)).response).code == CHANGED
    assert escaped == []


async def test_open_handshakes_are_bounded_and_end(bench: Bench) -> None:
    """Handshakes that do not go on are bounded in number and in time."""
    limits = ServerLimits(max_handshakes=2, handshake_seconds=0.3, yield_seconds=0)
    server = await bench.server(limits=limits)
    for _ in range(3):
        proxy = await bench.proxy(server)
        # Nothing after the cookie passes: the handshake stays half open.
        proxy.filter = lambda origin, data: (
            origin == "client" or "HelloVerifyRequest" in handshake_messages(data)
        )
        client = await bench.client()
        request = client.request(sample_request(proxy.address))
        request.response.add_done_callback(lambda done: done.cancelled() or done.exception())
    await until(
        lambda: server.counters.handshakes_refused == {"crowded-out": 1, "timeout": 2}, "the end"
    )
    assert server.counters.handshakes_open == 0


async def test_handshakes_under_way_are_not_crowded_out(bench: Bench) -> None:
    """When more come at once than may be open, each has its turn, and none is thrown out."""
    limits = ServerLimits(max_handshakes=2, max_sessions_per_certificate=100)
    server = await bench.server(limits=limits)
    clients = [await bench.client() for _ in range(8)]
    requests = [client.request(sample_request(server)).response for client in clients]
    answers = await asyncio.gather(*requests)
    assert {answer.code for answer in answers} == {CHANGED}
    assert server.counters.handshakes_ok == 8
    assert server.counters.handshakes_refused == {}
    assert server.counters.hellos_deferred > 0


async def test_credentials_are_checked_at_the_start(bench: Bench) -> None:
    """A missing or wrong file is named before anything is opened."""
    good = bench.pki.credentials("LC-1")
    broken = bench.directory / "broken.pem"
    broken.write_text("junk")
    broken.chmod(0o600)
    cases = {
        "nowhere.pem: No such file": {"certificate": bench.directory / "nowhere.pem"},
        "broken.pem: is not a PEM certificate": {"certificate": broken},
        "broken.pem: is not a PEM private key": {"private_key": broken},
        "does not belong to": {"private_key": bench.pki.directory / "LC-2.key"},
        "broken.pem: is not a PEM revocation list": {"revocations": broken},
        "is not signed by": {"revocations": bench.pki.rogue.crl_path},
    }
    names = ("certificate", "private_key", "authority", "revocations")
    for sentence, change in cases.items():
        files = {name: getattr(good, name) for name in names} | change
        with pytest.raises(CredentialUnusable, match=sentence):
            await bench.client(Credentials(**files))
        with pytest.raises(CredentialUnusable, match=sentence):
            await bench.server(Credentials(**files))


async def test_a_private_key_that_others_can_read_is_refused(bench: Bench) -> None:
    """At both ends, with the file's name and mode; a mended mode is noticed as a change."""
    good = bench.pki.credentials("LC-1")
    key = bench.directory / "open.key"
    key.write_bytes(good.private_key.read_bytes())
    files = replace(good, private_key=key)
    for mode in (0o644, 0o660, 0o604):
        key.chmod(mode)
        with pytest.raises(CredentialUnusable, match=rf"open\.key must .* it has mode {mode:04o}"):
            await bench.client(files)
        with pytest.raises(CredentialUnusable, match=rf"open\.key must .* it has mode {mode:04o}"):
            await bench.server(files)
    before = files.fingerprint()
    key.chmod(0o600)
    assert files.fingerprint() != before
    await bench.client(files)


async def test_files_that_go_away_are_named(bench: Bench) -> None:
    """A client whose files vanish before its handshake tells which one is missing."""
    files = bench.pki.credentials("LC-1")
    own = Credentials(bench.directory / "c.pem", files.private_key, files.authority)
    own.certificate.write_bytes(files.certificate.read_bytes())
    server, client = await bench.server(), await bench.client(own)
    own.certificate.unlink()
    with pytest.raises(ChannelLost, match=r"c\.pem: No such file") as caught:
        await client.request(sample_request(server)).response
    assert isinstance(caught.value.problem, CredentialUnusable)
    own.certificate.write_bytes(files.certificate.read_bytes())
    assert (await client.request(sample_request(server)).response).code == CHANGED


async def test_handler_ends_with_its_session(bench: Bench) -> None:
    """A handler that is still at work when its peer goes is cancelled, and answers nobody."""
    started, ended = asyncio.Event(), asyncio.Event()

    class Slow(Resource):
        async def render_get(self, request: Message) -> Message:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return Message()

    server, client = await bench.server(), await bench.client()
    server.context.serversite.add_resource(["slow"], Slow())
    host, port = server.address
    request = client.request(Message(code=GET, uri=f"coaps://{host}:{port}/slow"))
    await started.wait()
    await client.shutdown()
    await ended.wait()
    with pytest.raises(LibraryShutdown):
        await request.response


async def test_slow_answers_come_separately(bench: Bench) -> None:
    """An answer that takes longer than the silence timer allows is waited for: it was ACKed."""

    class Slow(Resource):
        async def render_get(self, request: Message) -> Message:
            await asyncio.sleep(0.4)
            return Message(payload=b"at last")

    server = await bench.server()
    client = await bench.client(times=ClientTimes(silence=0.2))
    server.context.serversite.add_resource(["slow"], Slow())
    host, port = server.address
    request = client.request(Message(code=GET, uri=f"coaps://{host}:{port}/slow"))
    assert (await request.response).payload == b"at last"
    assert client.counters.reconnects == 0


async def test_ipv6(bench: Bench) -> None:
    """The same over IPv6, the address in the certificate."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 loopback: {error}")
    credentials = bench.pki.special("six", smartbox_profile("SB-6", ["::1"], "S1"))
    server = await bench.server(credentials, host="::1")
    client = await bench.client()
    uri = f"coaps://[::1]:{server.address[1]}/who"
    answer = await client.request(Message(code=GET, uri=uri)).response
    assert answer.payload == b"LC-1"


def test_client_imports_nothing_heavy() -> None:
    """A load cell's process carries no web framework, no models, no log machinery for this."""
    heavy = "{'pydantic', 'aiohttp', 'structlog', 'click', 'sqlalchemy', 'ssl'}"
    code = f"import sys, steelyard.coap.client; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() in {"[]", "['ssl']"}  # asyncio itself may import ssl
