"""Keys are in the engines' formats, secret, and in an order that restarts keep."""

import base64
import json
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.network.errors import CorruptState
from steelyard.network.keys import (
    NodeKey,
    PrivacyKey,
    draw_node_key,
    draw_node_keys,
    is_plain,
    orders_agree,
    read_node_key,
    read_privacy_key,
    write_node_key,
    write_privacy_key,
)

# The key whose private number is 1; its address is known to every Ethereum tool.
ONE = NodeKey.of((1).to_bytes(32, "big"))


def test_the_address_is_the_one_that_ethereum_knows() -> None:
    assert ONE.address == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
    assert ONE.identity.startswith("79be667ef9dcbbac55a06295ce870b07")


@pytest.mark.parametrize("count", [1, 5, 20])
def test_drawn_keys_sort_the_same_both_ways(count: int) -> None:
    """A fresh geth and a restarted one agree about the validators' order."""
    keys = draw_node_keys(count)
    by_bytes = sorted(keys, key=lambda key: bytes.fromhex(key.address[2:]))
    by_checksummed_text = sorted(keys, key=lambda key: key.address)
    assert by_bytes == by_checksummed_text
    assert len({key.private for key in keys}) == count


def test_orders_that_differ_are_seen() -> None:
    """Capital letters come before small ones in the checksummed order only."""
    assert not orders_agree(["0xa1" + 38 * "0", "0xB1" + 38 * "0"])
    assert orders_agree(["0xA1" + 38 * "0", "0xb1" + 38 * "0"])


PLAIN = st.tuples(
    st.text("0123456789abcdef", min_size=12, max_size=12),
    st.text("0123456789abcdefABCDEF", min_size=28, max_size=28),
)


@given(st.lists(PLAIN, max_size=12, unique_by=lambda one: one[0]))
def test_plain_addresses_sort_the_same_both_ways(parts) -> None:
    """Whatever comes after their first digits, and however many there are."""
    addresses = ["0x" + first + rest for first, rest in parts]
    assert all(is_plain(one) for one in addresses)
    assert orders_agree(addresses)


def test_keys_that_are_drawn_apart_are_plain() -> None:
    """So that no host needs to know the others' keys."""
    keys = [draw_node_key() for _ in range(10)]
    assert all(is_plain(one.address) for one in keys)
    assert orders_agree([one.address for one in keys])
    assert not is_plain("0xa1B" + 37 * "0")
    assert is_plain("0xa1" + 10 * "0" + 28 * "B")


@settings(deadline=None, max_examples=40)
@given(st.binary(min_size=32, max_size=32).filter(lambda value: 0 < int.from_bytes(value) < 2**255))
def test_no_secret_is_shown(private: bytes) -> None:
    key = NodeKey.of(private)
    assert private.hex() not in repr(key)
    pair = PrivacyKey.generate()
    assert pair.private not in repr(pair)


def test_files_are_the_engines_and_their_owners_alone(tmp_path) -> None:
    """Geth reads hexadecimal digits; Tessera an unlocked pair of 32 bytes each."""
    pair = PrivacyKey.generate()
    write_node_key(tmp_path / "nodekey", ONE)
    write_privacy_key(tmp_path, pair)
    assert (tmp_path / "nodekey").read_text() == 63 * "0" + "1"
    document = json.loads((tmp_path / "tm.key").read_text())
    assert document == {"type": "unlocked", "data": {"bytes": pair.private}}
    assert len(base64.b64decode(pair.private)) == len(base64.b64decode(pair.public)) == 32
    assert (tmp_path / "tm.pub").read_text() == pair.public
    for name in ("nodekey", "tm.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert read_node_key(tmp_path / "nodekey") == ONE
    assert read_privacy_key(tmp_path) == pair


@pytest.mark.parametrize("content", ["", "zz", 63 * "0", 64 * "0", 64 * "f", "\xe9"])
def test_a_broken_node_key_is_one_sentence(tmp_path, content: str) -> None:
    (tmp_path / "nodekey").write_text(content, "utf-8")
    with pytest.raises(CorruptState, match="nodekey holds no node key"):
        read_node_key(tmp_path / "nodekey")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"data": {"bytes": "***"}}', '{"data": {"bytes": "AAAA"}}', "1"]
)
def test_a_broken_pair_is_one_sentence(tmp_path, content: str) -> None:
    write_privacy_key(tmp_path, PrivacyKey.generate())
    (tmp_path / "tm.key").write_text(content)
    with pytest.raises(CorruptState, match="hold no pair of keys"):
        read_privacy_key(tmp_path)


def test_halves_of_two_pairs_are_seen(tmp_path) -> None:
    write_privacy_key(tmp_path, PrivacyKey.generate())
    (tmp_path / "tm.pub").write_text(PrivacyKey.generate().public)
    with pytest.raises(CorruptState, match="is not the public half"):
        read_privacy_key(tmp_path)
