"""The demo's users: what a person with a browser or a script would ask of the two APIs."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from steelyard.demo.errors import DemoFailed

_TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True, slots=True)
class Answer:
    """An API's answer: its status and its JSON body (None where there is none)."""

    status: int
    body: Any
    headers: Mapping[str, str]


class ApiClient:
    """One API over HTTPS (TLS 1.3, the demo's authority), with a user's token once logged in."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.base = base
        self._session = session
        self.token: str | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a request and read the whole answer."""
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        async with self._session.request(
            method, self.base + path, json=body, data=form, params=query, headers=sent
        ) as response:
            raw = await response.read()
            return Answer(response.status, json.loads(raw) if raw else None, response.headers)

    async def expect(self, status: int, method: str, path: str, **arguments: Any) -> Any:
        """The body of an answer that must have this status. Raises DemoFailed otherwise."""
        answer = await self.ask(method, path, **arguments)
        if answer.status != status:
            problem = answer.body if isinstance(answer.body, dict) else {}
            said = problem.get("detail") or problem.get("title") or problem.get("error_description")
            raise DemoFailed(f"{method} {path} answered {answer.status}, not {status}: {said}")
        return answer.body

    async def every(self, path: str, member: str, **query: str) -> list[dict[str, Any]]:
        """What all pages of a list have as this member, in their order. Raises DemoFailed."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.expect(200, "GET", path, query=query)
            found += page[member]
            if not page["next"]:
                return found
            query["cursor"] = page["next"]

    async def log_in(self, login: str, password: str, tokens: "ApiClient") -> None:
        """Get an access token from the management API, which `tokens` is a client of."""
        form = {"grant_type": "password", "username": login, "password": password}
        granted = await tokens.expect(200, "POST", "/oauth2/token", form=form)
        self.token = granted["access_token"]

    async def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Wait for /readyz. Raises DemoFailed when it takes longer."""
        last = "no answer"
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        answer = await self.ask("GET", "/readyz")
                    except aiohttp.ClientError as error:
                        last = type(error).__name__
                    else:
                        if answer.status == 200:
                            return
                        last = str(answer.body)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DemoFailed(f"{self.base} was not ready in {seconds:g} s: {last}") from None


@asynccontextmanager
async def https_session(authority: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that trusts only the demo's authority and speaks only TLS 1.3."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
        yield session
