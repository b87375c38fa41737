"""What an endpoint is: one declaration, which is both served and documented."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

from steelyard.errors import Problem
from steelyard.web.auth import Principal

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"
STREAMED = frozenset({"text/csv", "application/x-ndjson"})

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

# A part of a path that is nothing in particular: printable, and not absurdly long.
PathText = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,96}$")]

BodyT = TypeVar("BodyT")
QueryT = TypeVar("QueryT")


class NoQuery(BaseModel):
    """The query of an endpoint that takes no parameters."""

    model_config = ConfigDict(extra="forbid")


@dataclass(slots=True, kw_only=True)
class Call(Generic[BodyT, QueryT]):
    """One request, parsed and authorized, as a handler gets it.

    `principal` is None only on a public endpoint; `caller` is the same where it cannot be None.
    """

    request: web.Request
    endpoint: "Endpoint"
    body: BodyT
    query: QueryT
    path: Mapping[str, Any]
    principal: Principal | None

    @property
    def caller(self) -> Principal:
        """The principal of an endpoint that is not public."""
        if self.principal is None:
            raise LookupError(f"{self.endpoint.path} is public and asks for its caller")
        return self.principal


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers with: a model (or a plain mapping) and the headers beside it."""

    body: BaseModel | Mapping[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """One documented answer: of each content type the model, a union of models, a JSON schema as a
    mapping, or None for plain text.
    """

    description: str
    content: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def json(model: object, description: str, **headers: str) -> "Response":
        """A JSON answer; header names are given with '_' for '-'."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return Response(description, {JSON: model}, named)


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an endpoint documents; the dispatcher asks for a required one."""

    name: str
    description: str
    required: bool = False
    pattern: str | None = None


# The handler's Call is generic in what the endpoint declares beside it.
Handler = Callable[[Call[Any, Any]], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method on one path.

    `roles` (any of them) are asked of the caller, unless the endpoint is `public`. `conditional`
    asks for If-Match before the handler is called. `parameters` gives the type of each placeholder
    in the path; one that is not given is a PathText. `max_body` and `timeout` (seconds) override
    the server's. `render` replaces the rendering of problems where another specification rules
    (OAuth 2).
    """

    method: str
    path: str
    handler: Handler
    summary: str
    responses: Mapping[int, Response]
    operation_id: str
    tag: str = "general"
    description: str = ""
    body: type[BaseModel] | None = None
    body_types: tuple[str, ...] = (JSON,)
    body_example: Mapping[str, Any] | None = None
    query: type[BaseModel] = NoQuery
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    public: bool = False
    roles: Collection[str] = frozenset()
    conditional: bool = False
    problems: tuple[type[Problem], ...] = ()
    max_body: int | None = None
    timeout: float | None = None
    render: Callable[[Problem], web.Response] | None = None

    @property
    def placeholders(self) -> list[str]:
        """The names in the path's template."""
        return _PLACEHOLDER.findall(self.path)

    @property
    def answers_head(self) -> bool:
        """Whether HEAD is answered as well: a stream would write a body where none may be."""
        types = {kind for response in self.responses.values() for kind in response.content}
        return self.method == "GET" and not types & STREAMED

    def adapters(self) -> dict[str, TypeAdapter[Any]]:
        """What each placeholder is checked with."""
        return {
            name: TypeAdapter(self.parameters.get(name, PathText)) for name in self.placeholders
        }
