"""Bearer authentication (RFC 6750): a token comes in, a principal goes on."""

import re
from collections.abc import Collection
from typing import Protocol

from aiohttp import hdrs, web

from steelyard.errors import Problem
from steelyard.web.errors import Forbidden, InvalidToken, Unauthenticated

_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.ASCII | re.IGNORECASE)
MAX_TOKEN_LENGTH = 4096


class Principal(Protocol):
    """Who makes the request: an identifier, fit for logs and rate limits, and a role."""

    @property
    def id(self) -> str:
        """The same for every request of this caller."""
        ...

    @property
    def role(self) -> str:
        """What the endpoints' `roles` are held against."""
        ...


class Authenticator(Protocol):
    """What an API trusts to tell whose a token is."""

    async def authenticate(self, token: str) -> Principal:
        """The principal of an access token. Raises a problem of status 401 if it is no good."""
        ...


def bearer_token(request: web.Request) -> str:
    """The request's access token. Raises Unauthenticated when there is none, else InvalidToken."""
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not given:
        raise Unauthenticated(headers=_challenge())
    match = _BEARER.fullmatch(given[0])
    if len(given) > 1 or not match or len(match[1]) > MAX_TOKEN_LENGTH:
        raise refused("The Authorization header must be 'Bearer' and one access token.")
    return match[1]


def refused(detail: str) -> InvalidToken:
    """An InvalidToken with the challenge that RFC 6750, section 3.1, asks for."""
    return InvalidToken(detail, headers=_challenge('error="invalid_token"'))


async def authenticate(request: web.Request, authenticator: Authenticator) -> Principal:
    """The request's principal. Raises a problem of status 401 with a challenge."""
    token = bearer_token(request)
    try:
        return await authenticator.authenticate(token)
    except Problem as problem:
        if problem.status == 401:
            problem.headers.update(_challenge('error="invalid_token"'))
        raise


def authorize(principal: Principal, roles: Collection[str]) -> None:
    """Ask for any of the roles, if there are some. Raises Forbidden, naming those that may."""
    if roles and principal.role not in roles:
        raise Forbidden(f"This needs the role {' or '.join(sorted(roles))}.")


def _challenge(*parameters: str) -> dict[str, str]:
    return {hdrs.WWW_AUTHENTICATE: "Bearer " + ", ".join(('realm="steelyard"', *parameters))}
