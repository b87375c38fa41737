"""The configuration's schema, as Pulumi.yaml declares it: `pulumi config` checks values by it."""

import types
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.stack.models import StackConfig
from infra.stack.reading import NAMESPACE


def project_config() -> dict[str, dict[str, Any]]:
    """Each key with its type, its meaning and, where it may be left out, its default.

    Pulumi asks for every key that has no default; an empty table is read as none.
    """
    declared = {}
    for name, field in StackConfig.model_fields.items():
        told: dict[str, Any] = {**_type(field.annotation), "description": field.description}
        if not field.is_required():
            told["default"] = _default(field)
        declared[f"{NAMESPACE}:{name}"] = told
    return declared


def _type(annotation: Any) -> dict[str, Any]:
    plain = plain_type(annotation)
    if plain is bool:
        return {"type": "boolean"}
    if get_origin(plain) is list:
        return {"type": "array", "items": {"type": "string"}}
    if get_origin(plain) is dict or (isinstance(plain, type) and issubclass(plain, BaseModel)):
        return {"type": "object"}
    return {"type": "string"}


def plain_type(annotation: Any) -> Any:
    """A type without its constraints, and without None beside it."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) is types.UnionType:
        return plain_type(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation


def _default(field: FieldInfo) -> Any:
    value = field.default
    if value is None or isinstance(value, BaseModel):
        return {}
    return value
