"""The schema in Pulumi.yaml and the page of reference have every key of the configuration."""

import importlib.util
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from stacks import stack, values

from infra.stack.models import StackConfig
from infra.stack.reading import read_stack
from infra.stack.schema import plain_type, project_config

ROOT = Path(__file__).parents[2]
SPECIFICATION = importlib.util.spec_from_file_location(
    "stack_reference", ROOT / "scripts/stack_reference.py"
)
reference = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(reference)


def test_the_files_are_what_the_code_says():
    """`make docs` would change nothing."""
    assert reference.differing() == []


def keys(model: type[BaseModel], place: str = "") -> dict[str, str | None]:
    """Every key with its meaning, those of tables within it included."""
    found: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        found[f"{place}{name}"] = field.description
        kind = plain_type(field.annotation)
        named = [one for one in get_args(kind) if isinstance(one, type)]
        for inner, path in (
            (kind, f"{place}{name}."),
            *((one, f"{place}{name}.NAME.") for one in named),
        ):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found |= keys(inner, path)
    return found


def test_the_page_has_every_key_with_its_meaning():
    """No part of the configuration is left out of the page."""
    page = (ROOT / "docs/reference/stack.md").read_text("utf-8")
    told = keys(StackConfig)
    assert "outside.NAME.host_key" in told
    assert "aws.network.range" in told
    assert [
        name for name, meaning in told.items() if not meaning or f"| `{name}` |" not in page
    ] == []


def test_the_schema_has_every_key():
    """What is required has no default there, so Pulumi itself asks for it."""
    declared = project_config()
    assert set(declared) == {f"steelyard:{name}" for name in StackConfig.model_fields}
    required = {name for name, one in declared.items() if "default" not in one}
    assert required == {"steelyard:target", "steelyard:consortium", "steelyard:operators"}


def test_the_schemas_defaults_change_nothing():
    """Pulumi hands them to the program with what the stack states."""
    document = stack()
    defaults = {
        name.removeprefix("steelyard:"): one["default"]
        for name, one in project_config().items()
        if "default" in one
    }
    assert read_stack(values(defaults | document)) == read_stack(values(document))
