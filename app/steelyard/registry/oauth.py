"""The authorization server: tokens (RFC 6749), revocation (RFC 7009), keys, metadata."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import unquote_plus

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field

from steelyard.errors import InvalidRequest, Problem
from steelyard.identity.errors import (
    InvalidClient,
    InvalidTokenRequest,
    OAuthProblem,
    UnsupportedGrantType,
)
from steelyard.identity.service import Grant, IdentityService, Origin
from steelyard.registry.entities import request_id
from steelyard.web.endpoint import FORM, JSON, Call, Endpoint, Reply, Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_TAG = "authorization"
_MAX_FORM = 16_384
_NOT_IN_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")  # RFC 6749, section 5.2

Secret = Annotated[str, Field(max_length=4096)]
ShortText = Annotated[str, Field(max_length=512)]

ERROR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}


class TokenRequest(BaseModel):
    """A token request; parameters that are not known are passed over (RFC 6749, section 3.2)."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    grant_type: ShortText
    username: ShortText | None = None
    password: Secret | None = Field(None, repr=False)
    client_id: ShortText | None = None
    client_secret: Secret | None = Field(None, repr=False)
    refresh_token: Secret | None = Field(None, repr=False)


class RevocationRequest(BaseModel):
    """What is to be revoked."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    token: Secret = Field(min_length=1, repr=False)
    token_type_hint: ShortText | None = None


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str | None = None


def render(problem: Problem) -> web.Response:
    """A problem as RFC 6749, section 5.2, has it."""
    if isinstance(problem, OAuthProblem):
        code, status = problem.oauth_error, problem.status
    elif problem.status == 429:
        code, status = "temporarily_unavailable", 429
    elif problem.status >= 500:
        code, status = "server_error", problem.status
    else:
        code = "invalid_request"
        status = 400 if isinstance(problem, InvalidRequest) else problem.status
    sentence = problem.detail or problem.title
    if problem.errors:
        sentence += " " + "; ".join(f"{item.field}: {item.message}" for item in problem.errors)
    body = {"error": code, "error_description": _NOT_IN_DESCRIPTION.sub("'", sentence)}
    headers = {**problem.headers, **NO_STORE}
    return web.json_response(body, status=status, headers=headers)


class OAuthServer:
    """The handlers. `keys` gives the key set to publish, `issuer_url` is the issuer identifier."""

    def __init__(
        self, identity: IdentityService, keys: Callable[[], bytes], issuer_url: str
    ) -> None:
        self._identity = identity
        self._keys = keys
        self._issuer_url = issuer_url.rstrip("/")

    async def token(self, call: Call[TokenRequest, Any]) -> Reply:
        """POST /oauth2/token."""
        grant = await self._grant(call)
        return Reply(grant.as_json(), headers=NO_STORE)

    async def _grant(self, call: Call[TokenRequest, Any]) -> Grant:
        form, origin = call.body, origin_of(call)
        if form.grant_type == "password":
            login = _needed("username", form.username)
            return await self._identity.password_grant(
                login, _needed("password", form.password), origin
            )
        if form.grant_type == "client_credentials":
            client_id, secret = _client(call)
            return await self._identity.client_credentials_grant(client_id, secret, origin)
        if form.grant_type == "refresh_token":
            token = _needed("refresh_token", form.refresh_token)
            return await self._identity.refresh_grant(token, origin)
        raise UnsupportedGrantType(
            "grant_type must be password, client_credentials or refresh_token"
        )

    async def revoke(self, call: Call[RevocationRequest, Any]) -> Reply:
        """POST /oauth2/revoke. Whoever holds a token may revoke it."""
        await self._identity.revoke(call.body.token, origin_of(call))
        return Reply(headers=NO_STORE)

    async def keys(self, call: Call[None, Any]) -> Reply:
        """GET /.well-known/jwks.json."""
        del call
        return Reply(json.loads(self._keys()), headers={"Cache-Control": "public, max-age=300"})

    async def metadata(self, call: Call[None, Any]) -> Reply:
        """GET /.well-known/oauth-authorization-server (RFC 8414)."""
        del call
        base = self._issuer_url
        methods = ["client_secret_basic", "client_secret_post", "none"]
        return Reply(
            {
                "issuer": base,
                "token_endpoint": f"{base}/oauth2/token",
                "revocation_endpoint": f"{base}/oauth2/revoke",
                "jwks_uri": f"{base}/.well-known/jwks.json",
                "service_documentation": f"{base}/docs",
                "response_types_supported": [],
                "grant_types_supported": ["password", "client_credentials", "refresh_token"],
                "token_endpoint_auth_methods_supported": methods,
                "revocation_endpoint_auth_methods_supported": ["none"],
            }
        )

    def endpoints(self) -> list[Endpoint]:
        """The four routes."""
        refused = {
            status: Response.json(ERROR_SCHEMA, text)
            for status, text in (
                (400, "RFC 6749, section 5.2: error and error_description."),
                (401, "The client's credentials are not valid."),
                (408, "The body did not arrive in time."),
                (413, "The body is too large."),
                (415, "The content type is not supported."),
                (429, "Too many failed log-ins; Retry-After says how long to wait."),
                (500, "Internal error."),
                (503, "Something that is needed does not answer."),
            )
        }
        form: dict[str, Any] = {
            "method": "POST",
            "body_types": (FORM,),
            "public": True,
            "tag": _TAG,
            "render": render,
            "max_body": _MAX_FORM,
        }
        document: dict[str, Any] = {"method": "GET", "public": True, "tag": _TAG}
        return [
            Endpoint(
                path="/oauth2/token",
                handler=self.token,
                operation_id="getToken",
                summary="Get an access token",
                description="Grants: password (users), client_credentials (stations; client_id and "
                "client_secret by HTTP Basic or in the body), refresh_token. Errors have the form "
                "of RFC 6749, section 5.2.",
                body=TokenRequest,
                body_example={
                    "grant_type": "password",
                    "username": "ana@quarry.example",
                    "password": "three plain words",
                },
                responses={200: Response.json(TokenAnswer, "The tokens."), **refused},
                **form,
            ),
            Endpoint(
                path="/oauth2/revoke",
                handler=self.revoke,
                operation_id="revokeToken",
                summary="Revoke a token",
                description="A refresh token goes with its whole family (RFC 7009). Unknown tokens "
                "are no error.",
                body=RevocationRequest,
                responses={200: Response("It is revoked, or was never good."), **refused},
                **form,
            ),
            Endpoint(
                path="/.well-known/jwks.json",
                handler=self.keys,
                operation_id="getKeys",
                summary="The public keys that prove access tokens (RFC 7517)",
                responses={200: Response("The key set.", {JSON: {"type": "object"}})},
                **document,
            ),
            Endpoint(
                path="/.well-known/oauth-authorization-server",
                handler=self.metadata,
                operation_id="getMetadata",
                summary="What this authorization server offers (RFC 8414)",
                responses={200: Response("The metadata.", {JSON: {"type": "object"}})},
                **document,
            ),
        ]


def origin_of(call: Call[Any, Any]) -> Origin:
    """Where a request came from."""
    return Origin(call.request.remote or "", request_id(call))


def _needed(name: str, value: str | None) -> str:
    if not value:
        raise InvalidTokenRequest(f"{name} is required for this grant_type")
    return value


def _client(call: Call[TokenRequest, Any]) -> tuple[str, str]:
    """The client's credentials, by HTTP Basic or in the body, not both (RFC 6749, section 2.3)."""
    headers = call.request.headers.getall(hdrs.AUTHORIZATION, [])
    form = call.body
    if not headers:
        return _needed("client_id", form.client_id), _needed("client_secret", form.client_secret)
    if form.client_secret is not None:
        raise InvalidTokenRequest("the client must authenticate in one way only")
    scheme, _, encoded = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "basic":
        raise InvalidClient("the client must authenticate with HTTP Basic")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        pair = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeError):
        raise InvalidClient("the Authorization header is malformed") from None
    if not colon or form.client_id not in {None, pair[0]}:
        raise InvalidClient("the Authorization header is malformed")
    return pair
