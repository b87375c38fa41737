"""Wrong passwords, counted by the address that they came from."""

from collections import OrderedDict, deque
from collections.abc import Callable

MOST = 10
WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 1000


class Guesses:
    """Lets an address guess wrongly MOST times in WINDOW_SECONDS. `clock` gives seconds.

    Addresses are remembered up to MOST_ADDRESSES; the one that guessed longest ago is forgotten.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until the address may guess again; 0 when it may now."""
        times = self._wrong.get(address)
        if times is None or len(times) < MOST:
            return 0.0
        return max(0.0, times[0] + WINDOW_SECONDS - self._clock())

    def note(self, address: str) -> None:
        """The address guessed wrongly."""
        self._wrong.setdefault(address, deque(maxlen=MOST)).append(self._clock())
        self._wrong.move_to_end(address)
        if len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)
