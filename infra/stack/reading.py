"""From the values of `pulumi config` to the typed configuration, or one sentence a mistake."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from infra.consortium.checks import plain_secrets
from infra.stack.errors import InvalidStack
from infra.stack.managed_database import database_ca_url
from infra.stack.models import StackConfig

NAMESPACE = "steelyard"
# Everything else is written as YAML, and comes as JSON.
_PLAIN = {"target"}
_KINDS = {"missing": "is missing", "extra_forbidden": "is not known"}


def read_stack(values: Mapping[str, str], secret_keys: Collection[str] = ()) -> StackConfig:
    """The configuration. `values`: full keys (`steelyard:target`) with their text.

    Other namespaces belong to providers and are passed over. Raises InvalidStack.
    """
    own = {key: text for key, text in values.items() if key.startswith(f"{NAMESPACE}:")}
    problems = [
        f"{key} is encrypted in the stack's configuration, and would stand in clear on the hosts' "
        "inventory: secrets are made on the hosts, or named as files there"
        for key in sorted(set(own) & set(secret_keys))
    ]
    document: dict[str, Any] = {}
    for key, text in own.items():
        name = key.removeprefix(f"{NAMESPACE}:")
        try:
            value = text if name in _PLAIN else json.loads(text)
        except ValueError:
            value = text
        # Pulumi.yaml gives what may be left out a default, which for tables is an empty one.
        if value != {}:
            document[name] = value
    problems += [f"{NAMESPACE}:{one}" for one in plain_secrets(document)]
    if problems:
        raise InvalidStack(problems)
    return parse_stack(document)


def parse_stack(document: Any) -> StackConfig:
    """The configuration's form. Raises InvalidStack with a sentence for each mistake."""
    try:
        config = StackConfig.model_validate(document)
    except ValidationError as error:
        raise InvalidStack(_sentences(error)) from None
    problems = []
    if config.target == "aws" and config.aws is None:
        problems.append(f"{NAMESPACE}:aws is missing: target aws needs it")
    cloud = config.aws if config.target == "aws" else None
    if config.configure and cloud and cloud.database == "rds" and not cloud.database_ca_checksum:
        problems.append(
            f"{NAMESPACE}:aws.database_ca_checksum is missing: the platform checks the database's "
            f"certificate by {database_ca_url(cloud.region)}, which must have that SHA-256"
        )
    if config.configure and config.application is None:
        problems.append(
            f"{NAMESPACE}:application is missing: it is what playbooks/site.yml installs; or set "
            f"{NAMESPACE}:configure to false"
        )
    if problems:
        raise InvalidStack(problems)
    return config


def _sentences(error: ValidationError) -> list[str]:
    found = []
    for one in error.errors(include_url=False):
        place = f"{NAMESPACE}:" + ".".join(str(part) for part in one["loc"])
        said = _KINDS.get(one["type"])
        if said is None:
            told = one["msg"].removeprefix("Value error, ")
            value = one["input"]
            shown = f" {value}" if isinstance(value, str | int | float) else ""
            said = f"is{shown or ' wrong'}: {told[:1].lower()}{told[1:]}"
        found.append(f"{place} {said}")
    return found
