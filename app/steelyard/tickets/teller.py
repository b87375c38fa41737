"""Checks and tells in the background, as long as the application runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from structlog import get_logger

from steelyard.errors import Problem
from steelyard.tickets.deliveries import Deliveries
from steelyard.tickets.route_checks import RouteChecks
from steelyard.tickets.webhook import WebhookSender

logger = get_logger(__name__)


class Teller:
    """Works through both queues, with `pause` seconds in between once nothing is due."""

    def __init__(
        self,
        checks: RouteChecks,
        deliveries: Deliveries,
        open_sender: Callable[[], WebhookSender],
        *,
        pause: float,
    ) -> None:
        self._checks = checks
        self._deliveries = deliveries
        self._open_sender = open_sender
        self._pause = pause

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """A cleanup context. What is under way when it ends is done again by whoever comes next.

        Raises ConfigurationError for a file of authorities that is not usable.
        """
        sender = self._open_sender()
        tasks = [
            asyncio.create_task(self._run(self._checks.work)),
            asyncio.create_task(self._run(lambda: self._deliveries.work(sender))),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sender.close()

    async def _run(self, work: Callable[[], Awaitable[int]]) -> None:
        while True:
            done = 0
            try:
                done = await work()
            except Problem as problem:
                logger.warning("routes not looked at", reason=problem.detail or problem.title)
            except Exception as error:  # noqa: BLE001 - the queues outlive whatever goes wrong once
                logger.warning("routes not looked at", error=type(error).__name__)
            if not done:
                await asyncio.sleep(self._pause)
