"""A loopback HTTP server that can be taken down and up again on its port."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from steelyard.sandbox.errors import Ended, SandboxProblem
from steelyard.sandbox.faults import FaultKind, FaultList

Handler = Callable[[web.BaseRequest, bytes], Awaitable[web.Response] | web.Response]
_SHUTDOWN = 0.05  # seconds: who takes a node down wants it gone
BODY_LIMIT = 5 * 1024 * 1024  # geth's limit for a request


def _too_large(length: int) -> web.Response:
    text = f"content length too large ({length}>{BODY_LIMIT})\n"
    return web.Response(status=413, text=text, headers={"Connection": "close"})


class Endpoint:
    """One server. `called` names what a request asks for, so that faults can be aimed.

    A handler that raises Ended takes the server down, as a process that ends while it serves.
    `refuse_length` answers a request whose body is longer than `body_limit`.
    """

    def __init__(
        self,
        handler: Callable[[web.BaseRequest, bytes], web.Response],
        called: Callable[[web.BaseRequest, bytes], list[str]],
        *,
        host: str,
        port: int,
        body_limit: int = BODY_LIMIT,
        refuse_length: Callable[[int], web.Response] = _too_large,
    ) -> None:
        self._handler = handler
        self._called = called
        self._host = host
        self._body_limit = body_limit
        self._refuse_length = refuse_length
        self._ending: asyncio.Task[None] | None = None
        self._runner: web.ServerRunner | None = None
        self.port = port
        self.faults = FaultList()

    @property
    def url(self) -> str:
        """Where it is served, once it has been started."""
        return f"http://{self._host}:{self.port}"

    @property
    def up(self) -> bool:
        """Whether it accepts connections."""
        return self._runner is not None

    async def start(self) -> None:
        """Bind the port (0: a free one, kept from then on). Raises SandboxProblem."""
        if self._ending is not None:  # it is to come back after it has gone, not before
            await self._ending
        if self._runner is not None:
            return
        server = web.Server(self._serve, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN)
        await runner.setup()
        try:
            # A restarted endpoint must get its port back though old connections linger.
            site = web.TCPSite(runner, self._host, self.port, reuse_address=True)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise SandboxProblem(
                f"{self._host}:{self.port} cannot be bound: {error.strerror or error}"
            ) from None
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection, without waiting for those who hold one."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        server = runner.server
        if server is not None:
            for connection in list(server.connections):
                if connection.transport is not None:
                    connection.transport.abort()
        await runner.cleanup()

    def end(self) -> None:
        """Go down without being waited for, as a process that ends by itself."""
        if self._ending is None or self._ending.done():
            self._ending = asyncio.get_running_loop().create_task(self.stop())

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        length = request.content_length or 0
        if length > self._body_limit:
            return self._refuse_length(length)
        body = await self._read(request)
        if body is None:
            return self._refuse_length(self._body_limit + 1)
        try:
            if not self.faults:
                return self._handler(request, body)
            return await self._serve_with_faults(request, body)
        except Ended:
            self.end()
            return _cut(request)

    async def _read(self, request: web.BaseRequest) -> bytes | None:
        parts = bytearray()
        async for part in request.content.iter_any():
            parts += part
            if len(parts) > self._body_limit:
                return None
        return bytes(parts)

    async def _serve_with_faults(self, request: web.BaseRequest, body: bytes) -> web.Response:
        fault = self.faults.take(self._called(request, body))
        if fault is None:
            return self._handler(request, body)
        if fault.kind is FaultKind.ERROR:
            return web.Response(status=500, text="fault on demand\n")
        if fault.kind is FaultKind.DROP_REQUEST:
            return _cut(request)
        response = self._handler(request, body)
        if fault.kind is FaultKind.DROP_RESPONSE:
            return _cut(request)
        await asyncio.sleep(fault.seconds)
        return response


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere
