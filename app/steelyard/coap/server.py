"""The SmartBox's end: a CoAP server for load cells."""

import asyncio

from aiocoap.resource import Site

from steelyard.coap.bridge import new_context, plug_in
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.endpoint import Address, ServerEndpoint, ServerLimits
from steelyard.coap.identity import PeerIdentity
from steelyard.coap.prompt import PromptSite

__all__ = ["Address", "CoapServer", "ServerLimits", "create_coap_server"]


class CoapServer:
    """A running CoAP server; `counters` is for metrics."""

    def __init__(self, site: Site, endpoint: ServerEndpoint, counters: TransportCounters) -> None:
        self.context = new_context(site)
        self.counters = counters
        self._endpoint = endpoint
        self._is_shut = False

    @property
    def address(self) -> Address:
        """The bound host and port."""
        return self._endpoint.address

    @property
    def peers(self) -> list[PeerIdentity]:
        """Who has a session now."""
        return self._endpoint.identities

    def reload_revocations(self) -> None:
        """Read the credential files again now; see ServerEndpoint.reload_revocations."""
        self._endpoint.reload_revocations()

    async def shutdown(self) -> None:
        """Close every session with a close_notify, and the socket; again does nothing."""
        if not self._is_shut:
            self._is_shut = True
            await self.context.shutdown()


async def create_coap_server(
    site: Site,
    bind: Address,
    credentials: Credentials,
    *,
    limits: ServerLimits | None = None,
    counters: TransportCounters | None = None,
) -> CoapServer:
    """Serve a site over DTLS 1.2 with mutual certificates; port 0 takes a free one.

    A handler sees `request.remote.authenticated_claims`: one `PeerIdentity`. It is cancelled when
    its peer's session ends meanwhile. Raises CredentialUnusable, and OSError when it cannot bind.
    """
    counters = counters if counters is not None else TransportCounters()
    endpoint = ServerEndpoint(credentials, limits or ServerLimits(), counters)
    server = CoapServer(site, endpoint, counters)
    interface = await plug_in(server.context, counters)
    endpoint.deliver, endpoint.lost = interface.deliver, interface.lost
    interface.closer = endpoint.close
    if isinstance(site, PromptSite):
        interface.answerer = site.answer
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: endpoint, local_addr=bind)
    return server
