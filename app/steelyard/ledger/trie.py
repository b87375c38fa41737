"""The root of a Merkle Patricia trie over a list (Ethereum yellow paper, appendix D)."""

from collections.abc import Sequence

from steelyard.ledger.encoding import Rlp, keccak, rlp_encode

_Pair = tuple[tuple[int, ...], bytes]  # the key's nibbles that are left, and the value


def list_root(items: Sequence[bytes]) -> bytes:
    """The root over the items, keyed by the RLP of their positions, as in a block's header."""
    pairs = [(_nibbles(rlp_encode(index)), item) for index, item in enumerate(items)]
    return keccak(rlp_encode(_node(pairs)))


def _node(pairs: Sequence[_Pair]) -> Rlp:
    if not pairs:
        return b""
    if len(pairs) == 1:
        nibbles, value = pairs[0]
        return [_compact(nibbles, leaf=True), value]
    shared = _shared(min(pairs)[0], max(pairs)[0])
    if shared:
        below = _node([(nibbles[shared:], value) for nibbles, value in pairs])
        return [_compact(pairs[0][0][:shared], leaf=False), _reference(below)]
    branch: list[Rlp] = [
        _reference(_node([(keys[1:], value) for keys, value in pairs if keys[:1] == (nibble,)]))
        for nibble in range(16)
    ]
    ending = [value for nibbles, value in pairs if not nibbles]
    return [*branch, ending[0] if ending else b""]


def _shared(low: tuple[int, ...], high: tuple[int, ...]) -> int:
    """How many nibbles all keys share, given the least and the greatest of them."""
    same = (at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other)
    return next(same, len(low))


def _reference(node: Rlp) -> Rlp:
    encoded = rlp_encode(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _compact(nibbles: tuple[int, ...], *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(nibbles) % 2
    padded = (flag, *nibbles) if len(nibbles) % 2 else (flag, 0, *nibbles)
    return bytes(16 * high + low for high, low in zip(padded[::2], padded[1::2], strict=True))


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(part for byte in key for part in divmod(byte, 16))
