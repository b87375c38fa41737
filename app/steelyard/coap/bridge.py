"""Where our transport plugs in under aiocoap: the one place that uses its private interface.

aiocoap 0.4.17 is pinned. Used beyond its public interface: `Context._append_tokenmanaged_
messagemanaged_transport`, and the methods that it calls on a MessageInterface (`send`,
`recognize_remote`, `determine_remote`, `shutdown`) and that we call on its message manager
(`dispatch_message`, `dispatch_error`). tests/coap/test_bridge.py notices if one of them changes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from aiocoap import Context, Message
from aiocoap.error import NetworkError, ResolutionError, UnparsableMessage
from aiocoap.interfaces import EndpointAddress, MessageInterface
from aiocoap.numbers import COAPS_PORT
from aiocoap.numbers.constants import MAX_REGULAR_BLOCK_SIZE_EXP, TransportTuning
from aiocoap.numbers.types import ACK, CON, RST
from aiocoap.resource import Site
from aiocoap.util import hostportjoin, hostportsplit

from steelyard.coap.counters import TransportCounters
from steelyard.coap.duplicates import Duplicates
from steelyard.coap.identity import PeerIdentity
from steelyard.coap.plain import PlainPost, read_plain_post

AIOCOAP_VERSION = "0.4.17"


class ChannelLost(NetworkError):  # type: ignore[misc] # aiocoap has no types
    """The way to the peer is gone; `problem` (also its `__cause__`) says why."""

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.__cause__ = problem

    def __str__(self) -> str:
        # aiocoap's own would name the class only.
        return str(self.problem)


class Tuning(TransportTuning):  # type: ignore[misc] # aiocoap has no types
    """RFC 7252's parameters, but aiocoap keeps no message for duplicates: `Duplicates` does."""

    EXCHANGE_LIFETIME = 0.0


class Channel(Protocol):
    """One peer, as our transport has it."""

    @property
    def identity(self) -> PeerIdentity | None: ...

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def local_address(self) -> tuple[str, int]: ...

    def send(self, data: bytes, *, expects_answer: bool) -> None: ...


class Remote(EndpointAddress):  # type: ignore[misc] # aiocoap has no types
    """A peer as aiocoap sees it. Equal only to itself: requests never cross sessions of a server
    (RFC 7252, section 9.1.2).
    """

    is_multicast = False
    is_multicast_locally = False
    scheme = "coaps"

    maximum_block_size_exp = MAX_REGULAR_BLOCK_SIZE_EXP

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def __repr__(self) -> str:
        return f"<Remote {self.hostinfo}>"

    @property
    def hostinfo(self) -> str:
        return _authority(self.channel.host, self.channel.port)

    @property
    def hostinfo_local(self) -> str:
        return _authority(*self.channel.local_address)

    @property
    def uri_base(self) -> str:
        return f"coaps://{self.hostinfo}"

    @property
    def uri_base_local(self) -> str:
        return f"coaps://{self.hostinfo_local}"

    @property
    def blockwise_key(self) -> "Remote":
        return self

    @property
    def authenticated_claims(self) -> Iterable[PeerIdentity]:
        """The peer's identity from its certificate: one `PeerIdentity`."""
        identity = self.channel.identity
        return () if identity is None else (identity,)


# Finds the channel for a host and port; None where this end cannot open one (a server).
Connector = Callable[[str, int], Awaitable[Channel]]
# Answers a peer's plain POST at once; None where aiocoap has to render it.
Answerer = Callable[[PeerIdentity | None, PlainPost], bytes | None]


class DtlsInterface(MessageInterface):  # type: ignore[misc] # aiocoap has no types
    """aiocoap's MessageInterface over our transport."""

    def __init__(self, manager: Any, counters: TransportCounters) -> None:
        self._manager = manager
        self._counters = counters
        self._remotes: dict[Channel, Remote] = {}
        self._tuning = Tuning()
        self._duplicates: Duplicates[Channel] = Duplicates(asyncio.get_running_loop().time)
        self.answerer: Answerer = lambda *_: None
        self.connector: Connector | None = None
        self.closer: Callable[[], Awaitable[None]] | None = None

    def deliver(self, channel: Channel, data: bytes) -> None:
        """A message came in."""
        post = read_plain_post(data)
        if post is not None:
            if self._is_repeated(channel, post.message_id, confirmable=True):
                return
            answer = self.answerer(channel.identity, post)
            if answer is not None:
                self._duplicates.answered(channel, post.message_id, answer)
                channel.send(answer, expects_answer=False)
                return
        try:
            message = Message.decode(data, self._remote(channel))
        except UnparsableMessage:
            self._counters.undecodable += 1
            return
        if post is None and message.code.is_request():
            confirmable = message.mtype is CON
            if self._is_repeated(channel, message.mid, confirmable=confirmable):
                return
        message.transport_tuning = self._tuning
        self._manager.dispatch_message(message)

    def _is_repeated(self, channel: Channel, message_id: int, *, confirmable: bool) -> bool:
        """Whether the request came before; what was answered then is sent once more (4.2)."""
        if self._duplicates.is_new(channel, message_id):
            return False
        answer = self._duplicates.answer_of(channel, message_id)
        if confirmable and answer is not None:
            channel.send(answer, expects_answer=False)
        return True

    def lost(self, channel: Channel, problem: Exception) -> None:
        """The channel is gone, and with it what was under way on it."""
        self._duplicates.forget(channel)
        remote = self._remotes.pop(channel, None)
        if remote is not None and self.closer is not None:
            self._manager.dispatch_error(ChannelLost(problem), remote)

    def send(self, message: Message) -> None:
        """Send a message of aiocoap's; on a server's channel that is gone it is dropped."""
        expects_answer = message.mtype is CON or (
            message.code.is_request() and message.opt.no_response is None
        )
        channel, data = message.remote.channel, message.encode()
        if message.mtype in (ACK, RST):
            self._duplicates.answered(channel, message.mid, data)
        channel.send(data, expects_answer=expects_answer)

    async def recognize_remote(self, remote: object) -> bool:
        """Whether the remote is one of ours and there."""
        return isinstance(remote, Remote) and self._remotes.get(remote.channel) is remote

    async def determine_remote(self, message: Message) -> Remote | None:
        """The remote of a coaps:// request, by its Uri-Host and Uri-Port or unresolved remote."""
        if message.requested_scheme != "coaps" or self.connector is None:
            return None
        if message.unresolved_remote is not None:
            host, port = hostportsplit(message.unresolved_remote)
        elif message.opt.uri_host:
            host, port = message.opt.uri_host, message.opt.uri_port
        else:
            raise ValueError("the request names no host: give it a coaps:// URI")
        try:
            channel = await self.connector(host, port or COAPS_PORT)
        except OSError as error:
            raise ResolutionError(f"no way to {host}: {error.strerror}") from error
        return self._remote(channel)

    async def shutdown(self) -> None:
        """Close every session."""
        closer, self.closer = self.closer, None
        self._remotes.clear()
        if closer is not None:
            await closer()

    def _remote(self, channel: Channel) -> Remote:
        remote = self._remotes.get(channel)
        if remote is None:
            remote = self._remotes[channel] = Remote(channel)
        return remote


async def plug_in(context: Context, counters: TransportCounters) -> DtlsInterface:
    """Put an interface under an aiocoap context."""
    plugged: list[DtlsInterface] = []

    async def construct(manager: Any) -> DtlsInterface:
        plugged.append(DtlsInterface(manager, counters))
        return plugged[0]

    await context._append_tokenmanaged_messagemanaged_transport(construct)  # noqa: SLF001 -- see top
    return plugged[0]


def new_context(site: Site | None = None) -> Context:
    """An aiocoap context without any transport."""
    return Context(serversite=site, loggername="coap-server" if site else "coap")


def _authority(host: str, port: int) -> str:
    return str(hostportjoin(host, None if port == COAPS_PORT else port))
