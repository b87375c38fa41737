"""The validators' seals of a QBFT block.

A validator commits to a block by signing keccak256 of its header with
extraData = rlp([vanity, validators, vote, round, []]): with the round in which it was agreed, and
without the seals. The block's hash leaves out the round as well. The validators listed in a header
are those who may seal it (GoQuorum 24.4.1, measured; docs/decisions/ledger-proof.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from steelyard.ledger import block
from steelyard.ledger.encoding import Rlp, keccak, rlp_encode, to_hex

_SEAL_LENGTH = 65
_ADDRESS_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Validators:
    """A set of validators that the reader trusts, and where they have it from.

    `two_f_plus_one` is the quorum of networks whose genesis has no `ceil2Nby3Block`, or a later
    one: 2F+1 with F = ceil(N/3)-1 instead of ceil(2N/3).
    """

    addresses: frozenset[str]  # lower case
    origin: str
    two_f_plus_one: bool = False


@dataclass(frozen=True, slots=True)
class Sealing:
    """Who sealed a block. `seals` counts what the header carries, good or not.

    `problem` says what is wrong with them, nothing where a quorum of `validators` sealed it.
    """

    seals: int
    validators: frozenset[str]
    sealers: frozenset[str]
    needed: int
    problem: str | None

    @property
    def seen(self) -> str:
        """What was seen, in one phrase."""
        if self.problem is not None:
            return self.problem
        return f"{len(self.sealers)} of {len(self.validators)} validators, {self.needed} needed"


def quorum(validators: int, *, two_f_plus_one: bool = False) -> int:
    """How many of so many validators must seal a block."""
    third = -(-validators // 3)
    return 2 * (third - 1) + 1 if two_f_plus_one else -(-2 * validators // 3)


def seal_hash(fields: Sequence[Rlp]) -> bytes | None:
    """What the validators sign of a header; None if it is not QBFT's."""
    extra = block.extra_data(fields) if block.is_byzantine(fields) else None
    if extra is None:
        return None
    sealed = list(fields)
    sealed[block.EXTRA_DATA] = rlp_encode([*extra[:4], []])
    return keccak(rlp_encode(sealed))


def examine(fields: Sequence[Rlp] | None, trusted: Validators | None = None) -> Sealing:
    """Who of the validators that its header lists sealed a block; of `trusted`, if it lists none.

    `trusted` says the rule for the quorum as well; whether the lists agree is the caller's to see.
    """
    extra = None if fields is None or not block.is_byzantine(fields) else block.extra_data(fields)
    if fields is None or extra is None:
        return _refused(0, "the header is not QBFT's")
    listed, seals = addresses_of(extra[1]), extra[4]
    if listed is None or not isinstance(seals, list):
        return _refused(0, "the extra data is not QBFT's")
    validators = listed or (trusted.addresses if trusted else frozenset())
    if not validators:
        return _refused(len(seals), "the header lists no validators")
    return _count(fields, seals, validators, trusted)


def _count(
    fields: Sequence[Rlp],
    seals: Sequence[Rlp],
    validators: frozenset[str],
    trusted: Validators | None,
) -> Sealing:
    needed = quorum(len(validators), two_f_plus_one=bool(trusted and trusted.two_f_plus_one))
    digest = seal_hash(fields)
    found = [_sealer(digest, seal) for seal in seals] if digest else []
    sealers = frozenset(one for one in found if one in validators)
    problem = None
    if not seals:
        problem = "the header carries no seals"
    elif len(sealers) < len(found):
        problem = f"{len(found) - len(sealers)} of {len(found)} seals are no validator's, or twice"
    elif len(sealers) < needed:
        problem = f"{len(sealers)} of {len(validators)} validators, {needed} needed"
    return Sealing(len(seals), validators, frozenset(filter(None, sealers)), needed, problem)


def _sealer(digest: bytes, seal: Rlp) -> str | None:
    if not isinstance(seal, bytes) or len(seal) != _SEAL_LENGTH:
        return None
    try:
        key = Signature(signature_bytes=seal).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, ValueError):
        return None
    return key.to_address()


def addresses_of(listed: Rlp) -> frozenset[str] | None:
    """The addresses of a list of different ones; None if it is none."""
    if not isinstance(listed, list):
        return None
    addresses = (one for one in listed if isinstance(one, bytes) and len(one) == _ADDRESS_LENGTH)
    found = frozenset(map(to_hex, addresses))
    return found if len(found) == len(listed) else None


def _refused(seals: int, problem: str) -> Sealing:
    return Sealing(seals, frozenset(), frozenset(), 0, problem)


def difference(listed: frozenset[str], trusted: frozenset[str]) -> str:
    """Which addresses one set has more and fewer than another; nothing if they are the same."""
    more, fewer = sorted(listed - trusted), sorted(trusted - listed)
    parts = [f"{', '.join(more)} more"] if more else []
    parts += [f"{', '.join(fewer)} missing"] if fewer else []
    return "; ".join(parts)
