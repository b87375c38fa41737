"""Message ids of requests that came, with what was answered (RFC 7252, sections 4.2 and 4.5).

aiocoap keeps the messages themselves, some 2.4 kB each: 64 cells that send ten packs a second would
hold 90 MB of them. Here an exchange is its id, its time and the few bytes of its answer.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

# A sender's 65,536 ids are used up within aiocoap's 247 s from 265 messages a second on, and what
# comes after would be answered with stale replies. A retransmission comes at most 45 s after its
# original, so 60 s leave 15 s on the way and 1,090 messages a second.
LIFETIME_SECONDS = 60.0

ChannelT = TypeVar("ChannelT")


class Duplicates(Generic[ChannelT]):
    """The exchanges of each channel within the last LIFETIME_SECONDS."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # By message id, in the order of arrival.
        self._exchanges: dict[ChannelT, dict[int, tuple[float, bytes | None]]] = {}

    def is_new(self, channel: ChannelT, message_id: int) -> bool:
        """Whether no request with this id came lately; it is remembered from now on."""
        now = self._clock()
        exchanges = self._exchanges.setdefault(channel, {})
        while exchanges and exchanges[first := next(iter(exchanges))][0] <= now:
            del exchanges[first]
        if message_id in exchanges:
            return False
        exchanges[message_id] = now + LIFETIME_SECONDS, None
        return True

    def answered(self, channel: ChannelT, message_id: int, answer: bytes) -> None:
        """Remember what was answered; nothing for an id of which no request came."""
        exchanges = self._exchanges.get(channel)
        if exchanges is not None and message_id in exchanges:
            exchanges[message_id] = exchanges[message_id][0], answer

    def answer_of(self, channel: ChannelT, message_id: int) -> bytes | None:
        """What was answered to a request that came; None if nothing was yet."""
        return self._exchanges.get(channel, {}).get(message_id, (0.0, None))[1]

    def forget(self, channel: ChannelT) -> None:
        """The channel is gone."""
        self._exchanges.pop(channel, None)

    def __len__(self) -> int:
        return sum(map(len, self._exchanges.values()))
