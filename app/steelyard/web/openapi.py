"""The OpenAPI 3.1 document, made from the endpoints that are served."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import UnionType
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from steelyard.errors import PROBLEM_BASE, Problem
from steelyard.web.endpoint import Endpoint, Response
from steelyard.web.errors import (
    Forbidden,
    HandlerTimeout,
    InternalError,
    InvalidRequest,
    InvalidToken,
    MalformedBody,
    MalformedQuery,
    PayloadTooLarge,
    PreconditionFailed,
    PreconditionRequired,
    ReadTimeout,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
)

_REF = "#/components/schemas/{model}"
PROBLEM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri", "pattern": f"^{PROBLEM_BASE}[a-z0-9-]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What happened this time."},
        "hint": {"type": "string", "description": "What to do about it."},
        "errors": {
            "type": "array",
            "description": "Each field that is wrong, and what is allowed.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class ApiInfo:
    """What the document says of the API as a whole."""

    title: str
    version: str
    description: str
    security_schemes: Mapping[str, Any] = field(
        default_factory=lambda: {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        }
    )


ModelKey = tuple[type[BaseModel], Literal["validation", "serialization"]]


class OpenApi:
    """Builds the document of an API from its endpoints."""

    def __init__(self, info: ApiInfo, endpoints: Sequence[Endpoint]) -> None:
        self._info = info
        self._endpoints = endpoints
        self._refs, definitions = models_json_schema(list(_models(endpoints)), ref_template=_REF)
        self._schemas: dict[str, Any] = dict(definitions.get("$defs", {}))
        self._schemas["Problem"] = dict(PROBLEM_SCHEMA)

    def document(self) -> dict[str, Any]:
        """The document, ready to be sent as JSON."""
        paths: dict[str, dict[str, Any]] = {}
        for endpoint in self._endpoints:
            operation = self._operation(endpoint)
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
        tags = sorted({endpoint.tag for endpoint in self._endpoints})
        return {
            "openapi": "3.1.0",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": self._info.title,
                "version": self._info.version,
                "description": self._info.description,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name} for name in tags],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "securitySchemes": dict(self._info.security_schemes),
            },
        }

    def _operation(self, endpoint: Endpoint) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": endpoint.operation_id,
            "summary": endpoint.summary,
            "tags": [endpoint.tag],
            "parameters": [
                *self._path_parameters(endpoint),
                *self._query_parameters(endpoint),
                *_header_parameters(endpoint),
            ],
            "responses": self._responses(endpoint),
        }
        if endpoint.description or endpoint.roles:
            operation["description"] = _description(endpoint)
        if endpoint.body:
            operation["requestBody"] = self._request_body(endpoint, endpoint.body)
        schemes = self._info.security_schemes
        operation["security"] = [] if endpoint.public else [{name: []} for name in schemes]
        return operation

    def _request_body(self, endpoint: Endpoint, model: type[BaseModel]) -> dict[str, Any]:
        media: dict[str, Any] = {"schema": self._refs[model, "validation"]}
        if endpoint.body_example:
            media["example"] = dict(endpoint.body_example)
        return {"required": True, "content": dict.fromkeys(endpoint.body_types, media)}

    @staticmethod
    def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
        return [
            {"name": name, "in": "path", "required": True, "schema": adapter.json_schema()}
            for name, adapter in endpoint.adapters().items()
        ]

    def _query_parameters(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        schema = endpoint.query.model_json_schema(by_alias=True, ref_template=_REF)
        self._schemas.update(schema.get("$defs", {}))
        required = set(schema.get("required", []))
        parameters = []
        for name, given in schema.get("properties", {}).items():
            inner = _without_null(given)
            parameter = {"name": name, "in": "query", "required": name in required, "schema": inner}
            description = inner.pop("description", given.get("description"))
            if description:
                parameter["description"] = description
            parameters.append(parameter)
        return parameters

    def _responses(self, endpoint: Endpoint) -> dict[str, Any]:
        responses = {
            str(status): self._response(response)
            for status, response in sorted(endpoint.responses.items())
        }
        if endpoint.render is None:
            for status, problems in sorted(_problems(endpoint).items()):
                responses.setdefault(str(status), _problem_response(status, problems))
        return responses

    def _response(self, response: Response) -> dict[str, Any]:
        answer: dict[str, Any] = {"description": response.description}
        if response.content:
            answer["content"] = {
                content_type: self._media(model) for content_type, model in response.content.items()
            }
        if response.headers:
            answer["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in response.headers.items()
            }
        return answer

    def _media(self, model: object) -> dict[str, Any]:
        if model is None:
            return {"schema": {"type": "string"}}
        if members := [self._refs[member, "serialization"] for member in _members(model)]:
            return {"schema": members[0] if len(members) == 1 else {"anyOf": members}}
        if not isinstance(model, Mapping):
            raise TypeError(f"a response's schema is a model or a mapping, not {model!r}")
        return {"schema": dict(model)}


def _models(endpoints: Iterable[Endpoint]) -> dict[ModelKey, None]:
    found: dict[ModelKey, None] = {}
    for endpoint in endpoints:
        if endpoint.body:
            found[endpoint.body, "validation"] = None
        for response in endpoint.responses.values():
            for content in response.content.values():
                for model in _members(content):
                    found[model, "serialization"] = None
    return found


def _members(content: object) -> list[type[BaseModel]]:
    """The models of a response's content: one, those of a union, or none."""
    kinds = get_args(content) if isinstance(content, UnionType) else (content,)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _description(endpoint: Endpoint) -> str:
    who = f"For the roles: {', '.join(sorted(endpoint.roles))}." if endpoint.roles else ""
    return "\n\n".join(text for text in (endpoint.description, who) if text)


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter is absent or has a value: it is never null."""
    members = [part for part in schema.get("anyOf", []) if part != {"type": "null"}]
    rest = {
        name: part for name, part in schema.items() if name not in {"anyOf", "default", "title"}
    }
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    if len(members) == 1:
        return {**members[0], **rest}
    return {**rest, "anyOf": members} if members else rest


def _header_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    headers: list[dict[str, Any]] = []
    if endpoint.conditional:
        headers.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of what is to be changed, or * for any.",
                "schema": {"type": "string", "pattern": r'^(\*|"[!#-~]{1,64}")$'},
            }
        )
    for header in endpoint.headers:
        schema: dict[str, Any] = {"type": "string"}
        if header.pattern:
            schema["pattern"] = header.pattern
        headers.append(
            {
                "name": header.name,
                "in": "header",
                "required": header.required,
                "description": header.description,
                "schema": schema,
            }
        )
    return headers


def problems_of(endpoint: Endpoint) -> list[type[Problem]]:
    """Every problem type that an endpoint may answer with."""
    found: list[type[Problem]] = [
        *endpoint.problems,
        TooManyRequests,
        InternalError,
        HandlerTimeout,
    ]
    found += [MalformedQuery, InvalidRequest, MalformedBody]
    if not endpoint.public:
        found += [Unauthenticated, InvalidToken, Forbidden]
    if endpoint.body:
        found += [ReadTimeout, PayloadTooLarge, UnsupportedMediaType]
    if endpoint.conditional:
        found += [PreconditionRequired, PreconditionFailed]
    return list(dict.fromkeys(found))


def _problems(endpoint: Endpoint) -> dict[int, list[type[Problem]]]:
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems_of(endpoint):
        by_status.setdefault(problem.status, []).append(problem)
    return by_status


def _problem_response(status: int, problems: Sequence[type[Problem]]) -> dict[str, Any]:
    examples = {
        problem.slug: {
            "summary": problem.title,
            "value": {
                "type": PROBLEM_BASE + problem.slug,
                "title": problem.title,
                "status": status,
                **({"hint": problem.hint} if problem.hint else {}),
            },
        }
        for problem in problems
    }
    response: dict[str, Any] = {
        "description": "; ".join(problem.title for problem in problems)
        or HTTPStatus(status).phrase,
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if status == 429:
        response["headers"] = {"Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}}}
    return response
