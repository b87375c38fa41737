"""The two routes on which an API documents itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from steelyard.web import docs
from steelyard.web.endpoint import Call, Endpoint, NoQuery, Response
from steelyard.web.openapi import ApiInfo, OpenApi


@dataclass(frozen=True, slots=True)
class _Rendered:
    openapi: str
    html: str


class Documentation:
    """/openapi.json and /docs, made when they are asked for first: a start need not wait for them.

    `describes` says once which endpoints there are; these two belong to them.
    """

    def __init__(self, info: ApiInfo) -> None:
        self._info = info
        self._described: Sequence[Endpoint] = ()
        self._rendered: _Rendered | None = None

    def describes(self, endpoints: Sequence[Endpoint]) -> None:
        """Take the endpoints that the document is about."""
        self._described = tuple(endpoints)
        self._rendered = None

    def _render(self) -> _Rendered:
        if self._rendered is None:
            document = OpenApi(self._info, self._described).document()
            self._rendered = _Rendered(
                json.dumps(document, ensure_ascii=False), docs.page(document)
            )
        return self._rendered

    async def openapi(self, call: Call[None, NoQuery]) -> web.Response:
        """GET /openapi.json."""
        del call
        return web.Response(text=self._render().openapi, content_type="application/json")

    async def page(self, call: Call[None, NoQuery]) -> web.Response:
        """GET /docs."""
        del call
        policy = {"Content-Security-Policy": docs.CONTENT_SECURITY_POLICY}
        return web.Response(text=self._render().html, content_type="text/html", headers=policy)

    def endpoints(self) -> list[Endpoint]:
        """The two routes."""
        return [
            Endpoint(
                method="GET",
                path="/openapi.json",
                handler=self.openapi,
                operation_id="getOpenApi",
                tag="documentation",
                summary="This API as an OpenAPI 3.1 document",
                public=True,
                responses={200: Response.json({"type": "object"}, "The document.")},
            ),
            Endpoint(
                method="GET",
                path="/docs",
                handler=self.page,
                operation_id="getDocs",
                tag="documentation",
                summary="This API as a page to read",
                public=True,
                responses={200: Response("The page.", {"text/html": None})},
            ),
        ]
