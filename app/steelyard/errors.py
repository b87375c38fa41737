"""The one family of errors that a user may see.

Every room owns a few subclasses of `Problem`; one middleware in `steelyard.web` renders them as
RFC 9457 problem details, and `steelyard.coap` renders the same classes as CoAP response codes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

PROBLEM_BASE = "urn:steelyard:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: its path in the request and one sentence on what is allowed."""

    field: str
    message: str


class Problem(Exception):
    """Something that went wrong and that the caller is told about, in one clear sentence.

    `status` is the HTTP status, `slug` the last part of the problem type's URN, `title` the same
    for every occurrence, `detail` this occurrence. `hint` tells the reader what to do. None of
    them ever carries a secret.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    hint: ClassVar[str | None] = None

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def type(self) -> str:
        """The problem type's URN, documented in docs/reference/problems.md."""
        return PROBLEM_BASE + self.slug

    def as_dict(self) -> dict[str, Any]:
        """The members of RFC 9457, section 3.1, and `errors` for fields as its example has it."""
        body: dict[str, Any] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.hint:
            body["hint"] = self.hint
        if self.errors:
            body["errors"] = [asdict(error) for error in self.errors]
        return body


class InvalidRequest(Problem):
    """A request whose body, query or path breaks a rule; `errors` names each field."""

    status = 422
    slug = "invalid-request"
    title = "The request is not valid"


class ConfigurationError(Problem):
    """A setting that is missing or wrong: its name, what is wrong, where it came from."""

    slug = "configuration"
    title = "The configuration is not valid"
