"""SenML in CBOR: what a cell writes is read back, and nothing else gets in."""

import math

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.coap.errors import InvalidPayload
from steelyard.coap.senml import (
    MAX_BYTES,
    MAX_INTEGER,
    MAX_NAME,
    MAX_RECORDS,
    Sample,
    decode,
    encode,
)

NOW = 1_605_160_889.392
times = st.integers(1_000_000_000_000, 4_000_000_000_000).map(lambda ms: ms / 1000)
names = st.none() | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9:./_-]{0,30}\Z")
values = st.one_of(
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.floats(-1e15, 1e15, allow_nan=False),
    st.booleans(),
    st.text(max_size=40),
    st.binary(max_size=40),
)


@settings(max_examples=60)
@given(names, st.none() | st.just("kg"), st.lists(st.tuples(values, times), min_size=1, max_size=9))
def test_round_trip(name: str | None, unit: str | None, rows: list) -> None:
    """Samples come back with their values, their types, and their times to the millisecond."""
    samples = [Sample(value, moment, name, unit) for value, moment in rows]
    found = decode(encode(samples))
    assert [(type(s.value), s.value, s.name, s.unit) for s in found] == [
        (type(s.value), s.value, name, unit) for s in samples
    ]
    assert [round(s.time * 1000) for s in found] == [round(s.time * 1000) for s in samples]


@given(st.binary(max_size=200))
def test_any_bytes(payload: bytes) -> None:
    """Whatever comes is either read or refused by name; nothing else is raised."""
    try:
        samples = decode(payload, now=NOW)
    except InvalidPayload:
        return
    assert 1 <= len(samples) <= MAX_RECORDS


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5)
)
plain = scalars | st.lists(scalars, max_size=2)


@settings(max_examples=60)
@given(
    st.lists(
        st.dictionaries(st.integers(-6, 8) | st.text(max_size=3), plain, max_size=4), max_size=3
    )
)
def test_any_structure(pack: list) -> None:
    """Whatever structure a CBOR array has, what is read is finite and bounded."""
    try:
        samples = decode(cbor2.dumps(pack), now=NOW)
    except InvalidPayload:
        return
    for sample in samples:
        assert math.isfinite(sample.time)
        if isinstance(sample.value, int | float):
            assert abs(sample.value) <= MAX_INTEGER


def test_sizes() -> None:
    """The sizes that were measured: one unnamed sample 16 bytes, four within 64."""
    assert len(encode([Sample(12_345, NOW)])) == 16
    four = [Sample(12_345 + i, NOW + i / 10) for i in range(4)]
    assert len(encode(four)) <= 64


def test_the_rfcs_example() -> None:
    """The example of RFC 8428, section 6, is read as its section 5.1.5 resolves it."""
    payload = bytes.fromhex(
        "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a"
        "22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666"
        "a3006763757272656e74062402fb3ff3333333333333"
        "a3006763757272656e74062302fb3ff4cccccccccccd"
        "a3006763757272656e74062202fb3ff6666666666666"
        "a3006763757272656e74062102f93e00"
        "a3006763757272656e74062002fb3ff999999999999a"
        "a3006763757272656e74060002fb3ffb333333333333"
    )
    samples = decode(payload)
    base = "urn:dev:ow:10e2073a0108006:"
    assert [(s.name, s.unit, s.value) for s in samples] == [
        (f"{base}voltage", "V", 120.1),
        (f"{base}current", "A", 1.2),
        (f"{base}current", "A", 1.3),
        (f"{base}current", "A", 1.4),
        (f"{base}current", "A", 1.5),
        (f"{base}current", "A", 1.6),
        (f"{base}current", "A", 1.7),
    ]
    assert samples[0].time == 1_276_020_076.001
    assert [round(s.time - samples[0].time) for s in samples] == [0, -5, -4, -3, -2, -1, 0]


def test_base_values_add_up() -> None:
    """Base name, time, unit and value hold until they are replaced."""
    pack = [
        {-2: "a:", -3: NOW, -4: "kg", -5: 100, 0: "x", 2: 1},
        {0: "y", 2: 2, 6: 0.5},
        {-2: "b:", -5: 0, 0: "y", 1: "g", 2: 3},
    ]
    assert decode(cbor2.dumps(pack)) == [
        Sample(101, NOW, "a:x", "kg"),
        Sample(102, NOW + 0.5, "a:y", "kg"),
        Sample(3, NOW, "b:y", "g"),
    ]


def test_relative_times() -> None:
    """A small time counts from now, as a cell without a clock needs it (section 4.5.3)."""
    pack = cbor2.dumps([{2: 1, 6: -2}, {2: 1}])
    assert decode(pack, now=NOW) == [Sample(1, NOW - 2), Sample(1, NOW)]
    with pytest.raises(InvalidPayload, match="record 1: t must be a time since 1970"):
        decode(pack)


@pytest.mark.parametrize(
    ("pack", "sentence"),
    [
        ({}, "must be an array of 1 to 256"),
        ([], "must be an array of 1 to 256"),
        ([{2: 1}] * (MAX_RECORDS + 1), "must be an array of 1 to 256"),
        ([1], "record 1: must be a map"),
        ([{2: 1}, {}], "record 2: must have one of"),
        ([{2: 1, 4: True}], "record 1: must have one of"),
        ([{2: True}], "v must be a number"),
        ([{2: "1"}], "v must be a number"),
        ([{2: None}], "v must be a number"),
        ([{2: math.nan}], "v must be finite"),
        ([{2: math.inf}], "v must be finite"),
        ([{2: MAX_INTEGER + 1}], "v must be finite"),
        ([{-5: MAX_INTEGER, 2: 1}], "v must be finite"),
        ([{3: 1}], "vs must be a text"),
        ([{4: 1}], "vb must be a Boolean"),
        ([{8: "x"}], "vd must be a byte string"),
        ([{2: 1, 6: math.inf}], "t must be finite"),
        ([{2: 1, 7: "x"}], "ut must be a number"),
        ([{2: 1, 0: 5}], "n must be a text"),
        ([{2: 1, 0: "é"}], "n must be, with bn"),
        ([{2: 1, 0: " "}], "n must be, with bn"),
        ([{2: 1, 0: ":x"}], "n must be, with bn"),
        ([{2: 1, -2: "a" * MAX_NAME, 0: "a"}], "n must be, with bn"),
        ([{2: 1, 1: "u" * 200}], "u must be a text"),
        ([{2: 1, -1: 11}], "bver must be an integer from 1 to 10"),
        ([{2: 1, -1: 0}], "bver must be an integer from 1 to 10"),
        ([{2: 1, -1: True}], "bver must be an integer from 1 to 10"),
        ([{2: 1, 5: 1}], "label 5 is not understood"),
        ([{2: 1, -6: 1}], "label -6 is not understood"),
        ([{2: 1, "must_": 1}], "label 'must_' is not understood"),
        ([{2: 10**400}], "not CBOR"),
        ([{2: cbor2.CBORTag(35, "(a+)+$")}], "not CBOR"),
        ([{2: cbor2.CBORTag(99, 1)}], "v must be a number"),
    ],
)
def test_refused(pack: object, sentence: str) -> None:
    """Each rule has its sentence, with the record and the label."""
    with pytest.raises(InvalidPayload, match=sentence):
        decode(cbor2.dumps(pack), now=NOW)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "not CBOR"),
        (b"\x81\xa1\x02", "not CBOR"),
        (b"\x81\xa2\x02\x01\x02\x02", "a key twice"),
        (b"\x81\xa1\x02\x01\x00", "must end where its array ends"),
        (b"\x81" * 4000, "not CBOR"),
        (b"\x81\xa1\x00\x62\xff\xff", "not CBOR"),
        (cbor2.dumps([{8: bytes(MAX_BYTES)}]), "at most 16384 bytes"),
    ],
)
def test_refused_bytes(payload: bytes, sentence: str) -> None:
    """Cut off, twice, too deep, too long, bytes behind it: refused as a whole."""
    with pytest.raises(InvalidPayload, match=sentence):
        decode(payload, now=NOW)


def test_long_packs_end_where_they_end() -> None:
    """The check for bytes behind holds beyond the decoder's read-ahead."""
    pack = cbor2.dumps([{8: bytes(60)}] * 200)
    assert len(pack) > 8192
    assert len(decode(pack, now=NOW)) == 200
    with pytest.raises(InvalidPayload, match="must end"):
        decode(pack + b"\0", now=NOW)


def test_unknown_text_labels_are_ignored() -> None:
    """Labels for later extensions that need not be understood pass (section 4.4)."""
    assert decode(cbor2.dumps([{2: 1, "later": [1]}]), now=NOW) == [Sample(1, NOW)]


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [Sample(1, NOW)] * (MAX_RECORDS + 1),
        [Sample(math.nan, NOW)],
        [Sample(1, math.inf)],
        [Sample(1, NOW, "é")],
        [Sample(1, NOW, "a"), Sample(1, NOW, "b")],
        [Sample(1, NOW, unit="kg"), Sample(1, NOW, unit="g")],
    ],
)
def test_encoder_refuses_what_the_decoder_would(samples: list[Sample]) -> None:
    """A cell notices its mistake before it sends it."""
    with pytest.raises(ValueError):  # noqa: PT011 -- each has its own sentence
        encode(samples)
