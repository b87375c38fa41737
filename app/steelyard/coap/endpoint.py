"""The server's socket, its listener and its peers: many of them on one UDP port."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import structlog

from steelyard.coap.bridge import Channel
from steelyard.coap.cookies import CookieJar
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.dtls import Listener, Session, State
from steelyard.coap.errors import CredentialUnusable, HandshakeRefused, SessionEnded
from steelyard.coap.identity import PeerIdentity, read_identity
from steelyard.coap.records import client_random, is_client_hello

log = structlog.get_logger(__name__)

RECEIVE_BUFFER = 1 << 20

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a server keeps, and for how long (seconds).

    A handshake gives way to a newer one only after `yield_seconds`: when all cells come at once,
    those that are let in come to their end, and the others' hellos come again.
    """

    max_peers: int = 1024
    max_handshakes: int = 256
    yield_seconds: float = 5.0
    max_sessions_per_certificate: int = 4
    handshake_seconds: float = 30.0
    idle_seconds: float = 3600.0
    watch_seconds: float = 2.0
    cookie_seconds: float = 60.0


class Peer:
    """One address and its session: a `Channel` for the bridge."""

    def __init__(
        self,
        endpoint: "ServerEndpoint",
        address: Address,
        session: Session,
        hello_random: bytes,
        deadline: float,
    ) -> None:
        self._endpoint = endpoint
        self.address = address
        self.session = session
        self.hello_random = hello_random
        self.deadline = deadline
        self.began = endpoint.now()
        self.heard = endpoint.now()
        self.identity: PeerIdentity | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def host(self) -> str:
        return self.address[0]

    @property
    def port(self) -> int:
        return self.address[1]

    @property
    def local_address(self) -> Address:
        return self._endpoint.address

    @property
    def is_open(self) -> bool:
        return self.session.state is State.ESTABLISHED

    def send(self, data: bytes, *, expects_answer: bool) -> None:
        """Send a message; a peer that is gone gets nothing, and its own retries find the way."""
        del expects_answer
        if self.is_open:
            self._endpoint.send(self, data)


class ServerEndpoint(asyncio.DatagramProtocol):
    """The UDP socket, the listener and the peers."""

    def __init__(
        self, credentials: Credentials, limits: ServerLimits, counters: TransportCounters
    ) -> None:
        self._credentials = credentials
        self._limits = limits
        self._counters = counters
        self._cookies = CookieJar(limits.cookie_seconds)
        self._loop = asyncio.get_running_loop()
        # Least recently heard first: who has to go when there are too many.
        self._peers: OrderedDict[Address, Peer] = OrderedDict()
        self._handshakes: OrderedDict[Address, Peer] = OrderedDict()
        self.deliver: Callable[[Channel, bytes], None] = lambda *_: None
        self.lost: Callable[[Channel, Exception], None] = lambda *_: None
        self._fingerprint = credentials.fingerprint()
        self._revoked = credentials.revoked()
        self._listener = Listener(credentials.server_context(), self._cookies)
        self._transport: asyncio.DatagramTransport | None = None
        self._watcher: asyncio.Task[None] | None = None

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    @property
    def address(self) -> Address:
        """The bound host and port."""
        assert self._transport is not None, "not bound"  # noqa: S101 -- a programming error
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    @property
    def identities(self) -> list[PeerIdentity]:
        """Who has a session now."""
        return [peer.identity for peer in self._peers.values() if peer.identity is not None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch the files and the peers' ages."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        # Room for a burst of handshakes: all cells come at once after a power cut.
        udp: socket.socket = transport.get_extra_info("socket")
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._watcher = self._loop.create_task(self._watch(), name="coap server watch")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Give a datagram to its peer, to the listener, or to nobody."""
        self._counters.datagrams_in += 1
        peer = self._peers.get(addr)
        if is_client_hello(data) and (peer is None or peer.hello_random != client_random(data)):
            self._greet(data, addr, peer)
        elif peer is None or (peer.is_open and is_client_hello(data)):
            # The second: a late copy of the hello that opened the very session.
            self._counters.junk += 1
        else:
            self._feed(peer, data)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error can be forged and says nothing about a session."""

    def send(self, peer: Peer, data: bytes) -> None:
        """Encrypt and send one message."""
        try:
            peer.session.send(data)
        except SessionEnded as problem:
            self._drop(peer, problem)
            return
        self._flush(peer)

    def reload_revocations(self) -> None:
        """Read the credential files again and drop the sessions of revoked certificates.

        Raises CredentialUnusable, and keeps what it has, when the new files are not usable.
        """
        fingerprint = self._credentials.fingerprint()
        revoked = self._credentials.revoked()
        listener = Listener(self._credentials.server_context(), self._cookies)
        self._fingerprint, self._revoked, self._listener = fingerprint, revoked, listener
        for peer in list(self._peers.values()):
            if peer.identity is not None and peer.identity.certificate_serial in revoked:
                self._drop(peer, SessionEnded("revoked", "the peer's certificate was revoked"))
        log.info("revocations loaded", revoked=len(revoked), peers=len(self._peers))

    async def close(self) -> None:
        """Say close_notify to every peer and close the socket."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for peer in list(self._peers.values()):
            self._drop(peer, SessionEnded("shutdown", "the server is shutting down"))
        if self._transport is not None:
            self._transport.close()

    # -- ClientHellos ----------------------------------------------------------------------

    def _greet(self, data: bytes, address: Address, known: Peer | None) -> None:
        if self._is_crowded():
            self._counters.hellos_deferred += 1
            return
        answer, session = self._listener.offer(data, repr(address).encode())
        self._send_all(answer, address)
        self._counters.cookies_sent += len(answer)
        if session is None:
            if not answer:
                self._counters.junk += 1
            return
        # Only now has the address shown that it is there: the old session may go (4.2.8).
        if known is not None:
            self._drop(known, SessionEnded("replaced", "the peer opened a new session"), quiet=True)
        self._make_room()
        deadline = self.now() + self._limits.handshake_seconds
        peer = Peer(self, address, session, client_random(data), deadline)
        self._peers[address] = self._handshakes[address] = peer
        self._gauge()
        self._after(peer)

    def _is_crowded(self) -> bool:
        """Whether as many handshakes are open as may be, all of them begun just now."""
        if len(self._handshakes) < self._limits.max_handshakes:
            return False
        oldest = next(iter(self._handshakes.values()))
        return self.now() - oldest.began < self._limits.yield_seconds

    def _make_room(self) -> None:
        if len(self._handshakes) >= self._limits.max_handshakes:
            oldest = next(iter(self._handshakes.values()))
            self._drop(oldest, HandshakeRefused("crowded-out", "too many handshakes are open"))
        if len(self._peers) >= self._limits.max_peers:
            oldest = next(iter(self._peers.values()))
            self._drop(oldest, SessionEnded("crowded-out", "too many peers have a session"))

    # -- one peer --------------------------------------------------------------------------

    def _feed(self, peer: Peer, data: bytes) -> None:
        plaintexts = peer.session.receive(data)
        if peer.address in self._handshakes and peer.session.state is not State.HANDSHAKING:
            self._settle(peer)
        self._after(peer)
        if plaintexts and self._peers.get(peer.address) is peer:
            peer.heard = self.now()
            self._peers.move_to_end(peer.address)
        for plaintext in plaintexts:
            if self._peers.get(peer.address) is peer:
                self.deliver(peer, plaintext)

    def _settle(self, peer: Peer) -> None:
        """The handshake is over; its session may still be refused."""
        certificate = peer.session.certificate
        if peer.session.state is not State.ESTABLISHED or certificate is None:
            return
        identity = read_identity(certificate)
        if identity.certificate_serial in self._revoked:
            # The list changed while the handshake was under way.
            self._drop(peer, HandshakeRefused("revoked", "the peer's certificate was revoked"))
            return
        del self._handshakes[peer.address]
        self._supersede(identity)
        peer.identity = identity
        peer.heard = self.now()
        self._counters.handshakes_ok += 1
        self._gauge()
        log.debug("session opened", peer=peer.host, name=identity.name)

    def _supersede(self, identity: PeerIdentity) -> None:
        """Keep one certificate from crowding out the others, and dead sessions from staying."""
        same = [
            peer
            for peer in self._peers.values()
            if peer.identity is not None
            and peer.identity.certificate_serial == identity.certificate_serial
        ]
        if len(same) >= self._limits.max_sessions_per_certificate:
            problem = SessionEnded("superseded", "the same certificate has newer sessions")
            self._drop(same[0], problem)

    def _after(self, peer: Peer) -> None:
        """Send what is to be sent, and see whether the session is over or needs a timer."""
        self._flush(peer)
        if peer.session.problem is not None:
            self._drop(peer, peer.session.problem)  # nothing, where it was dropped already
            return
        if peer.timer is not None:
            peer.timer.cancel()
            peer.timer = None
        timeout = peer.session.timeout
        if peer.session.state is State.HANDSHAKING and self._peers.get(peer.address) is peer:
            wake = self.now() + timeout if timeout is not None else peer.deadline
            peer.timer = self._loop.call_at(min(wake, peer.deadline), self._tick, peer)

    def _tick(self, peer: Peer) -> None:
        peer.timer = None
        if self.now() >= peer.deadline:
            self._drop(peer, HandshakeRefused("timeout", "the handshake took too long"))
            return
        peer.session.handle_timeout()
        self._after(peer)

    def _drop(
        self, peer: Peer, problem: HandshakeRefused | SessionEnded, *, quiet: bool = False
    ) -> None:
        """Forget a peer, with a close_notify unless `quiet` (its old keys are gone)."""
        if self._peers.get(peer.address) is not peer:
            return
        del self._peers[peer.address]
        opening = self._handshakes.pop(peer.address, None) is not None
        if peer.timer is not None:
            peer.timer.cancel()
        peer.session.close(problem)
        datagrams = peer.session.outgoing()
        if not quiet:
            self._send_all(datagrams, peer.address)
        counter = self._counters.handshakes_refused if opening else self._counters.sessions_ended
        counter[problem.reason] += 1
        self._gauge()
        if opening:
            log.warning("handshake refused", peer=peer.host, reason=problem.reason)
        self.lost(peer, problem)

    # -- the socket ------------------------------------------------------------------------

    def _flush(self, peer: Peer) -> None:
        self._send_all(peer.session.outgoing(), peer.address)

    def _send_all(self, datagrams: list[bytes], address: Address) -> None:
        if self._transport is None:
            return
        self._counters.datagrams_out += len(datagrams)
        for datagram in datagrams:
            self._transport.sendto(datagram, address)

    def _gauge(self) -> None:
        self._counters.peers = len(self._peers) - len(self._handshakes)
        self._counters.handshakes_open = len(self._handshakes)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._limits.watch_seconds)
            if self._credentials.fingerprint() != self._fingerprint:
                try:
                    self.reload_revocations()
                except CredentialUnusable as problem:
                    log.warning("credentials not reloaded", problem=str(problem))
            self._expire()

    def _expire(self) -> None:
        moment, oldest = datetime.now(UTC), self.now() - self._limits.idle_seconds
        for peer in list(self._peers.values()):
            if peer.identity is None:
                continue
            if peer.identity.not_after <= moment:
                self._drop(peer, SessionEnded("expired", "the peer's certificate expired"))
            elif peer.heard < oldest:
                self._drop(peer, SessionEnded("idle", "nothing came for too long"))
