"""Token buckets: so many at once, so many a second, for as many keys as memory allows."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from aiohttp import web

from steelyard.web.errors import TooManyRequests


class RateLimiter:
    """A token bucket a key. When `max_keys` are known, the longest unused is forgotten.

    A bucket holds `burst` tokens and gains `per_second` of them. `clock` is in seconds.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        max_keys: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._max_keys = max_keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def spend(self, key: str) -> None:
        """Take a token. Raises TooManyRequests with Retry-After (whole seconds) if none is left."""
        now = self._clock()
        tokens, seen = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - seen) * self._per_second)
        enough = tokens >= 1
        self._buckets[key] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        if not enough:
            raise too_many((1 - tokens) / self._per_second)


def too_many(seconds: float, detail: str = "") -> TooManyRequests:
    """A TooManyRequests that says when to come back."""
    wait = max(1, math.ceil(seconds))
    unit = "second" if wait == 1 else "seconds"
    sentence = detail or f"Wait {wait} {unit}."
    return TooManyRequests(sentence, headers={"Retry-After": str(wait)})


def client_key(request: web.Request) -> str:
    """Whose bucket a request spends from: the client's address, for IPv6 its network of 64 bits."""
    remote = request.remote or ""
    try:
        address = ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(ip_network((address, 64), strict=False))
    return str(address)
