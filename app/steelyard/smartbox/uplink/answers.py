"""What the platform may answer to a batch, read strictly: a receipt is believed only when whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steelyard.json_text import read_json
from steelyard.smartbox.errors import PlatformProblem
from steelyard.ticket import Receipt, TicketID

TRANSIENT = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answers:
    """The outcomes of one batch. `later` are tickets that the platform could not take now."""

    receipts: tuple[Receipt, ...]
    refusals: tuple[tuple[str, dict[str, Any]], ...]
    later: tuple[str, ...]


class _Result(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    id: TicketID = Field(alias="ticketID")
    status: Literal["registered", "already-registered", "refused"]
    transaction_hash: str | None = Field(default=None, alias="transactionHash")
    block_number: int | None = Field(default=None, alias="blockNumber")
    problem: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_its_outcome(self) -> "_Result":
        if self.status == "refused":
            if self.problem is None:
                raise ValueError("a refused ticket must have a problem")
        else:
            self.receipt()
        return self

    def receipt(self) -> Receipt:
        return Receipt.model_validate(
            {
                "ticketID": self.id,
                "transactionHash": self.transaction_hash,
                "blockNumber": self.block_number,
            }
        )

    @property
    def is_final(self) -> bool:
        """A problem of the ticket itself (4xx), not one of the platform at this time."""
        status = (self.problem or {}).get("status")
        return isinstance(status, int) and 400 <= status < 500 and status not in TRANSIENT


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    results: list[_Result]


def read_answers(body: bytes, sent: Sequence[str]) -> Answers:
    """The outcomes by ticket. Raises PlatformProblem unless each sent ticket has exactly one."""
    try:
        results = _Body.model_validate_json(body).results
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the body"
        raise PlatformProblem(f"the platform's answer is not valid: {place}") from None
    ids = [result.id for result in results]
    if len(ids) != len(set(ids)) or set(ids) != set(sent):
        raise PlatformProblem(
            "the platform's answer is not valid: it must have one result a ticket"
        )
    refused = [result for result in results if result.status == "refused"]
    return Answers(
        receipts=tuple(result.receipt() for result in results if result.status != "refused"),
        refusals=tuple((result.id, result.problem or {}) for result in refused if result.is_final),
        later=tuple(result.id for result in refused if not result.is_final),
    )


def read_problem(body: bytes, status: int) -> dict[str, object]:
    """The problem details (RFC 9457) of a failed request, or their least form."""
    try:
        problem = read_json(body)
    except ValueError:
        problem = None
    if not isinstance(problem, Mapping):
        return {"status": status, "title": f"HTTP {status}"}
    known = ("type", "title", "detail", "hint", "errors")
    return {"status": status} | {name: problem[name] for name in known if name in problem}
