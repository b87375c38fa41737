"""What the tests of the Pulumi program share."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


# Never closed: what Pulumi began in it may be pending still when a module's tests are over.
LOOP = asyncio.new_event_loop()


@pytest.fixture(autouse=True, scope="module")
def _event_loop_of_pulumi() -> None:
    """Pulumi's mocks want the thread's loop, which asyncio.run of another test takes away."""
    asyncio.set_event_loop(LOOP)
