"""The alibi head that a registering transaction carries behind its arguments.

A SmartBox tells with its tickets how far its alibi memory goes and what its last record's hash is.
That hash stands for every record before it, so the transaction also seals what was weighed offline
and is not registered yet. The contract neither stores nor checks it: Solidity's decoder leaves
alone what stands behind the arguments, and every contract that was ever deployed takes it.

The seal is three words, as any ABI tool reads them: the mark, the number, the hash.
"""

from collections.abc import Sequence

from steelyard.ledger import contract
from steelyard.ledger.encoding import keccak
from steelyard.ticket import AlibiHead, Ticket

MARK = keccak(b"steelyard: alibi head")
_WORD = 32
_SEAL = 3 * _WORD


def encode_sealed(tickets: Sequence[Ticket], head: AlibiHead | None) -> bytes:
    """Calldata that registers 1 to 200 tickets, with the head behind it where there is one.

    Raises ValueError for another number of tickets.
    """
    payload = contract.encode_registration(tickets)
    return payload if head is None else payload + seal(head)


def decode_sealed(payload: bytes) -> tuple[tuple[Ticket, ...], AlibiHead | None]:
    """The tickets of a registering call's payload, in order, and its alibi head.

    A canonical encoding is no beginning of another one: a payload has one reading at most. Raises
    ValueError for anything else.
    """
    arguments, head = _split(payload)
    if head is not None:
        try:
            return contract.decode_registration(arguments), head
        except ValueError:
            pass  # the mark stands within the arguments
    return contract.decode_registration(payload), None


def seal(head: AlibiHead) -> bytes:
    """The three words of a head."""
    return MARK + head.sequence.to_bytes(_WORD, "big") + bytes.fromhex(head.hash)


def _split(payload: bytes) -> tuple[bytes, AlibiHead | None]:
    words = payload[-_SEAL:]
    if len(payload) < _SEAL or not words.startswith(MARK):
        return payload, None
    number = int.from_bytes(words[_WORD : 2 * _WORD], "big")
    try:
        head = AlibiHead(sequence=number, hash=words[2 * _WORD :].hex())
    except ValueError:
        return payload, None
    return payload[:-_SEAL], head
