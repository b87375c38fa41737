"""Who may speak to the display: its own pages, under the names that the SmartBox has.

A page that somebody visits elsewhere could send requests here (cross-site), or have its own name
lead to this address (DNS rebinding). Both tell themselves: by `Origin` and `Sec-Fetch-Site`, and by
`Host`.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import web

from steelyard.errors import Problem
from steelyard.smartbox.display.errors import (
    ForeignRequest,
    NoSuchPage,
    PasswordWanted,
    TooManyGuesses,
)
from steelyard.smartbox.display.guesses import Guesses
from steelyard.smartbox.weighing.reason import Reason

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
USER = "operator"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_HOST = re.compile(r"^(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::[0-9]{1,5})?$")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Door:
    """One address at which the display is served.

    `names` are the host names that may be in a request; `password` is None on loopback;
    `commands` says whether buttons can be pressed here.
    """

    scheme: str
    names: frozenset[str]
    password: str | None
    commands: bool
    guesses: Guesses = field(default_factory=lambda: Guesses(monotonic))

    def check(self, request: web.Request) -> None:
        """Raises ForeignRequest, PasswordWanted, TooManyGuesses."""
        self._check_host(request.headers)
        self._check_origin(request)
        if self.password is not None:
            self._check_password(request, self.password)

    def _check_host(self, headers: Mapping[str, str]) -> None:
        match = _HOST.match(headers.get("Host", "").lower())
        if match is None or (match[1] or match[2]) not in self.names:
            known = ", ".join(sorted(self.names))
            raise ForeignRequest(f"the host must be one of {known}")

    def _check_origin(self, request: web.Request) -> None:
        headers = request.headers
        origin = headers.get("Origin")
        if origin is not None and origin.lower() != f"{self.scheme}://{headers['Host'].lower()}":
            raise ForeignRequest("the origin must be this display's own")
        site = headers.get("Sec-Fetch-Site", "same-origin")
        safe = request.method in ("GET", "HEAD")
        # Following a link to the display, or typing its address, is no harm; all else would be.
        by_hand = safe and headers.get("Sec-Fetch-Mode") == "navigate"
        if site != "same-origin" and not by_hand:
            raise ForeignRequest("the request must come from a page of this display")

    def _check_password(self, request: web.Request, password: str) -> None:
        address = request.remote or ""
        wait = self.guesses.wait(address)
        if wait:
            seconds = str(int(wait) + 1)
            raise TooManyGuesses(
                f"guess again in {seconds} seconds", headers={"Retry-After": seconds}
            )
        said = _credentials(request.headers.get("Authorization"))
        if said is not None and hmac.compare_digest(said, f"{USER}:{password}".encode()):
            return
        if said is not None:
            self.guesses.note(address)
        ask = {"WWW-Authenticate": 'Basic realm="Steelyard display", charset="UTF-8"'}
        raise PasswordWanted(f"the user is {USER}, the password the station's", headers=ask)


def _credentials(header: str | None) -> bytes | None:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""


def answer(problem: Problem) -> web.Response:
    """A problem as RFC 9457 has it; a reason that has a code comes with it, for other languages."""
    body = problem.as_dict()
    if isinstance(problem.detail, Reason):
        body["reason"] = problem.detail.as_json()
    return web.json_response(
        body,
        status=problem.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )


def guard(application: web.Application, door: Door) -> None:
    """Let only what a door lets in reach an application, and give every answer its headers."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            door.check(request)
            return await handler(request)
        except Problem as problem:
            return answer(problem)
        except web.HTTPNotFound:
            return answer(NoSuchPage(f"{request.path} is not here"))

    async def dress(request: web.Request, response: web.StreamResponse) -> None:
        del request
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)

    application.middlewares.append(check)
    application.on_response_prepare.append(dress)
