"""The engine without sockets: datagrams in, datagrams and plaintexts out."""

from dataclasses import dataclass

import pytest
from coap_harness import Pki
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL._util import lib as openssl

from steelyard.coap.cookies import CookieJar
from steelyard.coap.dtls import MTU, Listener, Session, State, clear_error_queue
from steelyard.coap.errors import SessionEnded
from steelyard.coap.records import split_records


@dataclass
class Pair:
    """Two ends with nothing between them."""

    listener: Listener
    client: Session
    server: Session

    def to_server(self) -> list[bytes]:
        return [plain for one in self.client.outgoing() for plain in self.server.receive(one)]

    def to_client(self) -> list[bytes]:
        return [plain for one in self.server.outgoing() for plain in self.client.receive(one)]


def new_listener(pki: Pki) -> Listener:
    return Listener(pki.credentials("SB-1").server_context(), CookieJar(60))


def begin(pki: Pki) -> Pair:
    """Up to the server's first flight."""
    listener = new_listener(pki)
    client = Session.connect(pki.credentials("LC-1").client_context(), "127.0.0.1")
    (hello,) = client.outgoing()
    (answer,), nobody = listener.offer(hello, b"here")
    assert nobody is None
    client.receive(answer)
    (hello,) = client.outgoing()
    nothing, server = listener.offer(hello, b"here")
    assert nothing == []
    assert server is not None
    return Pair(listener, client, server)


@pytest.fixture
def pair(pki: Pki) -> Pair:
    """Two established ends."""
    one = begin(pki)
    one.to_client()
    one.to_server()
    one.to_client()
    assert one.client.state is one.server.state is State.ESTABLISHED
    return one


def test_exchange(pair: Pair) -> None:
    """Messages go both ways, one record each."""
    pair.client.send(b"request")
    pair.client.send(b"another")
    assert pair.to_server() == [b"request", b"another"]
    pair.server.send(b"response")
    assert pair.to_client() == [b"response"]
    assert pair.client.timeout is None


def test_several_records_in_a_datagram(pair: Pair) -> None:
    """A datagram may hold several messages, and junk behind them."""
    pair.client.send(b"one")
    pair.client.send(b"two")
    assert pair.server.receive(b"".join(pair.client.outgoing()) + b"\x17junk") == [b"one", b"two"]


def test_boundaries_are_not_lost(pair: Pair) -> None:
    """A cut-off record does not swallow the beginning of the next datagram."""
    pair.client.send(b"one")
    pair.client.send(b"two")
    first, second = (r for one in pair.client.outgoing() for r in split_records(one))
    assert pair.server.receive(first[:20]) == []
    assert pair.server.receive(second) == [b"two"]
    assert pair.server.receive(first) == [b"one"], "late, but not replayed"


def test_replay_and_forgery_are_dropped(pair: Pair) -> None:
    """A record counts once, and a changed one not at all; neither ends the session."""
    pair.client.send(b"one")
    (datagram,) = pair.client.outgoing()
    forged = datagram[:-1] + bytes([datagram[-1] ^ 1])
    assert pair.server.receive(forged) == []
    assert pair.server.receive(datagram) == [b"one"]
    assert pair.server.receive(datagram) == []
    assert pair.server.state is State.ESTABLISHED


def test_plain_alert_does_not_end_a_session(pair: Pair) -> None:
    """Anybody can send an unprotected alert; nobody listens to it."""
    alert = bytes.fromhex("15fefd00000000000000090002022a")
    assert pair.server.receive(alert) == []
    assert pair.client.receive(alert) == []
    assert pair.client.state is pair.server.state is State.ESTABLISHED


def test_renegotiation_is_refused(pair: Pair) -> None:
    """The keys and the identity of a session do not change under it."""
    assert pair.server._connection is not None
    with pytest.raises(Exception, match="no renegotiation"):
        pair.client._connection.renegotiate()
    clear_error_queue()


def test_close_notify(pair: Pair) -> None:
    """Closing tells the peer, which answers; then neither sends any more."""
    pair.client.close(SessionEnded("done"))
    assert pair.to_server() == []
    assert pair.server.state is State.ENDED
    assert pair.server.problem is not None
    assert pair.server.problem.reason == "closed-by-peer"
    with pytest.raises(SessionEnded):
        pair.server.send(b"too late")
    with pytest.raises(SessionEnded):
        pair.client.send(b"too late")
    assert pair.server._connection is None, "OpenSSL's memory is given back"


def test_no_session_ticket_and_the_right_parameters(pair: Pair) -> None:
    """No state for resumption travels; DTLS 1.2, GCM and P-256 were agreed."""
    connection = pair.client._connection
    assert connection.get_cipher_name() == "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert connection.get_protocol_version_name() == "DTLSv1.2"
    assert connection.get_group_name().lower() in {"secp256r1", "prime256v1", "p-256"}


def test_flights_respect_the_mtu(pki: Pki) -> None:
    """No handshake datagram is larger than what an IPv6 path carries."""
    pair = begin(pki)
    flights = pair.server.outgoing()
    for one in flights:
        pair.client.receive(one)
    flights += pair.client.outgoing()
    assert all(len(one) <= MTU for one in flights)


def test_handshake_timer_runs_until_it_is_over(pki: Pki) -> None:
    """While the handshake is open OpenSSL wants to be called again; afterwards it does not."""
    pair = begin(pki)
    assert pair.client.timeout is not None
    assert 0 < pair.server.timeout <= 1.0
    pair.to_client()
    pair.to_server()
    assert pair.server.timeout is None


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_listener_takes_any_junk(pki: Pki, junk: bytes) -> None:
    """No datagram opens a session without a cookie, raises, or leaves an error behind."""
    listener = new_listener(pki)
    header = b"\x16\xfe\xff" + bytes(8) + len(junk).to_bytes(2, "big")
    for datagram in (junk, header + junk, header + b"\x01" + junk):
        _, session = listener.offer(datagram, b"there")
        assert session is None
        assert openssl.ERR_peek_error() == 0


def test_junk_disturbs_neither_the_listener_nor_sessions(pki: Pki, pair: Pair) -> None:
    """What OpenSSL makes of junk does not surface in somebody else's session."""
    client = Session.connect(pki.credentials("LC-2").client_context(), "127.0.0.1")
    (hello,) = client.outgoing()
    for cut in range(20, len(hello), 7):
        spoiled = hello[:cut] + b"\xa5" * (len(hello) - cut)
        pair.listener.offer(spoiled, b"there")
        assert openssl.ERR_peek_error() == 0
        pair.client.send(b"still")
        assert pair.to_server() == [b"still"]
    (answer,), _ = pair.listener.offer(hello, b"there")
    client.receive(answer)
    (hello,) = client.outgoing()
    assert pair.listener.offer(hello, b"elsewhere")[1] is None
    assert pair.listener.offer(hello, b"there")[1] is not None


@given(st.lists(st.binary(max_size=120), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_session_takes_any_junk(pair: Pair, junk: list[bytes]) -> None:
    """Junk of any kind never ends an established session."""
    for one in junk:
        record = b"\x17\xfe\xfd\x00\x01" + bytes(5) + b"\x09" + len(one).to_bytes(2, "big") + one
        pair.server.receive(one)
        pair.server.receive(record)
        pair.server.receive(b"\x16" + record[1:])
        pair.server.receive(b"\x14" + record[1:])
    pair.client.send(b"alive")
    assert pair.to_server() == [b"alive"]


def test_error_queue_can_be_emptied(pki: Pki) -> None:
    """When the private call that pyOpenSSL has for it goes, this tells."""
    context = pki.credentials("LC-1").client_context()
    openssl.SSL_CTX_set_cipher_list(context._context, b"NONSENSE")
    assert openssl.ERR_peek_error() != 0
    clear_error_queue()
    assert openssl.ERR_peek_error() == 0
