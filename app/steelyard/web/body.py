"""Reading a request's body within a size and a time."""

import asyncio

from aiohttp import hdrs, web

from steelyard.web.errors import ExpectationFailed, MalformedBody, PayloadTooLarge, ReadTimeout


async def read_body(request: web.Request, most: int, seconds: float) -> bytes:
    """The body, of at most so many bytes. The route's `expect_handler` must not answer `Expect`.

    Raises PayloadTooLarge, ReadTimeout, MalformedBody for one that is cut off, ExpectationFailed.
    """
    too_large = PayloadTooLarge(f"The body must be at most {most} bytes.")
    if (request.content_length or 0) > most:
        raise too_large
    await _continue(request)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise ReadTimeout(f"The body must arrive within {seconds:g} seconds.") from None
    except (web.RequestPayloadError, ValueError):
        raise MalformedBody("The body was cut off, or its transfer coding is wrong.") from None
    return bytes(body)


async def _continue(request: web.Request) -> None:
    expectation = request.headers.get(hdrs.EXPECT)
    if expectation is None or request.version < (1, 1):
        return
    if expectation.lower() != "100-continue":
        raise ExpectationFailed("The only expectation that can be met is 100-continue.")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0
