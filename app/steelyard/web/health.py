"""Whether the server lives, and whether it can work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import NotReady

ReadyCheck = Callable[[], Awaitable[None]]
CHECK_SECONDS = 5.0

logger = structlog.get_logger(__name__)


class Health:
    """The checks by name; one that raises has failed. Their words go to the log, not to callers."""

    def __init__(self, checks: Mapping[str, ReadyCheck], *, seconds: float = CHECK_SECONDS) -> None:
        self._checks = dict(checks)
        self._seconds = seconds

    async def results(self) -> dict[str, str]:
        """'ok' or 'failed' for each check, made at the same time."""
        found = await asyncio.gather(*(self._try(name) for name in self._checks))
        return dict(zip(self._checks, found, strict=True))

    async def _try(self, name: str) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                await self._checks[name]()
        except Exception as error:  # noqa: BLE001 — a check may fail in any way; that is its answer
            logger.warning("readiness check failed", check=name, error=type(error).__name__)
            return "failed"
        return "ok"

    async def alive(self, call: Call[Any, Any]) -> Reply:
        """Answer as long as the process can."""
        del call
        return Reply({"status": "alive"})

    async def ready(self, call: Call[Any, Any]) -> Reply:
        """Answer 200 when every check holds, else 503 with the names of those that fail."""
        del call
        results = await self.results()
        failed = sorted(name for name, result in results.items() if result != "ok")
        if failed:
            raise NotReady(f"Failing: {', '.join(failed)}.", headers={"Retry-After": "5"})
        return Reply({"status": "ready", "checks": results})

    def endpoints(self) -> list[Endpoint]:
        """/healthz and /readyz."""
        schema = {
            "type": "object",
            "required": ["status"],
            "properties": {"status": {"type": "string"}},
        }
        return [
            Endpoint(
                method="GET",
                path="/healthz",
                handler=self.alive,
                operation_id="getHealth",
                tag="operations",
                summary="Whether the process is alive",
                public=True,
                responses={200: Response.json(schema, "It is alive.")},
            ),
            Endpoint(
                method="GET",
                path="/readyz",
                handler=self.ready,
                operation_id="getReadiness",
                tag="operations",
                summary="Whether the service can work",
                public=True,
                responses={200: Response.json(schema, "Every check holds.")},
                problems=(NotReady,),
            ),
        ]
