"""What HTTP itself can refuse."""

from steelyard.errors import InvalidRequest, Problem

__all__ = [
    "BadCursor",
    "Conflict",
    "ExpectationFailed",
    "Forbidden",
    "HandlerTimeout",
    "InternalError",
    "InvalidRequest",
    "InvalidToken",
    "MalformedBody",
    "MalformedQuery",
    "MethodNotAllowed",
    "NotFound",
    "NotReady",
    "PayloadTooLarge",
    "PreconditionFailed",
    "PreconditionRequired",
    "ReadTimeout",
    "TooManyRequests",
    "Unauthenticated",
    "UnsupportedMediaType",
]


class MalformedBody(Problem):
    """A body that cannot be read as what its content type says."""

    status = 400
    slug = "malformed-body"
    title = "The body cannot be read"


class MalformedQuery(Problem):
    """A query string that cannot be read: bad percent-encoding or UTF-8, or a name given twice."""

    status = 400
    slug = "malformed-query"
    title = "The query string cannot be read"


class BadCursor(InvalidRequest):
    """A cursor that this server did not give out, or gave out for another list."""

    slug = "bad-cursor"
    title = "The cursor is not valid"
    hint = "Start again without a cursor, and pass `next` on exactly as it was given."


class Unauthenticated(Problem):
    """No access token was presented (RFC 6750, section 3)."""

    status = 401
    slug = "unauthenticated"
    title = "An access token is needed"
    hint = "Send 'Authorization: Bearer <access token>'."


class InvalidToken(Problem):
    """The access token is malformed, expired, revoked or not meant for this API."""

    status = 401
    slug = "invalid-token"
    title = "The access token is not valid"
    hint = "Get a new access token with the refresh token, or log in again."


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFound(Problem):
    """There is no such thing, or the caller may not know of it: the answer is the same."""

    status = 404
    slug = "not-found"
    title = "Not found"


class MethodNotAllowed(Problem):
    """The path exists, but not with this method; `Allow` lists the ones it has."""

    status = 405
    slug = "method-not-allowed"
    title = "The method is not allowed"


class ReadTimeout(Problem):
    """The body did not arrive within the time allowed."""

    status = 408
    slug = "read-timeout"
    title = "The body did not arrive in time"


class Conflict(Problem):
    """The request contradicts what is there."""

    status = 409
    slug = "conflict"
    title = "In conflict with what is there"


class PreconditionFailed(Problem):
    """`If-Match` names another version than the present one."""

    status = 412
    slug = "precondition-failed"
    title = "It was changed meanwhile"
    hint = "Get it again, look at what changed, and repeat with its present ETag."


class PayloadTooLarge(Problem):
    """The body is larger than this endpoint takes."""

    status = 413
    slug = "payload-too-large"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    """The body's content type, charset or content encoding is not one that is taken."""

    status = 415
    slug = "unsupported-media-type"
    title = "The content type is not supported"


class ExpectationFailed(Problem):
    """An `Expect` header asks for something other than 100-continue."""

    status = 417
    slug = "expectation-failed"
    title = "The expectation cannot be met"


class PreconditionRequired(Problem):
    """A change needs `If-Match`, so that nobody overwrites what they have not seen."""

    status = 428
    slug = "precondition-required"
    title = "The header If-Match is needed"
    hint = "Get it first, and send its ETag in If-Match."


class TooManyRequests(Problem):
    """The caller's rate is above its limit; `Retry-After` says how many seconds to wait."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"


class InternalError(Problem):
    """A fault of ours; the log has it under the request's id."""

    status = 500
    slug = "internal"
    title = "Internal error"
    hint = "The log has the cause under this request's id (header X-Request-Id)."


class NotReady(Problem):
    """The service is alive and cannot work: something that it needs does not answer."""

    status = 503
    slug = "not-ready"
    title = "Not ready"


class HandlerTimeout(Problem):
    """The work took longer than allowed and was given up; nothing of it was kept."""

    status = 503
    slug = "timeout"
    title = "The work took too long"
    hint = "Send the request again."
