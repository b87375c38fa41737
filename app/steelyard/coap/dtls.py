"""DTLS 1.2 without sockets: datagrams and time go in, datagrams and plaintexts come out.

One `Session` is one association from its first ClientHello to its end; a `Listener` answers
ClientHellos without keeping anything for them until a cookie comes back (RFC 6347, 4.2.1).
"""

from enum import Enum, auto

from cryptography import x509
from OpenSSL import SSL
from OpenSSL._util import lib as _openssl  # private: see clear_error_queue

from steelyard.coap.cookies import CookieJar
from steelyard.coap.credentials import ConnectionData
from steelyard.coap.errors import HandshakeRefused, SessionEnded
from steelyard.coap.records import client_random, is_client_hello, pack_records, split_records

# What an IPv6 path carries for certain, 1280 bytes, less the IPv6 and UDP headers.
MTU = 1232
_READ_SIZE = 16_384

_ALERT_REASONS = {
    "unknown ca": "unknown-authority",
    "certificate expired": "expired",
    "certificate revoked": "revoked",
    "unsupported certificate": "wrong-purpose",
    "peer did not return a certificate": "no-certificate",
    "no shared cipher": "no-common-cipher",
    "no suitable signature algorithm": "no-common-cipher",
    "unsupported protocol": "wrong-version",
    "wrong version number": "wrong-version",
}


class State(Enum):
    """Where a session is."""

    HANDSHAKING = auto()
    ESTABLISHED = auto()
    ENDED = auto()


class Session:
    """One DTLS association over a connection that does not know about sockets.

    After every call that may write, `outgoing()` has the datagrams to send. When `state` is
    ENDED, `problem` says why: HandshakeRefused, or SessionEnded after the peer's close_notify.
    """

    def __init__(self, connection: SSL.Connection, data: ConnectionData) -> None:
        self._connection: SSL.Connection | None = connection
        self._data = data
        self.state = State.HANDSHAKING
        self.problem: HandshakeRefused | SessionEnded | None = None
        self.certificate: x509.Certificate | None = None
        self._datagrams: list[bytes] = []

    @classmethod
    def connect(cls, context: SSL.Context, server_name: str) -> "Session":
        """Begin as the client; `server_name` must stand in the server's certificate."""
        data = ConnectionData(server_name=server_name, is_client=True)
        connection = _connection(context, data)
        connection.set_connect_state()
        session = cls(connection, data)
        session.proceed()
        return session

    @property
    def timeout(self) -> float | None:
        """Seconds until `handle_timeout` wants to be called; None while there is no need."""
        if self._connection is None or self.state is not State.HANDSHAKING:
            return None
        return self._connection.DTLSv1_get_timeout()

    def proceed(self) -> None:
        """Drive the handshake with what is there."""
        connection = self._connection
        if connection is None or self.state is not State.HANDSHAKING:
            return
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self._drain()
            self._end(self._refusal(error))
            return
        else:
            self.certificate = connection.get_peer_certificate(as_cryptography=True)
            self.state = State.ESTABLISHED
        self._drain()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take in a datagram; the plaintexts that it held, in order.

        Records that do not authenticate, were seen before or belong to another epoch are dropped
        silently, as RFC 6347, sections 4.1.2.6 and 4.1.2.7, have it.
        """
        plaintexts: list[bytes] = []
        for record in split_records(datagram):
            if self._connection is None:
                break
            self._connection.bio_write(record)
            opens = self.state is State.HANDSHAKING
            if opens:
                self.proceed()
            while self.state is State.ESTABLISHED and (plaintext := self._read()) is not None:
                plaintexts.append(plaintext)
                if not opens:
                    break  # a record is a message; only what came too early was held back
        return plaintexts

    def send(self, plaintext: bytes) -> None:
        """Encrypt one message into one record. Raises SessionEnded where there is no session."""
        if self._connection is None or self.state is not State.ESTABLISHED:
            raise SessionEnded("not-established", "there is no DTLS session to send on")
        try:
            self._connection.send(plaintext)
        except SSL.Error as error:
            raise SessionEnded("failed", _sentence(error)) from None
        self._drain()

    def handle_timeout(self) -> None:
        """Send the last flight again when its time has come."""
        if self._connection is None:
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._end(HandshakeRefused("timeout", _sentence(error)))
        else:
            self._drain()

    def close(self, problem: SessionEnded | HandshakeRefused) -> None:
        """End it from this side, with a close_notify where there is a session."""
        if self._connection is not None and self.state is State.ESTABLISHED:
            try:
                self._connection.shutdown()
            except SSL.Error:
                # The peer learns by its silence timer; there is nobody else to tell.
                clear_error_queue()
            self._drain()
        self._end(problem)

    def outgoing(self) -> list[bytes]:
        """The datagrams to send now, handed out once."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def _read(self) -> bytes | None:
        """The next plaintext; None when nothing is left, or the session has ended."""
        if self._connection is None:
            return None
        try:
            return self._connection.recv(_READ_SIZE)
        except SSL.WantReadError:
            self._drain()  # OpenSSL may have had something to say to it
        except SSL.ZeroReturnError:
            # Answer with our own close_notify (RFC 5246, 7.2.1).
            self.close(SessionEnded("closed-by-peer", "the peer closed the DTLS session"))
        except SSL.Error as error:
            self._drain()
            self._end(SessionEnded("failed", _sentence(error)))
        return None

    def _drain(self) -> None:
        if self._connection is not None:
            self._datagrams += drain(self._connection)

    def _end(self, problem: HandshakeRefused | SessionEnded) -> None:
        self.state = State.ENDED
        self.problem = problem
        # OpenSSL's buffers go at once: aiocoap may hold on to the remote for a minute more.
        self._connection = None
        clear_error_queue()

    def _refusal(self, error: SSL.Error) -> HandshakeRefused:
        if self._data.refusal is not None:
            reason = self._data.refusal
            return HandshakeRefused(reason, f"this end refused the peer's certificate: {reason}")
        text = _sentence(error)
        reason = next((word for part, word in _ALERT_REASONS.items() if part in text), "protocol")
        if "alert" in text:
            return HandshakeRefused(f"peer-says-{reason}", f"the peer refused: {text}")
        return HandshakeRefused(reason, text)


class Listener:
    """Answers ClientHellos of any address without keeping state for them."""

    def __init__(self, context: SSL.Context, cookies: CookieJar) -> None:
        self._context = context
        self._cookies = cookies
        context.set_cookie_generate_callback(self._make_cookie)
        context.set_cookie_verify_callback(self._verify_cookie)
        self._prepare()

    def offer(self, datagram: bytes, address: bytes) -> tuple[list[bytes], Session | None]:
        """Datagrams to send back, and a session once the address has proved itself.

        Neither for what is not a ClientHello.
        """
        records = split_records(datagram) if is_client_hello(datagram) else []
        if not records:
            return [], None
        hello = records[0]
        connection, data = self._connection, self._data
        data.address = address
        connection.bio_write(hello)
        try:
            connection.DTLSv1_listen()
        except SSL.Error:
            # WantReadError means that a HelloVerifyRequest is on its way, or that it was junk.
            answer = drain(connection)
            if not answer:
                # Junk: nothing of it may be left in a buffer for the next address.
                self._prepare()
            # What it left on OpenSSL's queue would look like the next session's own error.
            clear_error_queue()
            return answer, None
        self._prepare()
        return [], self._accept(connection, data, hello)

    def _accept(self, connection: SSL.Connection, data: ConnectionData, hello: bytes) -> Session:
        session = Session(connection, data)
        session.proceed()
        if session.state is State.HANDSHAKING and not session._datagrams:  # noqa: SLF001 -- ours
            # Some versions of OpenSSL swallow the hello in DTLSv1_listen.
            connection.bio_write(hello)
            session.proceed()
        return session

    def _prepare(self) -> None:
        self._data = ConnectionData()
        self._connection = _connection(self._context, self._data)
        self._connection.set_accept_state()

    def _make_cookie(self, connection: SSL.Connection) -> bytes:
        data: ConnectionData = connection.get_app_data()
        return self._cookies.make(data.address)

    def _verify_cookie(self, connection: SSL.Connection, cookie: bytes) -> bool:
        data: ConnectionData = connection.get_app_data()
        return self._cookies.verify(data.address, cookie)


def clear_error_queue() -> None:
    """Empty OpenSSL's error queue of this thread.

    pyOpenSSL leaves errors there when DTLSv1_listen drops junk, and offers no public call for
    it; tests/coap/test_dtls.py notices if the private one goes.
    """
    _openssl.ERR_clear_error()


def drain(connection: SSL.Connection) -> list[bytes]:
    """What a connection has written, as datagrams."""
    flight, filled = b"", True
    while filled:
        try:
            read = connection.bio_read(_READ_SIZE)
        except SSL.WantReadError:
            break
        flight += read
        filled = len(read) == _READ_SIZE
    return pack_records(flight, MTU)


def _connection(context: SSL.Context, data: ConnectionData) -> SSL.Connection:
    connection = SSL.Connection(context, None)
    connection.set_app_data(data)
    connection.set_ciphertext_mtu(MTU)
    return connection


def _sentence(error: SSL.Error) -> str:
    parts = error.args[0] if error.args and isinstance(error.args[0], list) else []
    texts = [str(entry[2]) for entry in parts if len(entry) > 2 and entry[2]]
    return "; ".join(texts) or "the DTLS engine failed"


__all__ = ["MTU", "Listener", "Session", "State", "clear_error_queue", "client_random", "drain"]
