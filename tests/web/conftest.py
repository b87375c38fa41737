"""A small API of no noun in particular, on loopback."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from registry_world import write_certificate
from steelyard.web.application import build_application
from steelyard.web.openapi import ApiInfo

INFO = ApiInfo("Things", "1", "An API for tests.")

Serve = Callable[..., Awaitable[TestClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve endpoints; takes what `build_application` takes."""
    clients: list[TestClient] = []

    async def start(*endpoints: Any, **options: Any) -> TestClient:
        app = build_application(INFO, endpoints, **options)
        client = TestClient(TestServer(app), timeout=aiohttp.ClientTimeout(20))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An authority, a server's certificate and its key."""
    return write_certificate(tmp_path)
