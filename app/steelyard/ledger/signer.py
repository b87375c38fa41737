"""Legacy transactions of GoQuorum, private ones with v = 37 or 38.

A private transaction is signed over rlp([nonce, gasPrice, gas, to, value, data]) without a chain
id, and its recovery id is added to 37; gas price and value are 0; `data` is the 64-byte name of
the payload at the privacy manager.
"""

from dataclasses import dataclass, field

from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

from steelyard.ledger.encoding import Rlp, from_hex, keccak, rlp_encode, to_hex
from steelyard.ledger.errors import LedgerProblem
from steelyard.ledger.protocol import SigningKey

PRIVATE_V = 37


@dataclass(frozen=True, slots=True)
class PrivateTransaction:
    """What is signed. `to` is None for a deployment; `data` names the payload."""

    nonce: int
    gas: int
    to: str | None
    data: bytes

    def fields(self) -> list[Rlp]:
        """The members in the order in which they are signed."""
        target = from_hex(self.to) if self.to else b""
        return [self.nonce, 0, self.gas, target, 0, self.data]


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction ready to be sent; its hash is known before it is."""

    nonce: int
    hash: str
    raw: str = field(repr=False)


def address_of(key: SigningKey) -> str:
    """The checksummed address (EIP-55) of an account key."""
    return _private_key(key).public_key.to_checksum_address()


def sign(key: SigningKey, transaction: PrivateTransaction) -> SignedTransaction:
    """Sign a private transaction. Raises LedgerProblem for bytes that are no key."""
    fields = transaction.fields()
    signature = _private_key(key).sign_msg_hash(keccak(rlp_encode(fields)))
    raw = rlp_encode([*fields, PRIVATE_V + signature.v, signature.r, signature.s])
    return SignedTransaction(transaction.nonce, to_hex(keccak(raw)), to_hex(raw))


def transaction_hash(fields: list[Rlp], v: int, r: int, s: int) -> str:
    """The hash of a legacy transaction from its parts."""
    return to_hex(keccak(rlp_encode([*fields, v, r, s])))


def recover_sender(fields: list[Rlp], v: int, r: int, s: int) -> str | None:
    """The checksummed address whose key signed a private transaction, or None."""
    try:
        signature = Signature(vrs=(v - PRIVATE_V, r, s))
        public_key = signature.recover_public_key_from_msg_hash(keccak(rlp_encode(fields)))
    except (BadSignature, ValidationError, ValueError):
        return None
    return public_key.to_checksum_address()


def contract_address(sender: str, nonce: int) -> str:
    """The checksummed address of the contract that a sender's transaction creates."""
    return to_checksum_address(keccak(rlp_encode([from_hex(sender), nonce]))[12:])


def _private_key(key: SigningKey) -> PrivateKey:
    try:
        secret = PrivateKey(key.secret)
        _ = secret.public_key  # zero and numbers above the curve's order fail here
    except (ValidationError, ValueError, TypeError):
        raise LedgerProblem("The signing key is not a valid secp256k1 key") from None
    return secret
