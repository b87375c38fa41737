"""Drives a served API from its own OpenAPI document, with good and with bad requests."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    unsupported_method,
]

Amend = Callable[[Any], Any]


def as_it_is(case: Any) -> Any:
    """A case without amendments."""
    return case


def load(document: dict[str, Any], url: str, authority: str | bool) -> Any:
    """The schema of a document, set up for a server; `authority` is its CA file, or False."""
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    schema.config.update(base_url=url, tls_verify=authority)
    # Schemathesis does not count a body that is too large (413), or another version (412).
    refusing = schema.config.checks.negative_data_rejection
    refusing.expected_statuses = [*refusing.expected_statuses, "412", "413"]
    return schema


def drive_all(
    schema: Any,
    token_for: Callable[[Any], str],
    *,
    examples: int,
    amend: Amend = as_it_is,
    without: frozenset[str] = frozenset(),
) -> dict[str, set[int]]:
    """Make good and bad requests of every operation, check the answers; give the statuses seen.

    `token_for` gives an operation's access token; `amend` changes good cases so that they get
    beyond 'there is no such'; `without` are paths to leave out.
    """
    modes = schemathesis.GenerationMode
    seen: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in without:
            continue
        statuses = seen.setdefault(f"{operation.method.upper()} {operation.path}", set())
        session = requests.Session()
        session.hooks["response"].append(partial(_note, statuses))
        headers = {"Authorization": f"Bearer {token_for(operation)}"}
        good = operation.as_strategy(generation_mode=modes.POSITIVE).map(amend)
        drive(good, session, headers, examples)
        drive(operation.as_strategy(generation_mode=modes.NEGATIVE), session, headers, examples)
    return seen


def _note(statuses: set[int], response: requests.Response, **_: Any) -> None:
    statuses.add(response.status_code)


def drive(strategy: Any, session: requests.Session, headers: dict[str, str], examples: int) -> None:
    """Make some requests of one operation, and check the answers."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: Any) -> None:
        case.call_and_validate(session=session, headers=headers, checks=CHECKS)

    # An operation without parameters and body has nothing to be wrong.
    with contextlib.suppress(Unsatisfiable):
        run()
