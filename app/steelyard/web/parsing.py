"""Strict parsing: what is not exactly what was asked for is refused, with the field's name."""

import functools
import json
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, TypeAdapter, ValidationError

from steelyard.errors import FieldError, InvalidRequest
from steelyard.json_text import is_too_deep
from steelyard.web.errors import MalformedBody, MalformedQuery

MAX_DEPTH = 16
MAX_NUMBER_LENGTH = 32
MAX_PARAMETERS = 100
MAX_ERRORS = 20

_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,30})", re.ASCII)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

ModelT = TypeVar("ModelT", bound=BaseModel)


class _Refused(ValueError):
    """What the JSON reader refuses beyond the grammar; its text is one clear clause."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused(f"the member {_shown(name)} is given twice")
            seen.add(name)
    return members


def _number(text: str) -> float:
    if len(text) > MAX_NUMBER_LENGTH:
        raise _Refused(f"a number has more than {MAX_NUMBER_LENGTH} characters")
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _no_constant(text: str) -> NoReturn:
    raise _Refused(f"{text} is not a JSON number")


def _shown(name: str) -> str:
    """A name that a caller chose, cut and made printable, for an error's sentence."""
    return ascii(name[:64])


def read_json(raw: bytes) -> object:
    """The value of a JSON text (RFC 8259), read strictly.

    Raises MalformedBody for bad UTF-8, a text that is cut off or goes on, members given twice,
    NaN and Infinity, numbers of more than 32 characters, lone surrogates, and more than 16 levels.
    """
    if is_too_deep(raw, MAX_DEPTH):
        raise MalformedBody(f"The JSON text is nested more than {MAX_DEPTH} levels deep.")
    try:
        text = raw.decode("utf-8")
        value: object = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"The body is not JSON: {error.msg} ({place}).") from None
    except _Refused as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    return value


def read_json_as(model: type[ModelT], raw: bytes) -> ModelT:
    """A JSON body as a model, strictly: integers are integers, unknown members are refused.

    Raises MalformedBody and InvalidRequest, the latter with every field that is wrong.
    """
    if not isinstance(read_json(raw), dict):
        raise MalformedBody("The body must be a JSON object.")
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        if any(item["type"] == "json_invalid" for item in error.errors(include_input=False)):
            # Python's reader lets a lone surrogate pass, pydantic's does not.
            raise MalformedBody("The body is not JSON: a string is not Unicode.") from None
        raise InvalidRequest(
            "The body breaks the rules of this request.", errors=field_errors(error, model)
        ) from None


def field_errors(error: ValidationError, model: type[BaseModel] | None = None) -> list[FieldError]:
    """One `FieldError` for each of the first 20 errors; never shows a value that was sent."""
    items = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        FieldError(field=_path(item["loc"]), message=_message(item["type"], item["msg"], model))
        for item in items[:MAX_ERRORS]
    ]


def _path(location: Sequence[int | str]) -> str:
    return ".".join(str(part)[:64] for part in location) or "(all fields together)"


def _message(kind: str, message: str, model: type[BaseModel] | None) -> str:
    if kind == "extra_forbidden":
        allowed = f"; known here: {', '.join(names(model))}" if model else ""
        return f"is not a known field{allowed}"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")


def names(model: type[BaseModel]) -> list[str]:
    """The names under which a model's fields are sent."""
    return [field.alias or name for name, field in model.model_fields.items()]


def read_parameters(
    text: str, problem: type[MalformedQuery | MalformedBody]
) -> list[tuple[str, str]]:
    """The pairs of an application/x-www-form-urlencoded text, in order.

    Raises `problem` for bad percent-encoding, bad UTF-8, a name without '=' or too many pairs.
    """
    if not text:
        return []
    parts = text.split("&")
    if len(parts) > MAX_PARAMETERS:
        raise problem(f"There are more than {MAX_PARAMETERS} parameters.")
    return [_pair(part, problem) for part in parts]


def _pair(part: str, problem: type[MalformedQuery | MalformedBody]) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals or not name:
        raise problem("Every parameter must have the form name=value.")
    if _BAD_PERCENT.search(part):
        raise problem("A percent sign must be followed by two hexadecimal digits.")
    try:
        decoded = [unquote_to_bytes(raw.replace("+", " ")).decode() for raw in (name, value)]
    except UnicodeError:
        raise problem("A parameter is not UTF-8.") from None
    return decoded[0], decoded[1]


def read_parameters_as(
    model: type[ModelT],
    pairs: Iterable[tuple[str, str]],
    problem: type[MalformedQuery | MalformedBody],
) -> ModelT:
    """Parameters as a model: integers in canonical decimal, booleans as true and false.

    A parameter may be repeated only where the model's field is a list or a tuple. Raises `problem`
    for a repeated one and InvalidRequest for values and names that break the model's rules.
    """
    kinds = _kinds(model)
    values: dict[str, Any] = {}
    for name, text in pairs:
        kind = kinds.get(name)
        value = _scalar(text, kind.scalar) if kind else text
        if kind and kind.many:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise problem(
                f"The parameter {_shown(name)} is given more than once.",
                errors=[FieldError(name[:64], "must be given once")],
            )
        else:
            values[name] = value
    try:
        # Through JSON, where strict still reads a text as an enumeration, a date or a tuple.
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise InvalidRequest(
            "A parameter breaks the rules of this request.", errors=field_errors(error, model)
        ) from None


class _Kind:
    """What a parameter's text is to be read as."""

    __slots__ = ("many", "scalar")

    def __init__(self, annotation: object) -> None:
        members = [_bare(member) for member in _members(annotation)]
        lists = [member for member in members if get_origin(member) in {list, tuple}]
        self.many = bool(lists)
        if lists:
            members = [_bare(inner) for item in get_args(lists[0])[:1] for inner in _members(item)]
        self.scalar = next((kind for kind in (int, bool) if kind in members), str)


@functools.cache  # a model does not change; one entry for each query model there is
def _kinds(model: type[BaseModel]) -> Mapping[str, _Kind]:
    return {
        field.alias or name: _Kind(field.annotation) for name, field in model.model_fields.items()
    }


def _bare(annotation: object) -> object:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _members(annotation: object) -> list[object]:
    annotation = _bare(annotation)
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _scalar(text: str, kind: type) -> object:
    if kind is int and _INTEGER.fullmatch(text):
        return int(text)
    if kind is bool and text in {"true", "false"}:
        return text == "true"
    return text  # the model's own rule then says what it must be


def read_value(adapter: TypeAdapter[Any], name: str, text: str, kind: type = str) -> object:
    """One value from the path. Raises InvalidRequest with its name and what is allowed."""
    try:
        return adapter.validate_json(json.dumps(_scalar(text, kind)), strict=True)
    except ValidationError as error:
        message = _message("", error.errors(include_input=False)[0]["msg"], None)
        raise InvalidRequest(
            "A part of the path breaks the rules of this request.",
            errors=[FieldError(name, message)],
        ) from None
