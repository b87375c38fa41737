"""What a node's answers to a sent transaction mean. The texts were measured on GoQuorum 24.4.1
with Tessera 0.10.2 to 20.10.1; databases of a privacy manager word a violated key differently.
"""

import re
from enum import Enum, auto

from steelyard.ledger.errors import (
    LedgerProblem,
    NodeUnavailable,
    PartyUnreachable,
    PrivacyManagerUnavailable,
    TransactionFailed,
)
from steelyard.ledger.jsonrpc import NodeError


class Verdict(Enum):
    """What became of a transaction that the node answered with an error."""

    KNOWN = auto()
    """It is in the node's pool already."""
    NONCE_USED = auto()
    """A transaction with this nonce is in the pool or in a block: this one, or another."""
    DISTRIBUTED = auto()
    """The parties have its payload from an earlier try; whether the pool has it is open."""
    UNEXPLAINED = auto()
    """The privacy manager failed, and why is lost: distributed already, or refused."""
    REFUSED = auto()
    """It is not in the pool, and its nonce is free."""


_WORDINGS = (
    (Verdict.KNOWN, re.compile(r"already known|known transaction", re.IGNORECASE)),
    (
        Verdict.NONCE_USED,
        re.compile(r"nonce too low|replacement transaction underpriced", re.IGNORECASE),
    ),
    # The privacy manager writes the row and serves the parties in one database transaction, so
    # that a row which is there says that all parties were served.
    (
        Verdict.DISTRIBUTED,
        re.compile(r"unique (index|constraint)|duplicate (key|entry)", re.IGNORECASE),
    ),
    # To a Tessera before 20.10 GoQuorum speaks another way, and tells its answer without the text.
    (Verdict.UNEXPLAINED, re.compile(r"^Non-200 status code:.*\bStatusCode:500\b")),
)
# A party that does not answer is offline at the first send, and unknown from then on.
_PARTY = re.compile(
    r"recipient not found|^410 status:|^Non-200 status code:.*\bStatusCode:(404|410)\b",
    re.IGNORECASE,
)
_PRIVACY_MANAGER = re.compile(
    r"^\d{3} status:|^Non-200 status code:|\.ipc|privacy manager|dial |connect:", re.IGNORECASE
)
_POOL_FULL = re.compile(r"txpool is full", re.IGNORECASE)


def judge(error: NodeError) -> Verdict:
    """What the node's error says about the transaction."""
    for verdict, wording in _WORDINGS:
        if wording.search(error.message):
            return verdict
    return Verdict.REFUSED


def problem_of(error: NodeError, node: str) -> LedgerProblem:
    """The named error of a refusal."""
    if _PARTY.search(error.message):
        return PartyUnreachable(
            f"The privacy manager of {node} reaches none that holds the key of a party"
        )
    if _PRIVACY_MANAGER.search(error.message):
        return PrivacyManagerUnavailable(
            f"The privacy manager of {node} could not hand the payload to every party"
        )
    if _POOL_FULL.search(error.message):
        return NodeUnavailable(f"The transaction pool of {node} is full")
    return TransactionFailed(f"The node {node} refused the transaction")
