"""The load cell's end: a CoAP client.

Imported by small processes: no pydantic, no web framework, no logging set-up.
"""

import asyncio
from collections.abc import Callable

from aiocoap import Message

from steelyard.coap.bridge import Channel, ChannelLost, new_context, plug_in
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.link import ClientTimes, Link

__all__ = ["ChannelLost", "ClientTimes", "CoapClient", "create_coap_client"]


class CoapClient:
    """A client context: `await client.request(message).response`."""

    def __init__(
        self,
        credentials: Credentials,
        server_name: str | None,
        times: ClientTimes,
        counters: TransportCounters,
    ) -> None:
        self.context = new_context()
        self.counters = counters
        self._credentials = credentials
        self._server_name = server_name
        self._times = times
        self._links: dict[tuple[str, int], Link] = {}
        self._opening = asyncio.Lock()
        self._is_shut = False
        self.deliver: Callable[[Channel, bytes], None] = lambda *_: None
        self.lost: Callable[[Channel, Exception], None] = lambda *_: None

    def request(self, message: Message, *, handle_blockwise: bool = True):  # type: ignore[no-untyped-def] # noqa: ANN201 -- aiocoap's Request
        """Send a request to its coaps:// URI; await `.response` of what this returns.

        That raises aiocoap.error.NetworkError: a ChannelLost, whose `problem` tells, when the
        handshake is refused or the files are not usable; another when no answer comes for about
        90 s or the host is not known.
        """
        return self.context.request(message, handle_blockwise=handle_blockwise)

    async def connect(self, host: str, port: int) -> Link:
        """The link to a server, opened where it is not yet."""
        async with self._opening:
            link = self._links.get((host, port))
            if link is None or not link.is_usable:
                link = await self._open(host, port)
                self._links[host, port] = link
        return link

    async def shutdown(self) -> None:
        """Say close_notify to every server and close the sockets; again does nothing."""
        if not self._is_shut:
            self._is_shut = True
            await self.context.shutdown()

    async def close_links(self) -> None:
        """Close every link; called by the context's shutdown."""
        for link in self._links.values():
            link.close()
        self._links.clear()
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    def drop(self, channel: Channel, problem: Exception) -> None:
        """A link failed: its requests hear of it, and the next one resolves the host again."""
        link = self._links.get((channel.host, channel.port))
        if link is channel:
            del self._links[channel.host, channel.port]
            link.close()
        self.lost(channel, problem)

    async def _open(self, host: str, port: int) -> Link:
        name = self._server_name or host
        link = Link(self._credentials, name, (host, port), self._times, self.counters)
        link.deliver, link.lost = self.deliver, self.drop
        await link.open()
        return link


async def create_coap_client(
    credentials: Credentials,
    server_name: str | None = None,
    *,
    times: ClientTimes | None = None,
    counters: TransportCounters | None = None,
) -> CoapClient:
    """A client for coaps:// requests.

    `server_name` is the DNS name, IP address or urn:steelyard:smartbox: name that the server's
    certificate must carry; without it, the URI's host. Raises CredentialUnusable at once when
    the files are not usable.
    """
    credentials.client_context()
    counters = counters if counters is not None else TransportCounters()
    client = CoapClient(credentials, server_name, times or ClientTimes(), counters)
    interface = await plug_in(client.context, counters)
    client.deliver, client.lost = interface.deliver, interface.lost
    interface.connector = client.connect
    interface.closer = client.close_links
    return client
