"""Signed legacy transactions: decoding, sender, and whether they are private.

The texts of errors are GoQuorum's, because clients look at them.
"""

from dataclasses import dataclass
from functools import cached_property

from coincurve import PublicKey
from eth_hash.auto import keccak

from steelyard.sandbox.codec import contract_address
from steelyard.sandbox.errors import server_error
from steelyard.sandbox.rlp import Encodable, RlpError, decode, encode

PRIVATE_V = (37, 38)
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_FIELDS = 9


@dataclass(frozen=True)
class Transaction:
    """A signed transaction as it came, with what follows from it."""

    raw: bytes
    nonce: int
    gas_price: int
    gas: int
    to: bytes | None
    value: int
    data: bytes
    v: int
    r: int
    s: int

    @cached_property
    def hash(self) -> bytes:
        """keccak256 of the raw bytes."""
        return keccak(self.raw)

    @property
    def is_private(self) -> bool:
        """Whether the signature's v marks it as private."""
        return self.v in PRIVATE_V

    @property
    def creates(self) -> bool:
        """Whether it deploys a contract."""
        return self.to is None

    @property
    def contract(self) -> bytes | None:
        """The address of the contract that it deploys, if it does."""
        return contract_address(self.sender, self.nonce) if self.to is None else None

    @cached_property
    def sender(self) -> bytes:
        """The signer's address; raises RpcError for a signature that proves nothing."""
        return self._recover()

    def check_signer(self, chain_id: int) -> None:
        """Raise RpcError unless v is of a private or of this chain's protected transactions."""
        if self.v in (0, 1, 27, 28):
            raise server_error("only replay-protected (EIP-155) transactions allowed over RPC")
        if not self.is_private and self.v not in (chain_id * 2 + 35, chain_id * 2 + 36):
            raise server_error("invalid chain id for signer")
        _ = self.sender

    def _recover(self) -> bytes:
        body: list[Encodable] = [
            self.nonce,
            self.gas_price,
            self.gas,
            self.to or b"",
            self.value,
            self.data,
        ]
        if self.is_private:
            parity = self.v - PRIVATE_V[0]
        else:
            chain_id, parity = divmod(self.v - 35, 2)
            body += [chain_id, 0, 0]
        in_range = 0 < self.r < _CURVE_ORDER and 0 < self.s <= _CURVE_ORDER // 2
        if not in_range:
            raise server_error("invalid transaction v, r, s values")
        signature = self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes([parity])
        try:
            key = PublicKey.from_signature_and_message(signature, keccak(encode(body)), hasher=None)
        except Exception as error:  # coincurve raises nothing narrower
            raise server_error("invalid transaction v, r, s values") from error
        return keccak(key.format(compressed=False)[1:])[12:]


def decode_transaction(raw: bytes) -> Transaction:
    """Read a raw transaction. Raises RpcError with GoQuorum's words for what cannot be read."""
    if not raw:
        raise server_error("empty typed transaction bytes")
    if raw[0] <= 0x7F:
        raise server_error("transaction type not supported")
    fields = _fields(raw)
    if len(fields) < _FIELDS:
        raise server_error("rlp: too few elements for types.LegacyTx")
    if len(fields) > _FIELDS:
        raise server_error("rlp: input list has too many elements for types.LegacyTx")
    nonce, gas_price, gas, to, value, data, v, r, s = fields
    if len(to) not in (0, 20):
        raise server_error(
            "rlp: input string too short for common.Address, decoding into (types.LegacyTx).To"
        )
    return Transaction(
        raw=raw,
        nonce=_integer(nonce, "Nonce", 8),
        gas_price=_integer(gas_price, "GasPrice", 32),
        gas=_integer(gas, "Gas", 8),
        to=to or None,
        value=_integer(value, "Value", 32),
        data=data,
        v=_integer(v, "V", 32),
        r=_integer(r, "R", 32),
        s=_integer(s, "S", 32),
    )


def _fields(raw: bytes) -> list[bytes]:
    try:
        items = decode(raw)
    except RlpError as error:
        raise server_error(str(error)) from error
    if isinstance(items, bytes):
        raise server_error("rlp: expected input list for types.LegacyTx")
    fields = [item for item in items if isinstance(item, bytes)]
    if len(fields) != len(items):
        raise server_error("rlp: expected input string or byte for types.LegacyTx")
    return fields


def _integer(field: bytes, name: str, size: int) -> int:
    where = f"decoding into (types.LegacyTx).{name}"
    if len(field) > size:
        raise server_error(f"rlp: input string too long for an integer, {where}")
    if field[:1] == b"\0":
        raise server_error(f"rlp: non-canonical integer (leading zero bytes), {where}")
    return int.from_bytes(field, "big")
