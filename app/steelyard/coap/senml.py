"""SenML in CBOR (RFC 8428), content format 112: the subset that load cells speak, strictly.

Numbers, texts, Booleans and data are read; sums, and records without a value, are not. Every
record may leave its name out: then it is the sender's, whom the DTLS certificate names. That
saves 26 of 50 bytes in a single sample, and no name in a payload is trusted anyway.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import NamedTuple, cast

import cbor2

from steelyard.coap.errors import InvalidPayload

CONTENT_FORMAT = 112
MAX_RECORDS = 256
MAX_BYTES = 16_384
MAX_NAME = 128
MAX_INTEGER = 2**53  # what a double, and so any other SenML reader, holds exactly
VERSION = 10
# Times below this are relative to now (RFC 8428, section 4.5.3).
ABSOLUTE_TIME = 2**28

_BASE_VERSION, _BASE_NAME, _BASE_TIME, _BASE_UNIT, _BASE_VALUE = -1, -2, -3, -4, -5
_NAME, _UNIT, _VALUE, _TEXT, _BOOLEAN, _TIME, _UPDATE_TIME, _DATA = 0, 1, 2, 3, 4, 6, 7, 8
_VALUES = (_VALUE, _TEXT, _BOOLEAN, _DATA)
_WORDS = {
    _BASE_VERSION: "bver",
    _BASE_NAME: "bn",
    _BASE_TIME: "bt",
    _BASE_UNIT: "bu",
    _BASE_VALUE: "bv",
    _NAME: "n",
    _UNIT: "u",
    _VALUE: "v",
    _TEXT: "vs",
    _BOOLEAN: "vb",
    _TIME: "t",
    _UPDATE_TIME: "ut",
    _DATA: "vd",
}
_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*", re.ASCII)  # section 4.5.1

Number = int | float
Value = Number | str | bool | bytes


class Sample(NamedTuple):
    """One resolved record: absolute time in seconds since 1970 (UTC).

    `name` is None where the payload left it out; `unit` is one of RFC 8428's, such as "kg".
    """

    value: Value
    time: float
    name: str | None = None
    unit: str | None = None


def encode(samples: Sequence[Sample]) -> bytes:
    """A pack with the first sample's name, unit and time as base values.

    Raises ValueError for what `decode` would refuse.
    """
    if not 1 <= len(samples) <= MAX_RECORDS:
        raise ValueError(f"a pack holds 1 to {MAX_RECORDS} samples")
    first = samples[0]
    records = [_encode_record(sample, first) for sample in samples]
    base: dict[int, object] = {_BASE_TIME: _shorten(first.time)}
    if first.name is not None:
        base[_BASE_NAME] = first.name
    if first.unit is not None:
        base[_BASE_UNIT] = first.unit
    records[0] = base | records[0]
    payload = cbor2.dumps(records)
    try:
        decode(payload, now=first.time)
    except InvalidPayload as problem:
        raise ValueError(problem.detail) from None
    return payload


def decode(payload: bytes, *, now: float | None = None) -> list[Sample]:
    """Read a pack; `now` (seconds since 1970) is what relative times count from.

    Without it they are refused. Raises InvalidPayload with the record, the label and what is
    allowed.
    """
    if len(payload) > MAX_BYTES:
        raise InvalidPayload(f"the payload must be at most {MAX_BYTES} bytes")
    pack = _load(payload)
    if not isinstance(pack, list) or not 1 <= len(pack) <= MAX_RECORDS:
        raise InvalidPayload(f"the payload must be an array of 1 to {MAX_RECORDS} records")
    base = _Base()
    return [_Reader(index, record).read(base, now) for index, record in enumerate(pack, 1)]


@dataclass(slots=True)
class _Base:
    """Base values: each holds until another record replaces it (section 4.1)."""

    name: str = ""
    time: Number = 0
    unit: str | None = None
    value: Number = 0


class _Reader:
    """Reads one record; its errors name the record and the label."""

    def __init__(self, index: int, record: object) -> None:
        self._index = index
        if not isinstance(record, dict):
            raise InvalidPayload(f"record {index}: must be a map")
        self._record: dict[object, object] = record
        self._has_base = False
        for label in record:
            if type(label) is int and label in _WORDS:  # not a Boolean, which is an int as well
                self._has_base = self._has_base or label < 0
            # A text label that ends in _ must be understood (section 4.4), and so must sums here.
            elif not isinstance(label, str) or label.endswith("_"):
                raise InvalidPayload(f"record {index}: label {_show(label)} is not understood")

    def read(self, base: _Base, now: float | None) -> Sample:
        if self._has_base:
            self._rebase(base)
        self._number(_UPDATE_TIME)
        own_unit = self._text(_UNIT)
        unit = base.unit if own_unit is None else own_unit
        return Sample(
            value=self._value(base),
            time=self._moment(base, now),
            name=self._full_name(base),
            unit=unit,
        )

    def _rebase(self, base: _Base) -> None:
        version = self._record.get(_BASE_VERSION, VERSION)
        if type(version) is not int or not 1 <= version <= VERSION:
            raise self._wrong(_BASE_VERSION, f"must be an integer from 1 to {VERSION}")
        name, unit = self._text(_BASE_NAME), self._text(_BASE_UNIT)
        moment, value = self._number(_BASE_TIME), self._number(_BASE_VALUE)
        base.name = base.name if name is None else name
        base.unit = base.unit if unit is None else unit
        base.time = base.time if moment is None else moment
        base.value = base.value if value is None else value

    def _value(self, base: _Base) -> Value:
        given = [label for label in _VALUES if label in self._record]
        if len(given) != 1:
            raise InvalidPayload(f"record {self._index}: must have one of v, vs, vb and vd")
        label = given[0]
        value = self._record[label]
        number = self._number(_VALUE)
        if number is not None:
            return self._bounded(_VALUE, base.value + number)
        wanted, word = {
            _TEXT: (str, "a text"),
            _BOOLEAN: (bool, "a Boolean"),
            _DATA: (bytes, "a byte string"),
        }[label]
        if not isinstance(value, wanted):
            raise self._wrong(label, f"must be {word}")
        return cast("Value", value)

    def _moment(self, base: _Base, now: float | None) -> float:
        moment = self._bounded(_TIME, base.time + (self._number(_TIME) or 0))
        if moment < ABSOLUTE_TIME:
            if now is None:
                raise self._wrong(_TIME, "must be a time since 1970, not one from now")
            moment += now
        return round(float(moment), 6)  # a double holds no more of today's times

    def _full_name(self, base: _Base) -> str | None:
        name = base.name + (self._text(_NAME) or "")
        if not name:
            return None
        if len(name) > MAX_NAME or not _NAME_PATTERN.fullmatch(name):
            raise self._wrong(
                _NAME, f"must be, with bn, 1 to {MAX_NAME} of the characters A-Z a-z 0-9 - : . / _"
            )
        return name

    def _text(self, label: int) -> str | None:
        if label not in self._record:
            return None
        value = self._record[label]
        if not isinstance(value, str) or len(value) > MAX_NAME:
            raise self._wrong(label, f"must be a text of at most {MAX_NAME} characters")
        return value

    def _number(self, label: int) -> Number | None:
        if label not in self._record:
            return None
        value = self._record[label]
        if isinstance(value, Decimal):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(label, "must be a number")
        return self._bounded(label, value)

    def _bounded(self, label: int, value: Number) -> Number:
        # In this order: isfinite() cannot take the integers that a big number's tag can make.
        if not -MAX_INTEGER <= value <= MAX_INTEGER or not math.isfinite(value):
            raise self._wrong(label, f"must be finite and between -{MAX_INTEGER} and {MAX_INTEGER}")
        return value

    def _wrong(self, label: int, rule: str) -> InvalidPayload:
        return InvalidPayload(f"record {self._index}: {_WORDS[label]} {rule}")


def _refuse_tag(*_: object) -> object:
    raise ValueError("tag not allowed")


# SenML knows decimal fractions (4) only. The other tags that cbor2 understands make dates,
# regular expressions, mails or shared references of a stranger's bytes: they are not even built.
_REFUSED_TAGS = (
    *(0, 1, 2, 3, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100),
    *(256, 258, 260, 261, 1004, 43000),
)
_SEMANTICS = dict.fromkeys(_REFUSED_TAGS, _refuse_tag)


def _load(payload: bytes) -> object:
    stream = BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        stream, semantic_decoders=_SEMANTICS, max_depth=8, allow_duplicate_keys=False
    )
    try:
        pack: object = decoder.decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, ArithmeticError, RecursionError):
        raise InvalidPayload(
            "the payload is not CBOR, has a key twice or a tag that SenML has not"
        ) from None
    if stream.tell() != len(payload):
        raise InvalidPayload("the payload must end where its array ends")
    return pack


def _encode_record(sample: Sample, first: Sample) -> dict[int, object]:
    record: dict[int, object] = {}
    if sample.name != first.name:
        raise ValueError("the samples of a pack must have one name, or all none")
    if sample.unit != first.unit:
        raise ValueError("the samples of a pack must have one unit, or all none")
    offset = sample.time - first.time
    if offset:
        # Microseconds: what is left of a difference of doubles is noise.
        record[_TIME] = _shorten(round(offset, 6))
    record[_value_label(sample.value)] = sample.value
    return record


def _value_label(value: Value) -> int:
    if isinstance(value, bool):
        return _BOOLEAN
    if isinstance(value, str):
        return _TEXT
    return _DATA if isinstance(value, bytes) else _VALUE


def _shorten(number: float) -> Number:
    """An integer where it says the same in fewer bytes."""
    return int(number) if math.isfinite(number) and number == int(number) else number


def _show(label: object) -> str:
    small = isinstance(label, str) or (isinstance(label, int) and abs(label) <= MAX_INTEGER)
    return repr(label)[:40] if small else f"of the type {type(label).__name__}"
