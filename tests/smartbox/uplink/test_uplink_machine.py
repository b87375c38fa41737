"""Whatever the platform answers, in whatever order: each ticket is registered exactly once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from uplink_by_hand import ByHand, busy, receipt, unreached

from steelyard.smartbox.errors import BatchRefused
from steelyard.smartbox.uplink.answers import Answers

LAST_STEPS = 500
PROBLEM = {"status": 422, "title": "The request is not valid"}


class Checked(ByHand):
    """An uplink with its platform: what is registered, refused by itself, or spoils its batch."""

    def __init__(self, **limits: Any) -> None:
        self.registered: set[str] = set()
        self.refused: set[str] = set()
        self.spoiling: set[str] = set()
        self.known: set[str] = set()  # the uplink was told what became of these
        super().__init__(**limits)

    def begins(self, ids: list[str]) -> None:
        super().begins(ids)
        assert not {*ids} & self.known, "an answered ticket does not go again"
        if not self.spoiling:  # halves go first, whatever is older
            away = {one for request in self.requests for one in request.what}
            waiting = [one.id for one in self.outbox.waiting(1000) if one.id not in away]
            assert ids == waiting[: len(ids)], "the oldest go first"

    def platform(self, ids: list[str], *, leave: int = 0) -> Answers | BatchRefused:
        """What the real one does; it cannot take the last `leave` tickets yet."""
        if {*ids} & self.spoiling:
            return BatchRefused("no", dict(PROBLEM))
        now = ids[: len(ids) - leave]
        good = [one for one in now if one not in self.refused]
        self.registered.update(good)
        return Answers(
            tuple(receipt(one) for one in good),
            tuple((one, PROBLEM) for one in now if one in self.refused),
            tuple(ids[len(now) :]),
        )

    def outcome(self, ids: list[str], kind: str) -> Answers | Exception:
        if kind in {"failed", "asked to wait"}:
            return busy(30.0 if kind == "asked to wait" else None)
        if kind == "unreached":
            return unreached()
        answer = self.platform(ids, leave=kind == "later")
        if kind == "lost":
            return busy()
        if kind == "odd":
            return KeyError("results")
        if isinstance(answer, Answers):
            self.known.update(one.ticket_id for one in answer.receipts)
            self.known.update(one for one, _ in answer.refusals)
        elif len(ids) == 1:
            self.known.update(ids)
        return answer


KINDS = ["well", "well", "well", "later", "lost", "odd", "failed", "asked to wait", "unreached"]


class SideBySide(RuleBasedStateMachine):
    """Tickets come, requests end in any order and any way, the SmartBox restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.one: Checked
        self.most = 0

    def run(self, part: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.loop.run_until_complete(part())

    @initialize(most=st.integers(1, 4), size=st.integers(1, 5))
    def start(self, most: int, size: int) -> None:
        async def begin() -> None:
            self.one = Checked(batches_in_flight=most, batch_size=size)
            await self.one.calm()

        self.most = most
        self.run(begin)

    @rule(count=st.integers(1, 9), odd=st.sampled_from(["none", "none", "refused", "spoiling"]))
    def weigh(self, count: int, odd: str) -> None:
        if odd != "none":
            getattr(self.one, odd).add(f"t_{self.one.made + (count + 1) // 2}")
        self.run(lambda: self.one.weigh(count))

    @precondition(lambda self: self.one.requests)
    @rule(index=st.integers(0, 3), kind=st.sampled_from(KINDS))
    def answer(self, index: int, kind: str) -> None:
        index %= len(self.one.requests)
        outcome = self.one.outcome(self.one.requests[index].what, kind)
        self.run(lambda: self.one.answer(index, outcome))

    @precondition(lambda self: self.one.pauses)
    @rule(index=st.integers(0, 3))
    def go_on(self, index: int) -> None:
        self.run(lambda: self.one.go_on(index % len(self.one.pauses)))

    @rule()
    def restart(self) -> None:
        async def begin_again() -> None:
            await self.one.stop()
            self.one.start()
            await self.one.calm()

        self.run(begin_again)

    @invariant()
    def no_more_than_is_set(self) -> None:
        if hasattr(self, "one"):
            assert not self.one.running.done()
            assert len(self.one.requests) <= self.most

    @invariant()
    def it_never_stands_still(self) -> None:
        """Outside of pauses, a ticket that waits has a request, its own or an older one's."""
        if hasattr(self, "one") and not self.one.pauses:
            assert self.one.requests or not self.one.outbox.waiting(1)

    def teardown(self) -> None:
        """The platform is well again: everything comes to its end, in bounded steps."""
        if hasattr(self, "one"):
            self.come_to_the_end()
            self.run(self.one.stop)
            self.one.outbox.close()
        self.loop.close()

    def come_to_the_end(self) -> None:
        for _ in range(LAST_STEPS):
            if self.one.pauses:
                self.go_on(0)
            elif self.one.requests:
                self.answer(0, "well")
        odd = self.one.refused | self.one.spoiling
        every = {f"t_{number}" for number in range(1, self.one.made + 1)}
        assert self.one.registered == every - odd
        assert [one.ticket_id for one in self.one.outbox.receipts()] == [
            f"t_{number}" for number in range(1, self.one.made + 1) if f"t_{number}" not in odd
        ]
        assert {one.id for one in self.one.outbox.refusals()} == odd
        assert self.one.outbox.waiting(1) == []


TestSideBySide = SideBySide.TestCase
TestSideBySide.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
