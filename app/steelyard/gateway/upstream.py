"""A node and its privacy manager, as the gateway speaks to them."""

from typing import Literal

import aiohttp
from aiohttp import hdrs, web

from steelyard.gateway.errors import AnswerLost, NodeUnreachable
from steelyard.gateway.settings import UNIX, GatewaySettings, ServedNode

_AT_ONCE = 65_536  # bytes of an answer that is sent in one piece, when it is no longer
_JSON = {hdrs.CONTENT_TYPE: "application/json"}
_HEADERS = {hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: "steelyard-gateway"}

Stage = Literal["own", "given", "relayed"]
# own: what is answered comes from here, and nothing was passed on. given: the node may have it.
# relayed: the answer is the node's.
STAGE: web.RequestKey[Stage] = web.RequestKey("stage")


class Upstream:
    """One of the two servers of a node. Made inside of the event loop; `close` it."""

    def __init__(self, what: str, url: str, settings: GatewaySettings) -> None:
        self._what = what
        self._most = settings.max_answer_bytes
        connector: aiohttp.BaseConnector
        if url.startswith(UNIX):
            connector = aiohttp.UnixConnector(url.removeprefix(UNIX), limit=0)
            self._url = "http://localhost"
        else:
            connector = aiohttp.TCPConnector(limit=0)
            self._url = url
        # No limit of connections: the slots are one, and a wait here would look like a slow node.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=settings.answer_seconds, sock_connect=settings.connect_seconds
            ),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def post(self, request: web.Request, path: str, body: bytes) -> web.StreamResponse:
        """Pass a body on and the answer back. Raises NodeUnreachable and AnswerLost."""
        return await self._pass(request, "POST", path, body)

    async def get(self, request: web.Request, path: str) -> web.StreamResponse:
        """Ask, and pass the answer back. Raises like `post`."""
        return await self._pass(request, "GET", path, None)

    async def ping(self, path: str, body: bytes | None) -> None:
        """Raises whatever it may unless the server answers with success."""
        method = "GET" if body is None else "POST"
        async with self._session.request(
            method, self._url + path, data=body, headers=_JSON, allow_redirects=False
        ) as answer:
            answer.raise_for_status()

    async def _pass(
        self, request: web.Request, method: str, path: str, body: bytes | None
    ) -> web.StreamResponse:
        request[STAGE] = "given"
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=body,
                headers=None if body is None else _JSON,
                allow_redirects=False,
            ) as answer:
                return await self._relay(request, answer)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            request[STAGE] = "own"
            raise NodeUnreachable(f"{self._what} cannot be reached.") from None
        except (aiohttp.ClientError, OSError, TimeoutError):
            # After half an answer this cuts the client's connection, as nothing else can be said.
            raise AnswerLost(f"{self._what} did not answer, or not to the end.") from None

    async def _relay(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        headers: dict[str, str] = {}
        if content_type := answer.headers.get(hdrs.CONTENT_TYPE):
            headers[hdrs.CONTENT_TYPE] = content_type
        start = bytearray()
        async for part in answer.content.iter_any():
            start += part
            if len(start) > _AT_ONCE:
                return await self._stream(request, answer, bytes(start), headers)
        request[STAGE] = "relayed"
        return web.Response(status=answer.status, body=bytes(start), headers=headers)

    async def _stream(
        self,
        request: web.Request,
        answer: aiohttp.ClientResponse,
        start: bytes,
        headers: dict[str, str],
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=headers)
        if answer.content_length is not None:
            if answer.content_length > self._most:
                raise AnswerLost(f"{self._what} gives an answer that is too long.")
            response.content_length = answer.content_length
        request[STAGE] = "relayed"
        await response.prepare(request)
        await response.write(start)
        left = self._most - len(start)
        async for part in answer.content.iter_any():
            left -= len(part)
            if left < 0:
                raise AnswerLost(f"{self._what} gives an answer without an end.")
            await response.write(part)
        await response.write_eof()
        return response


class Served:
    """A node of this host: its JSON-RPC and its privacy manager."""

    def __init__(self, node: ServedNode, settings: GatewaySettings) -> None:
        self.name = node.name
        self.rpc = Upstream(f"The node {node.name}", node.rpc_url, settings)
        self.tessera = Upstream(f"The privacy manager of {node.name}", node.tessera, settings)

    async def close(self) -> None:
        """Close the connections of both."""
        await self.rpc.close()
        await self.tessera.close()

    async def check_rpc(self) -> None:
        """Raises unless the node answers."""
        await self.rpc.ping("/", b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}')

    async def check_tessera(self) -> None:
        """Raises unless the privacy manager answers."""
        await self.tessera.ping("/upcheck", None)
