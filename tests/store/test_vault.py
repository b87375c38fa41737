"""A sealed value opens as it was, at its place, under its key; or it does not open at all."""

import base64
import json
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import ConfigurationError
from steelyard.store.errors import VaultFormat, VaultKeyUnknown, VaultTampered
from steelyard.store.key_ring import KeyRing
from steelyard.store.vault import NONCE_BYTES, Place, Vault, key_id_of

HERE = Place("stations", "01JD0000000000000000000001", "account_key")
CLEAR = bytes(range(32))


@pytest.fixture
def ring() -> KeyRing:
    """Nine keys, so that a flipped bit of a key's number often names another one that exists."""
    made = KeyRing.generate()
    for _ in range(8):
        made = made.with_new_key(1)
    return made


def _flip(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_is_found(ring):
    """Version, length, key id, nonce, ciphertext, tag: no bit may change unseen."""
    vault = Vault(ring)
    sealed = vault.seal(HERE, CLEAR)
    assert vault.open(HERE, sealed) == CLEAR
    for bit in range(len(sealed) * 8):
        with pytest.raises(VaultTampered):
            vault.open(HERE, _flip(sealed, bit))


def test_a_key_id_that_names_another_key_is_found(ring):
    """The value does not open under any other key of the ring, though the key is there."""
    vault = Vault(ring)
    sealed = vault.seal(HERE, CLEAR)
    others = [key_id for key_id in ring.keys if key_id != ring.current]
    assert len(others) == 8
    for key_id in others:
        with pytest.raises(VaultTampered) as caught:
            vault.open(HERE, sealed[:2] + key_id.encode() + sealed[4:])
        assert caught.value.reason == "authentication failed"


def test_every_cut_and_every_extension_is_found(ring):
    """A value of another length does not open."""
    vault = Vault(ring)
    sealed = vault.seal(HERE, CLEAR)
    for length in range(len(sealed)):
        with pytest.raises(VaultTampered):
            vault.open(HERE, sealed[:length])
    for more in (b"\0", sealed):
        with pytest.raises(VaultTampered):
            vault.open(HERE, sealed + more)


def test_the_same_key_under_another_id_does_not_open(ring):
    """The key id is authenticated: who renames a key in the ring renames no values with it."""
    sealed = Vault(ring).seal(HERE, CLEAR)
    renamed = Vault(KeyRing("k8", {**ring.keys, "k8": ring.keys["k9"]}))
    with pytest.raises(VaultTampered):
        renamed.open(HERE, sealed[:2] + b"k8" + sealed[4:])


@pytest.mark.parametrize(
    "there",
    [
        Place("nodes", HERE.row, HERE.column),
        Place(HERE.table, "01JD0000000000000000000002", HERE.column),
        Place(HERE.table, HERE.row, "contract_address"),
        Place("station", "s" + HERE.row, HERE.column),
        Place(HERE.table, HERE.row + "a", "ccount_key"),
    ],
)
def test_a_value_opens_at_its_place_only(ring, there):
    """Moved to another table, row or column it fails, however the names run together."""
    vault = Vault(ring)
    with pytest.raises(VaultTampered) as caught:
        vault.open(there, vault.seal(HERE, CLEAR))
    assert (caught.value.table, caught.value.row) == (there.table, there.row)


PLACES = st.builds(Place, *[st.text("ab\0é", max_size=4)] * 3)


@given(PLACES, PLACES)
def test_no_two_places_have_the_same_bytes(one, other):
    """The lengths keep the parts apart, wherever one part ends and the next begins."""
    assert (one.encode() == other.encode()) == (one == other)


@given(st.text("ab", min_size=2, max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_one_text_cut_at_two_places_is_two_places(text, cut, other):
    """The same letters, divided otherwise."""
    one, two = Place(text[:cut], text[cut:], "c"), Place(text[:other], text[other:], "c")
    assert (one.encode() == two.encode()) == (one == two)


@given(st.binary(max_size=300))
def test_any_value_comes_back(clear):
    """Empty and long ones too."""
    vault = Vault(KeyRing.generate())
    assert vault.open(HERE, vault.seal(HERE, clear)) == clear


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_refused(junk):
    """What the vault did not seal is a problem of one family, whatever it is."""
    with pytest.raises(VaultTampered):
        Vault(KeyRing.generate()).open(HERE, junk)


def test_text_comes_back_as_text(ring):
    """Addresses and URLs are UTF-8."""
    vault = Vault(ring)
    assert vault.open_text(HERE, vault.seal_text(HERE, "http://nó:1")) == "http://nó:1"


def test_the_same_value_is_never_sealed_alike(ring):
    """Nonces are fresh: equal values do not show that they are equal."""
    vault = Vault(ring)
    nonces = {vault.seal(HERE, CLEAR)[4 : 4 + NONCE_BYTES] for _ in range(1000)}
    assert len(nonces) == 1000


def test_what_is_wrong_is_told_without_the_value(ring):
    """The sentence names the row; neither key nor value is in it."""
    vault = Vault(ring)
    sealed = vault.seal(HERE, b"very-secret")
    with pytest.raises(VaultTampered) as caught:
        vault.open(HERE, _flip(sealed, len(sealed) * 8 - 1))
    shown = f"{caught.value} {caught.value!r} {caught.value.as_dict()} {vault!r} {ring!r}"
    assert HERE.row in shown
    assert "very-secret" not in shown
    assert base64.b64encode(ring.keys["k1"]).decode() not in shown
    assert caught.value.__suppress_context__


def test_an_unknown_key_and_a_malformed_value_are_told_apart(ring):
    """The operator of a host with an old ring must see that it is the ring."""
    sealed = Vault(ring).seal(HERE, CLEAR)
    with pytest.raises(VaultKeyUnknown):
        Vault(KeyRing.generate()).open(HERE, sealed)
    with pytest.raises(VaultFormat):
        Vault(ring).open(HERE, b"")


def test_a_replaced_ring_reaches_a_running_process(tmp_path):
    """It opens what the new key sealed, and seals with the new key itself, at once."""
    path = tmp_path / "ring.json"
    KeyRing.generate().write(path)
    running = Vault.load(path)
    old = running.seal(HERE, CLEAR)
    KeyRing.read(path).with_new_key(1).write(path)
    new = Vault.load(path).seal(HERE, CLEAR)
    assert running.open(HERE, new) == running.open(HERE, old) == CLEAR
    KeyRing.read(path).with_new_key(1).write(path)
    assert key_id_of(HERE, running.seal(HERE, CLEAR)) == "k3"


def test_a_missing_ring_file_does_not_stop_a_running_process(tmp_path):
    """The keys that were read go on serving; only a new start needs the file."""
    path = tmp_path / "ring.json"
    KeyRing.generate().write(path)
    running = Vault.load(path)
    path.unlink()
    assert running.open(HERE, running.seal(HERE, CLEAR)) == CLEAR
    with pytest.raises(ConfigurationError, match=r"vault\.key_ring_file: .*cannot be read"):
        Vault.load(path)


def test_key_ids_are_never_given_twice(ring):
    """A dropped key's number is not used again: its old values must not seem to be new ones."""
    for _ in range(3):
        ring = ring.without(set(ring.keys)).with_new_key(1)
    assert ring.current == "k12"
    assert set(ring.keys) == {"k11", "k12"}


def test_a_staged_key_is_used_by_the_next_rotation(ring):
    """Staging changes no value; rotating takes the staged key instead of a further one."""
    staged = ring.with_new_key(use=False)
    assert (staged.current, staged.newest) == ("k9", "k10")
    used = staged.with_current(5)
    assert (used.current, used.replaced["k9"], len(used.keys)) == ("k10", 5, 10)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o622])
def test_a_ring_that_others_can_read_is_refused(tmp_path, mode):
    """The mode is named, and what is allowed."""
    path = tmp_path / "ring.json"
    KeyRing.generate().write(path)
    if os.geteuid() == 0:
        os.chown(path, 1000, 1000)  # a group-readable file of root:root is a systemd credential
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"0600 or 0400.*has mode {mode:04o}"):
        Vault.load(path)


KEY = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "no key ring"),
        ("[]", "no key ring"),
        ("{", "no key ring"),
        ({"current": "k1"}, "keys is missing or wrong"),
        ({"keys": {"k1": KEY}}, "current is missing or wrong"),
        ({"current": "k1", "keys": {}}, "keys is missing or wrong"),
        ({"current": "k2", "keys": {"k1": KEY}}, "must be one of the keys"),
        ({"current": "k1", "keys": {"k1": KEY[:-4]}}, "base64 of 32 bytes"),
        ({"current": "k1", "keys": {"k1": "sécret!"}}, "base64 of 32 bytes"),
        ({"current": "k1", "keys": {"k1": 5}}, "keys is missing or wrong"),
        ({"current": "k 1", "keys": {"k 1": KEY}}, "is missing or wrong"),
        ({"current": "k1", "keys": {"k1": KEY}, "extra": 1}, "extra is missing or wrong"),
    ],
)
def test_a_bad_ring_is_refused_without_being_repeated(tmp_path, document, reason):
    """The member is named, a key never shown."""
    path = tmp_path / "ring.json"
    path.touch(mode=0o600)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Vault.load(path)
    assert KEY[:20] not in str(caught.value)
    assert "sécret" not in str(caught.value)


def test_keys_are_fresh():
    """No two rings, and no two keys of one, are alike."""
    keys = [key for _ in range(3) for key in KeyRing.generate().with_new_key(1).keys.values()]
    assert all(one != other for one, other in pairwise(sorted(keys)))
