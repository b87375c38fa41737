"""What the tests of the Pulumi program share."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="module")
def _event_loop_of_pulumi() -> Iterator[None]:
    """Pulumi's mocks want the thread's loop, which asyncio.run of another test takes away."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
