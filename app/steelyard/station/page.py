"""The first boot's page: what the operator's display shows until there is a SmartBox.

It listens on all of the machine's addresses, so that it is seen without a screen too; only who is
on a private or link-local network gets it. It has no buttons and no secret.
"""

import html
import ipaddress
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from steelyard.errors import ConfigurationError
from steelyard.smartbox.display.guard import HEADERS
from steelyard.station.state import Shown

REFRESH_SECONDS = 5
_SHUTDOWN_SECONDS = 1.0
# /display/ is the display's own address: a browser that waits there finds it when it is ready.
ROUTES = (
    ("GET", "/", "The page: what the first boot waits for"),
    ("GET", "/display/", "The same"),
    ("GET", "/state.json", "The same for programs"),
    ("GET", "/first-boot.css", "Its style"),
)
_STYLE = files("steelyard.station") / "assets" / "first-boot.css"


class Page:
    """Serves the page and, for programs, `/state.json`."""

    def __init__(self, host: str | None, port: int) -> None:
        self._host = host
        self._port = port
        self._shown: Shown | None = None
        self._runner: web.AppRunner | None = None

    def show(self, shown: Shown) -> None:
        """What is served from now on."""
        self._shown = shown

    async def start(self) -> int:
        """Listen; gives the port. Raises ConfigurationError."""
        application = web.Application(middlewares=[_near_only])
        application.router.add_get("/", self._page)
        application.router.add_get("/display/", self._page)
        application.router.add_get("/state.json", self._state)
        application.router.add_get("/first-boot.css", self._style)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"station.page_port: {self._port} cannot be bound: {error.strerror}"
            ) from None
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening, so that the display can."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=as_html(self._shown), content_type="text/html", charset="utf-8")

    async def _state(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self._shown.as_json() if self._shown is not None else None)

    async def _style(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=_STYLE.read_text("utf-8"), content_type="text/css")


@web.middleware
async def _near_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if not is_near(request.remote):
        raise web.HTTPForbidden(text="this page is for the station's own network\n")
    response = await handler(request)
    response.headers.update(HEADERS | {"Cache-Control": "no-store"})
    return response


def is_near(remote: str | None) -> bool:
    """Whether an address is on loopback, link-local, or of a private network."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_private


def as_html(shown: Shown | None) -> str:
    """The page; it looks again by itself."""
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n'
        "<title>Steelyard: first boot</title>\n"
        '<link rel="stylesheet" href="/first-boot.css">\n</head>\n<body>\n'
    )
    if shown is None:
        return (
            f"{head}<main><h1>Steelyard</h1><p>The station starts.</p></main>\n</body>\n</html>\n"
        )
    rows = {
        "Device code": shown.device_code,
        "Claim": shown.claim or "none",
        "Host name": f"{shown.host_name}.local",
        "Addresses": ", ".join(shown.addresses) or "none",
    }
    table = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>\n" for name, text in rows.items())
    state = shown.state
    return (
        f"{head}<main>\n<h1>{html.escape(shown.station or 'Steelyard')}</h1>\n"
        f'<p id="state" class="{state.phase}" role="status">{html.escape(state.sentence)}</p>\n'
        f'<p id="remedy">{html.escape(state.remedy)}</p>\n<dl>\n{table}</dl>\n</main>\n'
        "</body>\n</html>\n"
    )
