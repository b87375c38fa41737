"""A client's way to one server: it survives lost datagrams and a restarted server."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from steelyard.coap.bridge import Channel
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.dtls import Session, State
from steelyard.coap.errors import CredentialUnusable, HandshakeRefused, SessionEnded
from steelyard.coap.identity import PeerIdentity, read_identity

MAX_PENDING = 64
# aiocoap sends a message for the last time at most 45 s after the first and gives up by 93 s:
# what it has not sent again for so long, nobody waits for any more.
_FORGET_SECONDS = 50.0


@dataclass(frozen=True, slots=True)
class ClientTimes:
    """How long a client waits (seconds).

    DTLS has no reset: a server that lost its sessions keeps silent. After `silence` without an
    answer to what was sent, the client shakes hands anew. So it does when a handshake hears nothing
    for as long, or is not done after `handshake`.
    """

    silence: float = 10.0
    handshake: float = 30.0


class Link(asyncio.DatagramProtocol):
    """The way to one server: a `Channel` that outlives its DTLS sessions.

    Messages that want an answer are kept until something comes back, and sent again on the next
    session, so the server may see a request twice (as with any CoAP retransmission across its
    restart): handlers are written for that.
    """

    def __init__(
        self,
        credentials: Credentials,
        server_name: str,
        peer: tuple[str, int],
        times: ClientTimes,
        counters: TransportCounters,
    ) -> None:
        self._credentials = credentials
        self._server_name = server_name
        self.host, self.port = peer
        self._times = times
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._addresses: list[tuple[str, int]] = []
        self._moving: asyncio.Task[None] | None = None
        self._closed = False
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._heard = 0.0
        self._waiting_since: float | None = None
        # The last time that aiocoap sent it, by message: a retransmission is the same bytes.
        self._pending: dict[bytes, float] = {}
        self.identity: PeerIdentity | None = None
        self.deliver: Callable[[Channel, bytes], None] = lambda *_: None
        self.lost: Callable[[Channel, Exception], None] = lambda *_: None

    @property
    def local_address(self) -> tuple[str, int]:
        assert self._transport is not None, "not connected"  # noqa: S101 -- a programming error
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    @property
    def is_open(self) -> bool:
        return self._session is not None and self._session.state is State.ESTABLISHED

    @property
    def is_usable(self) -> bool:
        """Whether it was not closed."""
        return not self._closed

    async def open(self) -> None:
        """Resolve the host and open a socket to its first address. Raises OSError."""
        found = await self._loop.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        hosts = list(dict.fromkeys(str(info[4][0]) for info in found))
        # A single one stays as it was written: a link-local address keeps its zone.
        self._addresses = [(host, self.port) for host in (hosts if len(hosts) > 1 else [self.host])]
        await self._open_socket()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the handshake waits for the first message."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error can be forged and may pass: the timers decide."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take in what the server sent."""
        del addr  # the socket is connected: nobody else's datagrams come
        self._counters.datagrams_in += 1
        session = self._session
        if session is None:
            self._counters.junk += 1
            return
        handshaking = session.state is State.HANDSHAKING
        self._heard = self._loop.time()
        plaintexts = session.receive(data)
        if handshaking and session.state is State.ESTABLISHED:
            self._settle(session)
        if plaintexts:
            self._pending.clear()
            self._waiting_since = None
        self._after()
        for plaintext in plaintexts:
            self.deliver(self, plaintext)

    def send(self, data: bytes, *, expects_answer: bool) -> None:
        """Send a message now, or as soon as there is a session."""
        if expects_answer:
            self._keep(data)
        elif not self.is_open:
            return  # an acknowledgement belongs to the session that asked for it
        if self.is_open:
            self._write(data)
            self._after()
        elif self._session is None:
            self._shake_hands()

    def close(self) -> None:
        """Say close_notify and close the socket."""
        self._closed = True
        self._pending.clear()
        if self._moving is not None:
            self._moving.cancel()
        self._end_session(SessionEnded("shutdown", "the client is shutting down"))
        if self._transport is not None:
            self._transport.close()

    def _keep(self, data: bytes) -> None:
        self._pending[data] = self._loop.time()
        if len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        if self._waiting_since is None:
            self._waiting_since = self._loop.time()

    def _shake_hands(self) -> None:
        self._end_session(SessionEnded("silence", "the server keeps silent"))
        try:
            # Read each time: a certificate may have been renewed since.
            context = self._credentials.client_context()
        except CredentialUnusable as problem:
            self._fail(problem)
            return
        self._session = Session.connect(context, self._server_name)
        self._began = self._heard = self._loop.time()
        self._after()

    def _settle(self, session: Session) -> None:
        if session.certificate is not None:
            self.identity = read_identity(session.certificate)
        self._counters.handshakes_ok += 1
        self._counters.peers = 1
        self._waiting_since = self._loop.time() if self._pending else None
        for data in list(self._pending):
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._session is None:
            return
        try:
            self._session.send(data)
        except SessionEnded as problem:
            self._fail(problem)

    def _after(self) -> None:
        """Send what is to be sent; see whether the session is over; set the timer."""
        self._flush()
        session = self._session
        if session is not None and session.problem is not None:
            if isinstance(session.problem, HandshakeRefused):
                self._fail(session.problem)
            else:
                # The server said good-bye; the next (re)transmission shakes hands.
                self._end_session(session.problem)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._wake_time()
        if wake is not None:
            self._timer = self._loop.call_at(wake, self._tick)

    def _wake_time(self) -> float | None:
        session = self._session
        if session is None:
            return None
        if session.state is State.HANDSHAKING:
            timeout = session.timeout
            deadline = self._handshake_deadline()
            return deadline if timeout is None else min(deadline, self._loop.time() + timeout)
        return None if self._waiting_since is None else self._waiting_since + self._times.silence

    def _handshake_deadline(self) -> float:
        return min(self._began + self._times.handshake, self._heard + self._times.silence)

    def _tick(self) -> None:
        self._timer = None
        session, now = self._session, self._loop.time()
        if session is None:
            return
        if session.state is State.HANDSHAKING:
            if now < self._handshake_deadline():
                session.handle_timeout()
                self._after()
                return
            self._counters.handshakes_refused["timeout"] += 1
        self._pending = {
            data: sent for data, sent in self._pending.items() if now - sent < _FORGET_SECONDS
        }
        if self._pending:
            self._counters.reconnects += 1
            if self._heard > self._began or len(self._addresses) < 2:
                self._shake_hands()
            else:
                self._moving = self._loop.create_task(self._move_on(), name="coap next address")
        else:
            self._waiting_since = None
            if session.state is State.HANDSHAKING:
                self._end_session(SessionEnded("unreachable", "the server does not answer"))

    async def _move_on(self) -> None:
        """Nobody at all answered at this address: the host's next one may be the right one."""
        self._end_session(SessionEnded("unreachable", "the server does not answer"))
        for _ in self._addresses:
            self._addresses.append(self._addresses.pop(0))
            try:
                await self._open_socket()
            except OSError:
                continue
            break
        self._shake_hands()

    async def _open_socket(self) -> None:
        old, self._transport = self._transport, None
        if old is not None:
            old.close()
        address = self._addresses[0]
        transport, _ = await self._loop.create_datagram_endpoint(lambda: self, remote_addr=address)
        if self._closed:
            transport.close()

    def _fail(self, problem: Exception) -> None:
        """Tell the requests under way; the next request tries anew."""
        self._pending.clear()
        if isinstance(problem, HandshakeRefused):
            self._counters.handshakes_refused[problem.reason] += 1
            self._flush()
            self._session = None
        else:
            self._end_session(SessionEnded("failed", str(problem)))
        self._waiting_since = None
        self.lost(self, problem)

    def _end_session(self, problem: SessionEnded) -> None:
        session, self._session = self._session, None
        self.identity = None
        self._counters.peers = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if session is None:
            return
        if session.state is State.ESTABLISHED or isinstance(session.problem, SessionEnded):
            self._counters.sessions_ended[problem.reason] += 1
        session.close(problem)
        self._send_all(session.outgoing())

    def _flush(self) -> None:
        if self._session is not None:
            self._send_all(self._session.outgoing())

    def _send_all(self, datagrams: list[bytes]) -> None:
        if self._transport is None:
            return
        self._counters.datagrams_out += len(datagrams)
        for datagram in datagrams:
            self._transport.sendto(datagram)
