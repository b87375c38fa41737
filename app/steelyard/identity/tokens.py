"""Access tokens: short-lived JSON Web Tokens under an asymmetric key (RFC 9068's form)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.errors import ConfigurationError
from steelyard.identity.errors import InvalidToken
from steelyard.identity.jwks import JwksFile, KeySource, key_source
from steelyard.identity.keys import PrivateKey, VerificationKey, load_private
from steelyard.identity.principal import Principal
from steelyard.identity.settings import IdentitySettings
from steelyard.store.identifiers import new_id
from steelyard.store.models import Role

TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header's value, no secret
_MAX_LENGTH = 4096
_LAST_SECOND = 253_402_300_799  # the end of the year 9999
_REQUIRED = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "role", "epoch"]


class _Claims(BaseModel):
    """What our issuer writes, checked once more: the signature proves the writer, not the form."""

    model_config = ConfigDict(strict=True, extra="ignore")

    sub: str = Field(min_length=1, max_length=64)
    jti: str = Field(min_length=1, max_length=64)
    exp: int = Field(ge=0, le=_LAST_SECOND)
    role: Role = Field(strict=False)
    customer: str | None = None
    station: str | None = None
    epoch: int = Field(ge=0)
    sid: str | None = None


class TokenIssuer:
    """Signs access tokens. Holds the private key: only the management API makes one."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        issuer: str,
        audience: str,
        lifetime_seconds: int = 600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self.lifetime_seconds = lifetime_seconds
        self.verification_key = VerificationKey.of(key.public_key())

    @classmethod
    def from_settings(cls, settings: IdentitySettings) -> Self:
        """Read the private key, and make sure that the key set publishes its public half."""
        if settings.signing_key_file is None:
            raise ConfigurationError("identity.signing_key_file: must name the private key")
        made = cls(
            load_private(Path(settings.signing_key_file)),
            issuer=settings.issuer,
            audience=settings.audience,
            lifetime_seconds=settings.access_token_seconds,
        )
        if settings.jwks_file is not None:
            published = JwksFile(settings.jwks_file).current()
            if made.verification_key.id not in published:
                raise ConfigurationError(
                    f"identity.jwks_file: {settings.jwks_file} does not hold the public half of "
                    f"{settings.signing_key_file}"
                )
        return made

    def issue(
        self,
        *,
        kind: Literal["user", "station"],
        subject: str,
        role: Role,
        customer_id: str | None,
        epoch: int,
        family_id: str | None = None,
    ) -> str:
        """A signed token for a user or a station."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": subject,
            "aud": self._audience,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_seconds,
            "jti": new_id(now * 1000),
            "role": role.value,
            "customer": customer_id,
            "station": subject if kind == "station" else None,
            "epoch": epoch,
            "sid": family_id,
        }
        return jwt.encode(
            claims,
            self._key,
            algorithm=self.verification_key.algorithm,
            headers={"kid": self.verification_key.id, "typ": TOKEN_TYPE},
        )


class TokenVerifier:
    """Verifies access tokens with public keys only."""

    def __init__(
        self, source: KeySource, *, issuer: str, audience: str, leeway_seconds: int = 5
    ) -> None:
        self._source = source
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway_seconds

    @classmethod
    def from_settings(cls, settings: IdentitySettings) -> Self:
        """A verifier with the key set of `jwks_file` or `jwks_url`."""
        return cls(
            key_source(settings),
            issuer=settings.issuer,
            audience=settings.audience,
            leeway_seconds=settings.clock_leeway_seconds,
        )

    async def verify(self, token: str) -> Principal:
        """Who bears the token. Raises InvalidToken; whether the bearer still exists is not asked
        (that is `principal_active`).
        """
        key = await self._key_for(token)
        try:
            payload = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": _REQUIRED, "strict_aud": True},
            )
            claims = _Claims.model_validate(payload)
        except jwt.ExpiredSignatureError:
            raise InvalidToken("the access token has expired") from None
        except (jwt.PyJWTError, ValidationError, ValueError, TypeError, OverflowError):
            raise InvalidToken("the access token is not valid") from None
        return _principal(claims)

    async def _key_for(self, token: str) -> VerificationKey:
        if len(token) > _MAX_LENGTH or not token.isascii():
            raise InvalidToken("the access token is malformed")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise InvalidToken("the access token is malformed") from None
        key_id = header.get("kid")
        if header.get("typ") != TOKEN_TYPE or not isinstance(key_id, str):
            raise InvalidToken("the access token is not of this platform")
        key = (await self._source.keys(key_id)).get(key_id)
        if key is None or header.get("alg") != key.algorithm:
            raise InvalidToken("the access token is signed by an unknown key")
        return key


def _principal(claims: _Claims) -> Principal:
    is_station = claims.role is Role.STATION
    # A station acts for itself and for a customer; a person never is a station.
    consistent = (
        (claims.station == claims.sub and claims.customer is not None)
        if is_station
        else (claims.station is None)
    ) and ((claims.customer is None) == (claims.role is Role.PLATFORM_ADMINISTRATOR))
    if not consistent:
        raise InvalidToken("the access token contradicts itself")
    return Principal(
        kind="station" if is_station else "user",
        id=claims.sub,
        role=claims.role,
        customer_id=claims.customer,
        station_id=claims.station,
        token_id=claims.jti,
        epoch=claims.epoch,
        expires_at=claims.exp,
        family_id=claims.sid,
    )
