"""What can go wrong when somebody authenticates.

Subclasses of `OAuthProblem` carry the `error` code of RFC 6749, section 5.2 (or RFC 6750, section
3.1, or RFC 7009) in `oauth_error`; the token endpoint renders it.
"""

from typing import ClassVar

from steelyard.errors import InvalidRequest, Problem


class OAuthProblem(Problem):
    """Base of what the OAuth endpoints answer."""

    status = 400
    slug = "oauth"
    title = "The authorization server refused the request"
    oauth_error: ClassVar[str] = "invalid_request"


class InvalidTokenRequest(OAuthProblem):
    """A parameter of the token request is missing, repeated or malformed."""

    slug = "invalid-token-request"
    title = "The token request is not valid"
    oauth_error = "invalid_request"


class InvalidGrant(OAuthProblem):
    """Wrong log-in or password, a locked account, or a refresh token that is no longer good."""

    slug = "invalid-grant"
    title = "The credentials are not valid"
    oauth_error = "invalid_grant"


class InvalidClient(OAuthProblem):
    """A station's client id or secret is wrong."""

    status = 401
    slug = "invalid-client"
    title = "The client's credentials are not valid"
    oauth_error = "invalid_client"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Basic realm="steelyard"'})


class UnsupportedGrantType(OAuthProblem):
    """A grant type that is not offered."""

    slug = "unsupported-grant-type"
    title = "The grant type is not supported"
    oauth_error = "unsupported_grant_type"


class TooManyAttempts(OAuthProblem):
    """Too many failed log-ins from one address; `Retry-After` says how long to wait, in seconds."""

    status = 429
    slug = "too-many-attempts"
    title = "Too many failed log-ins"
    oauth_error = "temporarily_unavailable"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many failed log-ins from this address; wait {retry_after_seconds} s",
            headers={"Retry-After": str(retry_after_seconds)},
        )


class InvalidToken(OAuthProblem):
    """An access token that is missing, malformed, expired, not ours, or revoked."""

    status = 401
    slug = "invalid-token"
    title = "The access token is not valid"
    oauth_error = "invalid_token"

    def __init__(self, detail: str = "", *, missing: bool = False) -> None:
        # RFC 6750, section 3.1: a request without any credentials is told no error code.
        error = "" if missing else ', error="invalid_token"'
        super().__init__(detail, headers={"WWW-Authenticate": f'Bearer realm="steelyard"{error}'})


class WeakPassword(InvalidRequest):
    """A password that breaks a rule; `errors` says which."""

    slug = "weak-password"
    title = "The password is not allowed"


class VerificationKeysUnavailable(Problem):
    """The public keys that prove access tokens cannot be read or fetched."""

    status = 503
    slug = "verification-keys-unavailable"
    title = "The keys for access tokens are not available"
    hint = "Send the request again."
