"""One token for all batches: asked for once, kept until shortly before its end."""

import asyncio

import pytest

from steelyard.smartbox.errors import PlatformProblem
from steelyard.smartbox.uplink.access_token import AccessToken


class Desk:
    """Gives tokens, each when the test says so, and counts how often it was asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self._answers: asyncio.Queue[tuple[str, float] | Exception] = asyncio.Queue()
        self.token = AccessToken(self._fetch, lambda: self.now)

    async def _fetch(self) -> tuple[str, float]:
        self.asked += 1
        answer = await self._answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def want(self, count: int) -> list[asyncio.Task[str]]:
        """So many ask at once, and wait."""
        tasks = [asyncio.create_task(self.token.get()) for _ in range(count)]
        await calm()
        return tasks

    def give(self, answer: tuple[str, float] | Exception) -> None:
        self._answers.put_nowait(answer)


async def calm() -> None:
    """Until nothing happens by itself any more."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_many_at_once_ask_once() -> None:
    """And all have the same token; who comes later has it without asking."""
    desk = Desk()
    wanted = await desk.want(8)
    desk.give(("a", 300.0))
    assert await asyncio.gather(*wanted) == ["a"] * 8
    assert await desk.token.get() == "a"
    assert desk.asked == 1


async def test_a_failure_is_shared_and_not_kept() -> None:
    """Who waited has it, without asking again; who comes later asks."""
    desk = Desk()
    wanted = await desk.want(8)
    desk.give(PlatformProblem("away", retry_after=9.0))
    failures = await asyncio.gather(*wanted, return_exceptions=True)
    assert [getattr(one, "retry_after", None) for one in failures] == [9.0] * 8
    assert desk.asked == 1
    desk.give(("a", 300.0))
    assert await desk.token.get() == "a"


async def test_an_odd_error_is_not_shared() -> None:
    """The next one asks for itself."""
    desk = Desk()
    wanted = await desk.want(2)
    desk.give(KeyError("odd"))
    desk.give(("a", 300.0))
    first, second = await asyncio.gather(*wanted, return_exceptions=True)
    assert (type(first), second) == (KeyError, "a")


async def test_when_the_one_who_asks_is_cancelled_the_next_one_asks() -> None:
    """The others do not go down with it."""
    desk = Desk()
    first, *others = await desk.want(3)
    first.cancel()
    await calm()
    desk.give(("a", 300.0))
    assert await asyncio.gather(*others) == ["a", "a"]
    assert first.cancelled()
    assert desk.asked == 2


async def test_a_token_that_several_find_unknown_is_renewed_once() -> None:
    """Also when the last of them finds it out after the renewal."""
    desk = Desk()
    desk.give(("old", 300.0))
    assert await desk.token.get() == "old"
    desk.token.forget("old")
    desk.token.forget("old")
    wanted = await desk.want(2)
    desk.give(("new", 300.0))
    assert await asyncio.gather(*wanted) == ["new", "new"]
    desk.token.forget("old")
    assert await desk.token.get() == "new"
    assert desk.asked == 2


@pytest.mark.parametrize(("lifetime", "until"), [(300.0, 270.0), (40.0, 20.0), (1.0, 0.5)])
async def test_a_token_is_renewed_before_its_end(lifetime: float, until: float) -> None:
    """Half a minute, or half of its time, so that it does not end under way."""
    desk = Desk()
    desk.give(("a", lifetime))
    desk.give(("b", lifetime))
    assert await desk.token.get() == "a"
    desk.now = until - 0.01
    assert await desk.token.get() == "a"
    desk.now = until
    assert await desk.token.get() == "b"
