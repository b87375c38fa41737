"""Chains of fake nodes that end with their test."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakenode import FakeChain, FakeNode, served

from steelyard.node import voting, waiting

Serve = Callable[..., list[FakeNode]]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes need no time."""
    monkeypatch.setattr(voting, "_PAUSE", 0.01)
    monkeypatch.setattr(waiting, "_PAUSE", 0.01)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves nodes of these addresses, on one chain."""
    with ExitStack() as stack:

        def serve_all(chain: FakeChain, *addresses: str) -> list[FakeNode]:
            return [
                stack.enter_context(served(FakeNode(chain, one), tmp_path)) for one in addresses
            ]

        yield serve_all
