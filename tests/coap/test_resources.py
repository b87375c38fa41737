"""Problems become CoAP responses."""

import pytest
from aiocoap.numbers.codes import Code

from steelyard.coap.resources import MAX_DIAGNOSTIC_BYTES, render_problem
from steelyard.errors import FieldError, InvalidRequest, Problem


class Teapot(Problem):
    """A status that CoAP has no code for."""

    status = 418
    title = "A teapot"


class Busy(Problem):
    """Come back later."""

    status = 503
    title = "Busy"


class Odd(Problem):
    """A server's status that CoAP has no code for."""

    status = 507
    title = "Full"


@pytest.mark.parametrize(
    ("problem", "code", "payload"),
    [
        (Teapot(), Code.BAD_REQUEST, "A teapot"),
        (Odd("the disk is full"), Code.INTERNAL_SERVER_ERROR, "the disk is full"),
        (
            InvalidRequest("wrong", errors=[FieldError("v", "must be a number")]),
            Code.UNPROCESSABLE_ENTITY,
            "wrong; v: must be a number",
        ),
        (Busy(), Code.SERVICE_UNAVAILABLE, "Busy"),
    ],
)
def test_code_and_sentence(problem: Problem, code: Code, payload: str) -> None:
    """The status gives the code, the detail (or else the title) the diagnostic payload."""
    message = render_problem(problem)
    assert message.code == code
    assert message.payload.decode() == payload
    assert message.opt.content_format is None, "a diagnostic payload has none"


def test_retry_after_becomes_max_age() -> None:
    """A client learns when to come back."""
    assert render_problem(Busy(headers={"Retry-After": "7"})).opt.max_age == 7
    assert render_problem(Busy(headers={"Retry-After": "soon"})).opt.max_age is None


def test_long_sentences_are_cut_between_characters() -> None:
    """A diagnostic payload stays small and stays UTF-8."""
    payload = render_problem(Teapot("ü" * 1000 + "x")).payload
    assert len(payload) <= MAX_DIAGNOSTIC_BYTES
    assert set(payload.decode()) == {"ü"}
    odd = render_problem(Teapot("x" + "ü" * 1000)).payload
    assert odd.decode().startswith("xü")
