"""A proxy before a node's JSON-RPC that loses requests or answers on demand.

It lets the same fault tests run before the sandbox and before the real engines.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web


@dataclass(slots=True)
class FaultProxy:
    """Use as an asynchronous context manager; `url` stands in for the node's."""

    target: str
    seen: list[tuple[str, list[Any]]] = field(default_factory=list)
    url: str = ""
    _lose_answers: dict[str, int] = field(default_factory=dict)
    _lose_requests: dict[str, int] = field(default_factory=dict)
    _plans: dict[str, list[str | None]] = field(default_factory=dict)
    _hold: dict[str, asyncio.Event] = field(default_factory=dict)
    _change: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    _runner: web.ServerRunner | None = None
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def lose_answers(self, method: str, count: int = 1) -> None:
        """Pass the next calls on, and cut the connection instead of answering."""
        self._lose_answers[method] = count

    def lose_requests(self, method: str, count: int = 1) -> None:
        """Cut the connection of the next calls before the node hears of them."""
        self._lose_requests[method] = count

    def follow(self, method: str, plan: Sequence[str | None]) -> None:
        """What happens to the next calls, one after the other: lose "request", "answer" or None."""
        self._plans[method] = list(plan)

    def hold(self, method: str) -> asyncio.Event:
        """Pass calls on when the event is set, and not before."""
        return self._hold.setdefault(method, asyncio.Event())

    def change(self, method: str, alter: Callable[[Any], Any]) -> None:
        """Alter the results of a method."""
        self._change[method] = alter

    def calls(self, method: str) -> list[list[Any]]:
        """The parameters of the calls seen so far."""
        return [params for name, params in self.seen if name == method]

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        calls = json.loads(body)
        batch = isinstance(calls, list)
        method = calls[0]["method"] if batch else calls["method"]
        for call in calls if batch else [calls]:
            self.seen.append((call["method"], call["params"]))
        step = self._plans[method].pop(0) if self._plans.get(method) else None
        if _due(self._lose_requests, method) or step == "request":
            return _cut(request)
        if method in self._hold:
            await self._hold[method].wait()
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self.target, data=body, headers=headers) as response:
            answer = await response.read()
        if _due(self._lose_answers, method) or step == "answer":
            return _cut(request)
        if method in self._change:
            document = json.loads(answer)
            for one in document if batch else [document]:
                one["result"] = self._change[method](one["result"])
            answer = json.dumps(document).encode()
        return web.Response(body=answer, content_type="application/json")


def _due(faults: dict[str, int], method: str) -> bool:
    left = faults.get(method, 0)
    faults[method] = max(left - 1, 0)
    return left > 0


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
