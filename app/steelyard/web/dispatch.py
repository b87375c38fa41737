"""From a request to a handler's call and back: authorize, read, parse, call, answer."""

import asyncio
from typing import Any

from aiohttp import hdrs, web
from pydantic import BaseModel

from steelyard.errors import FieldError
from steelyard.web.auth import Authenticator, Principal, authenticate, authorize
from steelyard.web.body import read_body
from steelyard.web.endpoint import FORM, Call, Endpoint, Reply
from steelyard.web.errors import (
    HandlerTimeout,
    MalformedBody,
    MalformedQuery,
    PreconditionRequired,
    UnsupportedMediaType,
)
from steelyard.web.parsing import read_json_as, read_parameters, read_parameters_as, read_value
from steelyard.web.settings import Limits

PRINCIPAL_KEY: web.RequestKey[Principal] = web.RequestKey("principal")


async def expect(request: web.Request) -> None:
    """Leave `Expect` to the dispatcher, which says 'go on' only to an authorized caller."""
    del request


class Dispatcher:
    """Serves one endpoint: its `serve` is the handler that aiohttp's router knows."""

    def __init__(
        self, endpoint: Endpoint, limits: Limits, authenticator: Authenticator | None
    ) -> None:
        if not endpoint.public and authenticator is None:
            raise ValueError(f"{endpoint.method} {endpoint.path} needs an authenticator")
        self.endpoint = endpoint
        self._authenticator = authenticator
        self._max_body = endpoint.max_body or limits.max_body_bytes
        self._read_seconds = limits.read_seconds
        self._seconds = endpoint.timeout or limits.handler_seconds
        self._adapters = endpoint.adapters()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        principal = await self._authorize(request)
        call = Call(
            request=request,
            endpoint=self.endpoint,
            path=self._path(request),
            query=self._query(request),
            body=await self._body(request),
            principal=principal,
        )
        self._require_headers(request)
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                reply = await self.endpoint.handler(call)
        except TimeoutError:
            if not deadline.expired():
                raise  # the handler's own, and no answer of ours
            raise HandlerTimeout(
                f"It took longer than {self._seconds:g} seconds.", headers={"Retry-After": "1"}
            ) from None
        return reply if isinstance(reply, web.StreamResponse) else render(reply)

    async def _authorize(self, request: web.Request) -> Principal | None:
        if self.endpoint.public or self._authenticator is None:
            return None
        principal = await authenticate(request, self._authenticator)
        request[PRINCIPAL_KEY] = principal
        authorize(principal, self.endpoint.roles)
        return principal

    def _require_headers(self, request: web.Request) -> None:
        if self.endpoint.conditional and hdrs.IF_MATCH not in request.headers:
            raise PreconditionRequired(errors=[FieldError("If-Match", "is required")])
        for header in self.endpoint.headers:
            if header.required and header.name not in request.headers:
                raise MalformedBody(
                    f"The header {header.name} is needed.",
                    errors=[FieldError(header.name, "is required")],
                )

    def _path(self, request: web.Request) -> dict[str, Any]:
        return {
            name: read_value(adapter, name, request.match_info[name])
            for name, adapter in self._adapters.items()
        }

    def _query(self, request: web.Request) -> BaseModel:
        pairs = read_parameters(request.rel_url.raw_query_string, MalformedQuery)
        return read_parameters_as(self.endpoint.query, pairs, MalformedQuery)

    async def _body(self, request: web.Request) -> BaseModel | None:
        model = self.endpoint.body
        if model is None:
            if request.can_read_body and request.content_length != 0:
                raise MalformedBody("This request takes no body.")
            return None
        content_type = self._content_type(request)
        raw = await read_body(request, self._max_body, self._read_seconds)
        if content_type != FORM:
            return read_json_as(model, raw)
        try:
            text = raw.decode("ascii")
        except UnicodeDecodeError:
            raise MalformedBody("The form is not percent-encoded ASCII.") from None
        return read_parameters_as(model, read_parameters(text, MalformedBody), MalformedBody)

    def _content_type(self, request: web.Request) -> str:
        allowed = self.endpoint.body_types
        wanted = " or ".join(allowed)
        # aiohttp's content_type makes up a value for a header that is missing.
        given = request.content_type if hdrs.CONTENT_TYPE in request.headers else "none"
        if given not in allowed:
            raise UnsupportedMediaType(
                f"The content type must be {wanted}.",
                headers={"Accept-Patch" if request.method == "PATCH" else "Accept-Post": wanted},
            )
        if (request.charset or "utf-8").lower() != "utf-8":
            raise UnsupportedMediaType("The charset must be utf-8.")
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise UnsupportedMediaType(
                "The content encoding must be identity.", headers={"Accept-Encoding": "identity"}
            )
        return given


def render(reply: Reply) -> web.Response:
    """A reply as a response; a model is sent under its JSON names."""
    if reply.body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    if isinstance(reply.body, BaseModel):
        text = reply.body.model_dump_json(by_alias=True)
        return web.Response(
            status=reply.status, text=text, content_type="application/json", headers=reply.headers
        )
    return web.json_response(dict(reply.body), status=reply.status, headers=reply.headers)
