"""The station's access token: asked for once, however many batches want it at once."""

import asyncio
from collections.abc import Awaitable, Callable

from steelyard.smartbox.errors import PlatformProblem

MARGIN_SECONDS = 30.0


class AccessToken:
    """Keeps a token until shortly before its end.

    `fetch` gives a token and its lifetime in seconds, or raises PlatformProblem. `clock` is a
    monotonic clock in seconds.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[tuple[str, float]]], clock: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0
        self._one_asks = asyncio.Lock()
        self._answers = 0
        self._failure: PlatformProblem | None = None

    async def get(self) -> str:
        """The token, a new one if there must be. Raises PlatformProblem.

        Who comes while another asks gets what that one got, also its failure: a management API
        that does not answer would otherwise be asked by one batch after the other.
        """
        answers = self._answers
        async with self._one_asks:
            if self._token and self._clock() < self._renew_at:
                return self._token
            if self._failure is not None and self._answers != answers:
                raise self._failure.with_traceback(None)
            return await self._renew()

    def forget(self, token: str) -> None:
        """The platform does not know this token; another that came meanwhile stays."""
        if self._token == token:
            self._token = ""

    def renew(self) -> None:
        """Let whoever comes next ask for a new token."""
        self._token = ""

    async def _renew(self) -> str:
        try:
            self._token, lifetime = await self._fetch()
        except PlatformProblem as problem:
            self._answers, self._failure = self._answers + 1, problem
            raise
        self._answers, self._failure = self._answers + 1, None
        self._renew_at = self._clock() + lifetime - min(MARGIN_SECONDS, lifetime / 2)
        return self._token
