"""What the gateway serves: for each node its JSON-RPC, and three calls of its privacy manager."""

from base64 import b64decode
from collections.abc import Mapping
from contextlib import AbstractContextManager

from aiohttp import hdrs, web

from steelyard.gateway import envelope
from steelyard.gateway.errors import CallRefused, ClientRefused, NodeNotServed
from steelyard.gateway.methods import METHODS, READING
from steelyard.gateway.requests import ACCOUNT
from steelyard.gateway.settings import ALL_NODES, NODE_NAME, GatewaySettings, ListedClient
from steelyard.gateway.slots import Memory, Slots
from steelyard.gateway.trust import MutualTls
from steelyard.gateway.upstream import Served
from steelyard.web.body import read_body
from steelyard.web.dispatch import expect
from steelyard.web.errors import MalformedBody, UnsupportedMediaType
from steelyard.web.parsing import read_json

_STORED = {"payload", "from"}


class Door:
    """The handlers. Every one knows first who asks, and holds a slot while it works."""

    def __init__(
        self, settings: GatewaySettings, tls: MutualTls, nodes: Mapping[str, Served]
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._nodes = nodes
        self._clients = {client.name: client for client in settings.clients}
        self._slots = Slots(settings.max_in_flight, settings.wait_seconds)
        self._memory = Memory(settings.max_held_bytes)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes: nothing else is served."""
        node = f"/{{node:{NODE_NAME}}}"
        router.add_route("POST", f"{node}/rpc", self.rpc, expect_handler=expect)
        router.add_route("POST", f"{node}/tessera/storeraw", self.store, expect_handler=expect)
        for path in ("upcheck", "keys"):
            router.add_route("GET", f"{node}/tessera/{path}", self.look, expect_handler=expect)

    async def rpc(self, request: web.Request) -> web.StreamResponse:
        """JSON-RPC, single or batch."""
        client, node = self._admit(request)
        account = request[ACCOUNT]
        account.asked = "nothing that passes"
        async with self._slots.taken(client.name, node.name):
            with self._room(request):
                allowed = READING if client.read_only else METHODS
                body = await self._body(request)
                checked = envelope.check(body, allowed, self._settings.max_batch)
                if isinstance(checked, envelope.Refused):
                    return web.Response(body=checked.body, content_type="application/json")
                kinds = set(checked.methods)
                account.asked = kinds.pop() if len(kinds) == 1 else "several methods"
                account.writes = checked.writes
                _still_there(request)
                return await node.rpc.post(request, "/", checked.body)

    async def store(self, request: web.Request) -> web.StreamResponse:
        """Store a payload with the privacy manager."""
        client, node = self._admit(request)
        request[ACCOUNT].asked = "storeraw"
        if client.read_only:
            raise CallRefused("This client may only read.")
        async with self._slots.taken(client.name, node.name):
            with self._room(request):
                body = _stored(await self._body(request))
                _still_there(request)
                return await node.tessera.post(request, "/storeraw", body)

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Whether the privacy manager is up, or the keys that it holds."""
        client, node = self._admit(request)
        path = request.path.rpartition("/")[2]
        request[ACCOUNT].asked = path
        async with self._slots.taken(client.name, node.name):
            return await node.tessera.get(request, f"/{path}")

    def _admit(self, request: web.Request) -> tuple[ListedClient, Served]:
        """Who asks, and which node. Raises ClientRefused and NodeNotServed."""
        tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        if not certificate:
            raise ClientRefused("There is no certificate.")
        client = self._clients.get(self._tls.name_of(certificate))
        if client is None:
            raise ClientRefused("The certificate's name is not on the list.")
        request[ACCOUNT].client = client.name
        name = request.match_info["node"]
        node = self._nodes.get(name)
        if node is None or not {name, ALL_NODES} & set(client.nodes):
            raise NodeNotServed("There is no such node here for this client.")
        request[ACCOUNT].node = name
        return client, node

    def _room(self, request: web.Request) -> AbstractContextManager[None]:
        most = self._settings.max_body_bytes
        length = request.content_length
        return self._memory.held(most if length is None else min(length, most))

    async def _body(self, request: web.Request) -> bytes:
        if request.content_type != "application/json":
            raise UnsupportedMediaType(
                "The content type must be application/json.",
                headers={"Accept-Post": "application/json"},
            )
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise UnsupportedMediaType("The content encoding must be identity.")
        settings = self._settings
        return await read_body(request, settings.max_body_bytes, settings.read_seconds)


def _still_there(request: web.Request) -> None:
    """A client that left has given its request up: what comes late must not be sent."""
    if request.transport is None or request.transport.is_closing():
        raise ConnectionResetError


def _stored(body: bytes) -> bytes:
    """A payload and the key of its sender, written anew. Raises MalformedBody."""
    document = read_json(body)
    if not isinstance(document, dict) or document.keys() != _STORED:
        raise MalformedBody("The body must be an object with payload and from.")
    for name in ("payload", "from"):
        try:
            b64decode(document[name], validate=True)
        except (ValueError, TypeError):
            raise MalformedBody(f"{name} must be base64.") from None
    return b'{"payload":"%b","from":"%b"}' % (
        document["payload"].encode("ascii"),
        document["from"].encode("ascii"),
    )
