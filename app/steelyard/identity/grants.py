"""What goes into a token request and what comes out of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint answers; `expires_in` is in seconds (RFC 6749, section 5.1)."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(default=None, repr=False)
    token_type: str = "Bearer"  # noqa: S105 - the type's name, no secret

    def as_json(self) -> dict[str, str | int]:
        """The response's body."""
        body: dict[str, str | int] = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
        }
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        return body


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, for the limiter and the audit log."""

    address: str
    request_id: str | None = None
