"""The validators' seals of QBFT blocks: real ones hold, and nothing else does."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import KEYS, addresses, header

from steelyard.errors import ConfigurationError
from steelyard.ledger import block, seals
from steelyard.ledger.encoding import rlp_encode
from steelyard.ledger.validators import read_genesis, read_validators

# A GoQuorum 24.4.1 block of five validators, as its JSON-RPC gave it.
REAL = json.loads((Path(__file__).parent / "quorum_block.json").read_text())


def test_a_real_block_is_sealed():
    """Four of five validators sealed a real block, and that is its quorum."""
    sealing = seals.examine(block.header_fields(REAL))
    assert sealing.problem is None
    assert (len(sealing.validators), len(sealing.sealers), sealing.needed) == (5, 4, 4)
    assert sealing.sealers < sealing.validators


@pytest.mark.parametrize(
    ("validators", "needed", "older"),
    [(1, 1, 1), (2, 2, 1), (3, 2, 1), (4, 3, 3), (5, 4, 3), (6, 4, 3), (7, 5, 5), (10, 7, 7)],
)
def test_a_quorum_is_two_thirds(validators, needed, older):
    """ceil(2N/3), or 2F+1 with F = ceil(N/3)-1 on networks without ceil2Nby3Block."""
    assert seals.quorum(validators) == needed
    assert seals.quorum(validators, two_f_plus_one=True) == older


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 12), st.integers(0, 300), st.data())
def test_a_quorum_of_different_validators_is_needed(size, sealing, round_, data):
    """A block holds exactly if so many of its own validators sealed it, in its round."""
    sealers = data.draw(st.permutations(KEYS[:size]))[: min(sealing, size)]
    found = seals.examine(header(listed=KEYS[:size], sealers=sealers, round_=round_))
    assert (found.problem is None) == (len(sealers) >= seals.quorum(size))
    assert found.sealers == set(addresses(sealers))


@pytest.mark.parametrize(
    ("sealers", "problem"),
    [
        ([], "carries no seals"),
        ([*KEYS[:4], KEYS[20]], "1 of 5 seals are no validator's"),
        ([KEYS[0], KEYS[0], KEYS[1], KEYS[2], KEYS[3]], "or twice"),
        ([KEYS[0]] * 4, "3 of 4 seals are no validator's, or twice"),
        (KEYS[20:25], "5 of 5 seals are no validator's"),
        (KEYS[:3], "3 of 5 validators, 4 needed"),
    ],
)
def test_what_is_wrong_with_seals_is_said(sealers, problem):
    """Strangers' seals, repeated ones and too few are refused, each with its reason."""
    assert problem in seals.examine(header(listed=KEYS[:5], sealers=sealers)).problem


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_altered_byte_of_the_extra_data_is_found(data):
    """Seals, round, vote, validators, vanity: one byte changed, and seals or hash do not hold."""
    fields = block.header_fields(REAL)
    raw = fields[block.EXTRA_DATA]
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[at] ^ data.draw(st.integers(1, 255))
    fields[block.EXTRA_DATA] = raw[:at] + bytes([changed]) + raw[at + 1 :]
    sealing = seals.examine(fields)
    assert sealing.problem is not None or block.hash_of_header(fields) != REAL["hash"]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 14), st.data())
def test_any_altered_byte_of_the_header_breaks_the_seals(member, data):
    """The seals cover every member of the header."""
    fields = block.header_fields(REAL)
    field = fields[member]
    if isinstance(field, int):
        fields[member] = field ^ (1 << data.draw(st.integers(0, 30)))
    else:
        at = data.draw(st.integers(0, len(field) - 1))
        flip = data.draw(st.integers(1, 255))
        fields[member] = field[:at] + bytes([field[at] ^ flip]) + field[at + 1 :]
    sealing = seals.examine(fields)
    assert sealing.problem is not None


@pytest.mark.parametrize(
    "extra",
    [
        [b"x"],
        [bytes(64)],
        [bytes(65)],
        [b"\xff" * 65],
        [[]],
        b"seals",
    ],
)
def test_seals_that_are_none_are_refused(extra):
    """Nonsense in the place of seals is a finding, never an exception."""
    assert seals.examine(header(listed=KEYS[:1], extra=extra)).problem


@pytest.mark.parametrize("raw", [b"", b"\xc0", rlp_encode([b"", b"", b"", b"", b""]), b"\xc1" * 99])
def test_extra_data_that_is_none_is_refused(raw):
    """So is nonsense in the place of the extra data, however deep it is nested."""
    fields = header(listed=KEYS[:1])
    fields[block.EXTRA_DATA] = raw
    assert seals.examine(fields).problem
    assert seals.examine(None).problem


def test_other_headers_have_no_seals():
    """A header without QBFT's mark is not looked into."""
    fields = header(listed=KEYS[:1], sealers=KEYS[:1])
    fields[block.MIX_HASH] = bytes(32)
    assert seals.seal_hash(fields) is None
    assert "not QBFT's" in seals.examine(fields).problem


def test_trusted_validators_stand_in_for_a_header_that_lists_none():
    """Where a contract holds the validators, headers list none; a list of one's own is needed."""
    fields = header(listed=[], sealers=KEYS[:4])
    digest = seals.seal_hash(fields)
    assert digest
    assert "lists no validators" in seals.examine(fields).problem
    trusted = seals.Validators(frozenset(addresses(KEYS[:5])), "a list")
    assert seals.examine(fields, trusted).problem is None
    few = seals.Validators(frozenset(addresses(KEYS[:7])), "a list")
    assert "4 of 7 validators, 5 needed" in seals.examine(fields, few).problem


def test_the_older_quorum_needs_to_be_asked_for():
    """Three of five are enough only where the network's genesis says so."""
    fields = header(listed=KEYS[:5], sealers=KEYS[:3])
    listed = frozenset(addresses(KEYS[:5]))
    assert seals.examine(fields, seals.Validators(listed, "a list")).problem
    older = seals.Validators(listed, "a genesis", two_f_plus_one=True)
    assert seals.examine(fields, older).problem is None


# -- files


def test_validators_are_read_from_lines_and_arrays(tmp_path):
    """Both forms, in either case, with comments in the first."""
    wanted = frozenset(addresses(KEYS[:2]))
    lines, array = tmp_path / "lines", tmp_path / "array.json"
    one, other = addresses(KEYS[:2])
    lines.write_text(f"# ours\n{one}  # the first\n\n0x{other[2:].upper()}\n")
    array.write_text(json.dumps([one, other]))
    assert read_validators(lines).addresses == wanted
    assert read_validators(array).addresses == wanted


@pytest.mark.parametrize("text", ["", "# none\n", "0x12", "[]", "[1]", "[", '["0x"]', "word"])
def test_a_bad_list_of_validators_is_named(tmp_path, text):
    """One sentence with the file's name."""
    file = tmp_path / "validators"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="validators"):
        read_validators(file)


@pytest.mark.parametrize(("qbft", "older"), [({"ceil2Nby3Block": 0}, False), ({}, True)])
def test_a_genesis_names_its_validators_and_their_quorum(tmp_path, qbft, older):
    """The validators of the extra data, and the rule of the configuration."""
    extra = header(listed=KEYS[:3], extra=[])[block.EXTRA_DATA]
    file = tmp_path / "genesis.json"
    file.write_text(json.dumps({"extraData": "0x" + extra.hex(), "config": {"qbft": qbft}}))
    found = read_genesis(file)
    assert found.addresses == frozenset(addresses(KEYS[:3]))
    assert found.two_f_plus_one == older


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        "{}",
        '{"extraData": "0x", "config": {"qbft": {}}}',
        '{"extraData": "0xc580c0808080", "config": {"qbft": {}}}',
        '{"extraData": "0xc580c180808080", "config": {}}',
    ],
)
def test_a_genesis_without_validators_is_named(tmp_path, document):
    """A genesis of Raft, or none at all, is one sentence with the file's name."""
    file = tmp_path / "genesis.json"
    file.write_text(document)
    with pytest.raises(ConfigurationError, match=r"genesis\.json"):
        read_genesis(file)


def test_missing_files_are_named(tmp_path):
    """A file that is not there, or not text, is said to be so."""
    with pytest.raises(ConfigurationError, match="No such file"):
        read_validators(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not text in UTF-8"):
        read_genesis(tmp_path / "bytes")
