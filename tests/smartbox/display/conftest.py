"""The display's fixture: a station's front, to be started by the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from display_kit import Front
from smartbox_kit import Stage


@pytest.fixture
async def front(stage: Stage, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Front]]]:
    """Starts fronts; closes them."""
    started: list[Front] = []

    async def start(**changes: Any) -> Front:
        started.append(await Front(stage, tmp_path / str(len(started)), **changes).start())
        return started[-1]

    yield start
    for one in started:
        await one.close()
