"""The weighings CSV is read strictly: what is wrong is named with its line and column."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.smartbox.split import split_weighings
from steelyard.ticket import MAX_GRAMS, MIN_GRAMS, format_timestamp
from steelyard.weighings import (
    BadWeighings,
    CellReading,
    format_kilograms,
    parse_kilograms,
    read_weighings,
)

OWN = Path(__file__).parent.parent.parent / "data" / "weighings-600.csv"
HEADER = (
    "station,weighbridge,terminal_serial,terminal_restart,timestamp,scale_serial,scale_status,"
    "vehicle,gross_kg,tare_kg,net_kg,cell_1_serial,cell_1_kg,cell_2_serial,cell_2_kg"
)
ROW = {
    "station": "s-1",
    "weighbridge": "wb-1",
    "terminal_serial": "T1",
    "terminal_restart": "1",
    "timestamp": "2020-11-12T06:01:29.392+00:00",
    "scale_serial": "WB1",
    "scale_status": "ok",
    "vehicle": "AB-12-CD",
    "gross_kg": "17000.125",
    "tare_kg": "6680",
    "net_kg": "10320.125",
    "cell_1_serial": "C1",
    "cell_1_kg": "8000.125",
    "cell_2_serial": "C2",
    "cell_2_kg": "9000",
}


def line(**changes: str) -> str:
    return ",".join((ROW | changes)[name] for name in HEADER.split(","))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of lines or bytes."""

    def write(*lines: str | bytes) -> Path:
        path = tmp_path / "weighings.csv"
        data = [text.encode() if isinstance(text, str) else text for text in lines]
        path.write_bytes(b"\n".join(data) + b"\n")
        return path

    return write


def test_the_project_s_own_file_is_read() -> None:
    """600 weighings, 300 a station; the first row's values arrive exactly."""
    weighings = list(read_weighings(OWN))
    assert len(weighings) == 600
    first = weighings[0]
    assert (first.line, first.gross, first.tare, first.net) == (
        2,
        17_000_000,
        6_680_000,
        10_320_000,
    )
    assert format_timestamp(first.timestamp) == "2020-11-12T06:01:29.392Z"
    assert first.cells[0] == CellReading("LC112010201", 4_193_000)


def test_grams_are_exact(write: Callable[..., Path]) -> None:
    """Three decimals of a kilogram are grams, with a mark of UTF-8 at the start as without."""
    for mark in (b"", b"\xef\xbb\xbf"):
        (weighing,) = read_weighings(write(mark + HEADER.encode(), line()))
        assert weighing.gross == 17_000_125
        assert [cell.grams for cell in weighing.cells] == [8_000_125, 9_000_000]


def test_trailing_cells_may_be_empty(write: Callable[..., Path]) -> None:
    """A row may have fewer cells than the header, and no vehicle."""
    (weighing,) = read_weighings(write(HEADER, line(cell_2_serial="", cell_2_kg="", vehicle="")))
    assert [cell.serial for cell in weighing.cells] == ["C1"]
    assert weighing.vehicle is None


def test_reading_is_a_stream(write: Callable[..., Path]) -> None:
    """A good row is given before the bad one behind it is looked at."""
    rows = read_weighings(write(HEADER, line(), line(net_kg="x")))
    assert next(rows).line == 2
    with pytest.raises(BadWeighings, match="line 3, column net_kg"):
        next(rows)


BAD_VALUES = [
    ("station", "s 1", "letters, digits"),
    ("station", "", "letters, digits"),
    ("station", "s" * 41, "1 to 40"),
    ("weighbridge", "wb/1", "letters, digits"),
    ("terminal_serial", "T" * 33, "1 to 32 printable ASCII"),
    ("terminal_serial", " T1", "without blanks"),
    ("terminal_restart", "-1", "whole number from 0"),
    ("terminal_restart", "4294967296", "whole number from 0 to 4294967295"),
    ("terminal_restart", "1.5", "whole number"),
    ("timestamp", "2020-11-12T06:01:29.392", "RFC 3339 time with offset"),
    ("timestamp", "2020-13-12T06:01:29Z", "RFC 3339"),
    ("timestamp", "2020-11-12T06:01:29.3921Z", "finer than a millisecond"),
    ("timestamp", "1969-12-31T23:59:59Z", "must not be before 1970"),
    ("scale_serial", "", "printable ASCII"),
    ("scale_status", "OK", "lower-case"),
    ("vehicle", "v" * 33, "at most 32 bytes"),
    ("vehicle", "AB ", "without blanks"),
    ("gross_kg", "17000.1255", "at most 3 decimals"),
    ("gross_kg", "-1", "from 0 to 2147483.647 kg"),
    ("gross_kg", "NaN", "decimal number"),
    ("gross_kg", "1e3", "decimal number"),
    ("gross_kg", "inf", "decimal number"),
    ("gross_kg", "１７", "decimal number"),
    ("gross_kg", "2147483.648", "from 0 to 2147483.647 kg"),
    ("gross_kg", "9" * 60, "decimal number"),
    ("tare_kg", "-0.001", "from 0"),
    ("net_kg", "10320.124", "gross_kg minus tare_kg"),
    ("cell_1_serial", "", "printable ASCII"),
    ("cell_1_kg", "", "decimal number"),
    ("cell_2_serial", "C1", "names a cell twice"),
    ("cell_2_kg", "9,5", "must have 15 fields, has 16"),
]


@pytest.mark.parametrize(("column", "value", "allowed"), BAD_VALUES)
def test_a_bad_value_is_named(
    write: Callable[..., Path], column: str, value: str, allowed: str
) -> None:
    """The error names the file, the line, the column and what is allowed."""
    path = write(HEADER, line(), line(**{"timestamp": "2020-11-12T07:00:00Z", column: value}))
    with pytest.raises(BadWeighings) as caught:
        list(read_weighings(path))
    assert str(path) in caught.value.detail
    assert "line 3" in caught.value.detail
    assert allowed in caught.value.detail
    if "fields" not in allowed:
        assert f"column {column}" in caught.value.detail
        assert caught.value.errors[0].field == f"line 3, column {column}"


@pytest.mark.parametrize("column", HEADER.split(","))
def test_a_missing_column_is_named(write: Callable[..., Path], column: str) -> None:
    """Whichever column is missing, it is named."""
    names = [name for name in HEADER.split(",") if name != column]
    with pytest.raises(BadWeighings, match=rf"line 1, column {column}: is missing"):
        list(read_weighings(write(",".join(names))))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER + ",colour"], "line 1, column colour: is unknown"),
        ([HEADER + ",station"], "line 1, column station: stands more than once"),
        ([HEADER.replace("cell_2", "cell_3")], "column cell_2_serial: is missing"),
        ([HEADER + ",cell_33_serial,cell_33_kg"], "at most 32 cells"),
        ([HEADER, line(), line()], "line 3, column timestamp: must be unique.*line 2 has"),
        ([HEADER, "a,b"], "line 2: must have 15 fields, has 2"),
        ([HEADER, line().encode()[:-3] + b"\xff\xfe"], "line 2: must be UTF-8"),
        ([HEADER, line(vehicle='"AB')], "is not valid CSV"),
        ([HEADER, line(vehicle="x" * 70_000)], "at most 65536 bytes long"),
        ([HEADER, line(cell_1_serial="", cell_1_kg="")], "stands behind an empty cell"),
        (
            [HEADER, line(cell_1_serial="", cell_1_kg="", cell_2_serial="", cell_2_kg="")],
            "there must be at least one cell",
        ),
    ],
)
def test_a_bad_file_is_named(
    write: Callable[..., Path], lines: list[str | bytes], message: str
) -> None:
    """What is wrong with the file as such is said in one sentence."""
    with pytest.raises(BadWeighings, match=message):
        list(read_weighings(write(*lines)))


def test_no_file_and_an_empty_file_are_told_apart(tmp_path: Path) -> None:
    """Both are a sentence, not a traceback."""
    with pytest.raises(BadWeighings, match="cannot be read: No such file"):
        list(read_weighings(tmp_path / "none.csv"))
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(BadWeighings, match="is empty"):
        list(read_weighings(empty))


@given(st.integers(MIN_GRAMS, MAX_GRAMS))
def test_kilograms_say_grams_exactly(grams: int) -> None:
    """Grams survive being written and read, and the text is the number itself."""
    text = format_kilograms(grams)
    assert parse_kilograms(text) == grams
    assert Decimal(text) * 1000 == grams


@given(st.text(max_size=20))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is either grams or a ValueError."""
    try:
        grams = parse_kilograms(text)
    except ValueError:
        return
    assert Decimal(text) * 1000 == grams


def test_splitting_keeps_every_weight(tmp_path: Path) -> None:
    """Rows and columns together say what the file said; the scale interval is the fleet's 20 kg."""
    stations = split_weighings(OWN, tmp_path)
    assert {name: part.rows for name, part in stations.items()} == {
        "station-1": 300,
        "station-2": 300,
    }
    columns: dict[str, dict[str, str]] = {}
    for station in stations.values():
        assert station.rows_file.read_text().count("\n") == 301
        for bridge in station.weighbridges.values():
            assert bridge.scale_interval_grams == 20_000
            for serial, path in bridge.cells.items():
                rows = [row.split(",") for row in path.read_text().splitlines()[1:]]
                columns[serial] = dict(rows)
    for weighing in read_weighings(OWN):
        for cell in weighing.cells:
            text = columns[cell.serial][format_timestamp(weighing.timestamp)]
            assert parse_kilograms(text) == cell.grams


def test_a_cell_stands_under_one_weighbridge(write: Callable[..., Path], tmp_path: Path) -> None:
    """A serial under two weighbridges is refused with its line."""
    path = write(HEADER, line(), line(weighbridge="wb-2"))
    with pytest.raises(BadWeighings, match="line 3: cell C1 must stand under one weighbridge"):
        split_weighings(path, tmp_path / "out")


def test_a_gross_must_be_its_cells_rounded(write: Callable[..., Path], tmp_path: Path) -> None:
    """A gross that no scale interval explains could never come back from the cells."""
    path = write(HEADER, line(cell_1_kg="1"))
    with pytest.raises(BadWeighings, match="line 2, column gross_kg: must be the sum of the cells"):
        split_weighings(path, tmp_path / "out")
