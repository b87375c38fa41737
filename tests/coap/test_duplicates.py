"""Which requests came before: exact within the time, and forgotten after it."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard.coap.duplicates import LIFETIME_SECONDS, Duplicates


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


events = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from([0.0, 1.0, 30.0, 61.0])),
    max_size=40,
)


@given(events)
def test_new_is_what_did_not_come_within_the_time(arrivals: list[tuple[str, int, float]]) -> None:
    """As by a list of all that ever came; channels do not mix, and answers stay with their id."""
    clock = Clock()
    duplicates: Duplicates[str] = Duplicates(clock)
    came: dict[tuple[str, int], float] = {}
    for channel, message_id, pause in arrivals:
        clock.now += pause
        last = came.get((channel, message_id))
        fresh = last is None or last + LIFETIME_SECONDS <= clock.now
        assert duplicates.is_new(channel, message_id) is fresh
        if fresh:
            came[channel, message_id] = clock.now
            assert duplicates.answer_of(channel, message_id) is None
            duplicates.answered(channel, message_id, f"{channel}{message_id}".encode())
        else:
            assert duplicates.answer_of(channel, message_id) == f"{channel}{message_id}".encode()


def test_what_is_kept_is_bounded_by_the_time() -> None:
    """A channel that goes on sending holds what came within the time, and no more."""
    clock = Clock()
    duplicates: Duplicates[str] = Duplicates(clock)
    for number in range(3000):
        assert duplicates.is_new("a", number)
        clock.now += 0.1
    assert len(duplicates) <= 10 * LIFETIME_SECONDS + 1
    duplicates.forget("a")
    assert len(duplicates) == 0


def test_an_answer_to_nothing_is_not_kept() -> None:
    """Only requests have answers."""
    duplicates: Duplicates[str] = Duplicates(Clock())
    duplicates.answered("a", 1, b"x")
    assert duplicates.answer_of("a", 1) is None
    assert len(duplicates) == 0
