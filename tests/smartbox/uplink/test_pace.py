"""The pace of a station: how many may be under way, and how long all wait after a failure."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.smartbox.uplink.pace import Backoff, Pace

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["success", "push back", "unreached"]),
        st.integers(0, 3),  # how many rounds ago it began
        st.sampled_from([0.0, 3.0, 50.0]),
    ),
    max_size=40,
)


async def live(most: int, events: list[tuple[str, int, float]]) -> None:
    """Tell a pace of these, one after the other, and compare it with a plain model."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        assert not pace.allows(0), "none begins in a pause"
        slept.append(seconds)

    pace = Pace(most, Backoff(1.0, 8.0, lambda: 1.0), sleep)
    window, pause = most, 1.0
    for kind, ago, wish in events:
        fresh = ago == 0
        if kind == "success":
            assert pace.succeeded(pace.round - ago) == fresh
            window, pause = (min(window + 1, most), 1.0) if fresh else (window, pause)
        else:
            slept.clear()
            await pace.failed(pace.round - ago, wish, pushed_back=kind == "push back")
            expected = max(wish, pause) if fresh else wish
            assert slept == ([expected] if expected else [])
            if fresh:
                window = max(1, window // 2) if kind == "push back" else window
                pause = min(pause * 2, 8.0)
        assert pace.allows(window - 1)
        assert not pace.allows(window)


@settings(deadline=None)
@given(most=st.integers(1, 32), events=EVENTS)
def test_one_trouble_counts_once(most: int, events: list[tuple[str, int, float]]) -> None:
    """Only what began after the last failure counts: a push back halves, a success adds one, and
    the pause doubles or begins anew. The platform's own wish to wait always holds.
    """
    asyncio.run(live(most, events))


async def test_a_pause_ends_with_the_longest_one() -> None:
    """They run side by side; a cancelled one no longer counts."""
    ends = {1.0: asyncio.Event(), 9.0: asyncio.Event()}
    pace = Pace(4, Backoff(1.0, 8.0, lambda: 1.0), lambda seconds: ends[seconds].wait())
    first = asyncio.create_task(pace.failed(0, 0.0, pushed_back=True))
    second = asyncio.create_task(pace.failed(0, 9.0, pushed_back=True))
    await asyncio.sleep(0)
    ends[1.0].set()
    await first
    assert not pace.allows(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert pace.allows(0)
