"""The display's routes."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from steelyard.smartbox.display.assets import Assets
from steelyard.smartbox.display.book import Book, Entry
from steelyard.smartbox.display.code import make_claim, make_code
from steelyard.smartbox.display.feed import Feed
from steelyard.smartbox.display.sheet import Sheet, make_sheet
from steelyard.smartbox.display.words import Words, check_language
from steelyard.smartbox.settings import SmartBoxSettings

# For docs/reference: what is served, and what it is.
ROUTES = (
    ("GET", "/display", "To `/display/`"),
    ("GET", "/display/", "The operator's display"),
    ("GET", "/display/files/{name}", "Its style, scripts and texts"),
    ("GET", "/display/events", "What it shows, as server-sent events"),
    ("GET", "/display/tickets/{id}", "A ticket to print"),
    ("GET", "/display/tickets/{id}/sheet", "What stands on it (`lang`: en, pt, de), as JSON"),
    ("GET", "/display/tickets/{id}/ticket.pdf", "The same as PDF (`lang`)"),
    ("GET", "/display/tickets/{id}/code.svg", "Its QR code"),
    ("GET", "/display/tickets/{id}/receipt.json", "What `steelyard verify` takes"),
)


class Display:
    """The display of one SmartBox; the same for every address at which it is served."""

    def __init__(
        self, settings: SmartBoxSettings, feed: Feed, book: Book, station: dict[str, Any]
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._book = book
        self._assets = Assets()
        self._pdf_maker: Callable[[Sheet], bytes] | None = None
        if settings.display_font_file is not None:
            self._pdf_maker = _make_pdf_maker(settings.display_font_file)
        self._drawing = asyncio.Lock()  # a font keeps notes while a page is drawn
        self._station = station | {"build": self._assets.build}

    def add_routes(self, application: web.Application, *, commands: bool) -> None:
        """Serve the display; `commands` says whether its buttons can be pressed here."""
        station = self._station | {"commands": commands}

        async def events(request: web.Request) -> web.StreamResponse:
            return await self._feed.stream(request, station)

        get = application.router.add_get
        get("/display", self._move)
        get("/display/", self._page)
        get("/display/files/{name}", self._file)
        get("/display/events", events)
        get("/display/tickets/{id}", self._ticket)
        get("/display/tickets/{id}/sheet", self._sheet)
        get("/display/tickets/{id}/ticket.pdf", self._pdf)
        get("/display/tickets/{id}/code.svg", self._code)
        get("/display/tickets/{id}/receipt.json", self._receipt)

    async def _move(self, request: web.Request) -> web.Response:
        del request
        return web.Response(status=308, headers={"Location": "/display/"})

    async def _page(self, request: web.Request) -> web.Response:
        return self._assets.answer("display.html", request)

    async def _file(self, request: web.Request) -> web.Response:
        return self._assets.answer(request.match_info["name"], request)

    async def _ticket(self, request: web.Request) -> web.Response:
        await self._entry(request)
        return self._assets.answer("ticket.html", request)

    async def _sheet(self, request: web.Request) -> web.Response:
        return web.json_response((await self._make_sheet(request)).as_json())

    async def _pdf(self, request: web.Request) -> web.Response:
        sheet = await self._make_sheet(request)
        async with self._drawing:
            if self._pdf_maker is None:
                self._pdf_maker = await asyncio.to_thread(_make_pdf_maker, None)
            body = await asyncio.to_thread(self._pdf_maker, sheet)
        name = f'inline; filename="{request.match_info["id"]}.pdf"'
        return web.Response(
            body=body, content_type="application/pdf", headers={"Content-Disposition": name}
        )

    async def _code(self, request: web.Request) -> web.Response:
        code = make_code(await self._entry(request))
        return web.Response(body=code.svg(), content_type="image/svg+xml")

    async def _receipt(self, request: web.Request) -> web.Response:
        claim = make_claim(await self._entry(request))
        name = f'attachment; filename="{request.match_info["id"]}.json"'
        return web.json_response(claim, headers={"Content-Disposition": name})

    async def _make_sheet(self, request: web.Request) -> Sheet:
        settings = self._settings
        language = check_language(request.query.get("lang", settings.display_language))
        words = Words(language, settings.display_time_zone)
        return make_sheet(await self._entry(request), settings.station, words)

    async def _entry(self, request: web.Request) -> Entry:
        return await self._book.get(request.match_info["id"])


def _make_pdf_maker(font: Path | None) -> Callable[[Sheet], bytes]:
    """The library takes 10 MB and most of a second on a Pi: it is loaded for the first PDF only.

    Raises ConfigurationError for a file that is no font.
    """
    from steelyard.smartbox.display.paper import Fonts, draw_pdf

    return partial(draw_pdf, fonts=Fonts(font))
