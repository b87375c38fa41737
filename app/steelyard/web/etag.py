"""Conditional requests (RFC 9110, section 13): nobody overwrites what they have not seen."""

import re

from aiohttp import hdrs, web

from steelyard.errors import FieldError
from steelyard.web.endpoint import Reply
from steelyard.web.errors import MalformedBody, PreconditionFailed, PreconditionRequired

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")


def etag_of(version: object) -> str:
    """A strong ETag of a version (a number or a digest)."""
    return f'"{version}"'


def require_match(request: web.Request, etag: str) -> None:
    """Hold If-Match against the present ETag, by strong comparison.

    Raises PreconditionRequired without the header and PreconditionFailed when none matches.
    """
    given = _tags(request, hdrs.IF_MATCH)
    if given is None:
        raise PreconditionRequired(errors=[FieldError(hdrs.IF_MATCH, "is required")])
    if "*" not in given and etag not in given:
        raise PreconditionFailed


def with_etag(request: web.Request, reply: Reply, etag: str) -> Reply:
    """The reply with its ETag; 304 without a body where If-None-Match says that it is known."""
    headers = {**reply.headers, "ETag": etag}
    known = _tags(request, hdrs.IF_NONE_MATCH)
    if known is not None and request.method in {"GET", "HEAD"}:
        plain = {tag.removeprefix("W/") for tag in known}
        if "*" in plain or etag in plain:
            return Reply(status=304, headers=headers)
    return Reply(reply.body, reply.status, headers)


def _tags(request: web.Request, header: str) -> list[str] | None:
    values = request.headers.getall(header, [])
    if not values:
        return None
    text = ",".join(values)
    if text.strip() == "*":
        return ["*"]
    if not _LIST.fullmatch(text):
        raise MalformedBody(
            f"The header {header} must be * or a list of ETags in double quotes.",
            errors=[FieldError(header, "must be * or a list of ETags in double quotes")],
        )
    return re.findall(_TAG, text)
