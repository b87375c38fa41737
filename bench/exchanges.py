"""What is kept of a message so that its duplicate is known: by aiocoap, and by ours."""

import asyncio
import functools
from collections.abc import Callable

import psutil
from aiocoap import CHANGED, POST, Message
from aiocoap.numbers.types import ACK, CON

from steelyard.coap.duplicates import Duplicates

COUNT = 10_000


def _growth(keep: Callable[[Message, Message], None]) -> float:
    """Bytes of memory (RSS) for each exchange that is kept."""
    remote = object()
    requests = []
    for number in range(COUNT):
        request = Message(code=POST, payload=bytes(51), content_format=112)
        request.opt.uri_path = ("weight",)
        request.opt.uri_query = (f"sequence={number}",)
        request.mtype, request.mid, request.token = CON, number, b"ab"
        requests.append(request.encode())
    process = psutil.Process()
    before = process.memory_info().rss
    for data in requests:
        request = Message.decode(data, remote)
        answer = Message(code=CHANGED)
        answer.mtype, answer.mid, answer.token = ACK, request.mid, request.token
        keep(request, answer)
    return (process.memory_info().rss - before) / COUNT


def our_bytes() -> float:
    """With `Duplicates`."""
    kept: Duplicates[str] = Duplicates(lambda: 0.0)

    def keep(request: Message, answer: Message) -> None:
        kept.is_new("peer", request.mid)
        kept.answered("peer", request.mid, answer.encode())

    return _growth(keep)


def aiocoaps_bytes() -> float:
    """As aiocoap's message manager keeps them: the messages, and a timer for each."""

    async def work() -> float:
        loop, kept = asyncio.get_running_loop(), {}

        def keep(request: Message, answer: Message) -> None:
            answer.request = request
            key = (request.remote, request.mid)
            kept[key] = answer
            loop.call_later(60, functools.partial(kept.pop, key))

        return _growth(keep)

    return asyncio.run(work())
