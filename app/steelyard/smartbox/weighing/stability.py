"""When an equilibrium is stable (OIML R 76-1, 4.4.2).

A stored weight may not be more than 1 e away from the final one. The detector asks for less: over
its whole window the smoothed weight moves by no more than its band, half an interval by default.
"""

from collections import deque
from math import inf


class Stability:
    """Watches a weight. `window` in milliseconds, `band` in grams.

    `moving` is by how many grams the weight moved within the window; infinite until that is full.
    """

    def __init__(self, window: int, band: float) -> None:
        self._window = window
        self._band = band
        self._seen: deque[tuple[int, float]] = deque()
        self.moving = inf

    def push(self, time: int, grams: float) -> bool:
        """Whether the weight is stable, with this one."""
        seen = self._seen
        seen.append((time, grams))
        while len(seen) > 1 and time - seen[1][0] >= self._window:
            seen.popleft()
        if time - seen[0][0] < self._window:
            self.moving = inf
            return False
        weights = [weight for _, weight in seen]
        self.moving = max(weights) - min(weights)
        return self.moving <= self._band

    def reset(self) -> None:
        """Forget everything: nothing is stable for a whole window."""
        self._seen.clear()
        self.moving = inf
