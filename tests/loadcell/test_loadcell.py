"""A load cell sends everything, in order, and goes on where it was."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.loadcell.__main__ import from_argument, to_argument
from steelyard.loadcell.communicator import Communicator, run_forked
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import (
    BadSource,
    PositionUnavailable,
    SampleRefused,
    SmartBoxAway,
)
from steelyard.loadcell.position import SLOT_BYTES, Position
from steelyard.loadcell.settings import LoadCellSettings
from steelyard.loadcell.source import Reading, SimulatedLoad, replay

ROWS = [("2020-11-12T06:01:29.392Z", "4193"), ("2020-11-12T06:02:38.028+01:00", "1764.125")]


class FakeSender:
    """Takes readings; fails as it is told: an error for each attempt, None for success."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.attempts: list[int] = []
        self.taken: list[Reading] = []

    async def send(self, reading: Reading) -> None:
        self.attempts.append(reading.sequence)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.taken.append(reading)


def config(directory: Path, **changes: object) -> LoadCellConfig:
    none = directory / "none.pem"
    base = LoadCellConfig(
        serial="C1",
        server_host="127.0.0.1",
        server_port=5684,
        certificate_file=none,
        key_file=none,
        ca_file=none,
        position_file=directory / "position",
        replay_file=directory / "rows.csv",
        interval_seconds=0,
        once=True,
    )
    return replace(base, **changes)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, header: str = "timestamp,kg") -> Path:
        path = tmp_path / "rows.csv"
        path.write_bytes("\n".join([header, *lines]).encode("utf-8", "surrogateescape") + b"\n")
        return path

    return write


class Sleeps:
    """Notes the pauses instead of making them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def communicator(
    directory: Path, sender: FakeSender, sleep: Sleeps | None = None, **changes: object
) -> tuple[Communicator, Position, list[str]]:
    position = Position(directory / "position")
    events: list[str] = []
    made = Communicator(
        config(directory, **changes),
        sender,
        position,
        lambda event, **_: events.append(event),
        sleep or Sleeps(),
    )
    return made, position, events


def count_rows(count: int) -> list[str]:
    return [f"2020-11-12T06:00:00.{number:03d}Z,{number}" for number in range(count)]


def test_rows_are_read_exactly(write: Callable[..., Path]) -> None:
    """Milliseconds in UTC and kilograms as written; from any row on."""
    path = write(*(",".join(row) for row in ROWS))
    assert list(replay(path, 0)) == [
        Reading(0, 1_605_160_889_392, Decimal(4193)),
        Reading(1, 1_605_157_358_028, Decimal("1764.125")),
    ]
    assert [reading.sequence for reading in replay(path, 1)] == [1]
    assert list(replay(path, 2)) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2020-11-12T06:01:29.392,1", "column timestamp: must be an RFC 3339 time with offset"),
        ("2020-11-12T06:01:29.3925Z,1", "not finer than a millisecond"),
        ("2020-11-31T06:01:29Z,1", "column timestamp"),
        ("1970-01-01T00:00:00Z,1", "after 1978-07-05"),
        (",1", "column timestamp"),
        ("2020-11-12T06:01:29Z,1.2345", "column kg: must be kilograms with at most 3 decimals"),
        ("2020-11-12T06:01:29Z,NaN", "column kg"),
        ("2020-11-12T06:01:29Z,10000000.001", "column kg"),
        ("2020-11-12T06:01:29Z", "must have 2 fields"),
        ('2020-11-12T06:01:29Z,"1', "line 4"),
        ("2020-11-12T06:01:29Z,\udcff", "must be UTF-8"),
    ],
)
def test_a_bad_row_is_named(write: Callable[..., Path], row: str, message: str) -> None:
    """With its line, and what is allowed; rows before it are good."""
    path = write("2020-11-12T06:01:29Z,1", "2020-11-12T06:01:30Z,2", row)
    with pytest.raises(BadSource, match=message) as caught:
        list(replay(path, 0))
    assert str(path) in caught.value.detail
    assert "line" in caught.value.detail


def test_a_bad_header_or_no_file_is_named(write: Callable[..., Path], tmp_path: Path) -> None:
    """Both are one sentence."""
    with pytest.raises(BadSource, match="line 1: must be timestamp,kg"):
        list(replay(write(header="time,kg"), 0))
    with pytest.raises(BadSource, match="cannot be read"):
        list(replay(tmp_path / "none.csv", 0))


async def test_everything_is_sent_in_order(write: Callable[..., Path], tmp_path: Path) -> None:
    """And the position is behind the last."""
    write(*count_rows(5))
    sender = FakeSender()
    cell, position, events = communicator(tmp_path, sender)
    await cell.run()
    assert [reading.sequence for reading in sender.taken] == [0, 1, 2, 3, 4]
    assert position.next == 5
    assert events == []
    position.close()


async def test_a_sample_is_repeated_until_it_is_taken(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    """With pauses that double up to the limit; the next one waits its turn."""
    write(*count_rows(2))
    sleep = Sleeps()
    sender = FakeSender(*[SmartBoxAway("x")] * 8)
    cell, position, events = communicator(tmp_path, sender, sleep)
    await cell.run()
    assert sender.attempts == [0] * 9 + [1]
    limits = [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert all(
        limit / 2 <= pause <= limit for pause, limit in zip(sleep.seconds, limits, strict=True)
    )
    assert events == ["smartbox away", "smartbox back"]
    position.close()


async def test_a_refused_sample_is_kept_and_passed(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    """It stands in a file beside the position, with the reason; the rest goes on."""
    write(*count_rows(3))
    sender = FakeSender(None, SampleRefused("4.09 Conflict"))
    cell, position, events = communicator(tmp_path, sender)
    await cell.run()
    assert [reading.sequence for reading in sender.taken] == [0, 2]
    assert cell.refused == 1
    assert events == ["sample refused"]
    (line,) = (tmp_path / "position.refused").read_text().splitlines()
    assert json.loads(line) == {
        "sequence": 1,
        "time": 1_605_160_800_001,
        "kg": "1",
        "refused": "4.09 Conflict",
    }
    position.close()


@pytest.mark.parametrize("stop_at", range(6))
async def test_it_goes_on_where_it_was(
    write: Callable[..., Path], tmp_path: Path, stop_at: int
) -> None:
    """Killed at any sample, sent or not acknowledged: nothing is skipped."""
    write(*count_rows(6))

    class Dies(FakeSender):
        async def send(self, reading: Reading) -> None:
            if reading.sequence == stop_at:
                raise KeyboardInterrupt
            await super().send(reading)

    first = Dies()
    cell, position, _ = communicator(tmp_path, first)
    with pytest.raises(KeyboardInterrupt):
        await cell.run()
    position.close()
    second = FakeSender()
    cell, position, _ = communicator(tmp_path, second)
    await cell.run()
    position.close()
    sent = [reading.sequence for reading in first.taken + second.taken]
    assert sent == [0, 1, 2, 3, 4, 5]


@given(st.integers(0, 2**60), st.integers(0, 2 * SLOT_BYTES), st.binary(max_size=SLOT_BYTES))
def test_a_torn_position_is_at_most_one_behind(
    tmp_path_factory: pytest.TempPathFactory, start: int, keep: int, rubbish: bytes
) -> None:
    """A torn write spoils one slot: the other one holds. Never ahead, never far behind."""
    path = tmp_path_factory.mktemp("position") / "p"
    position = Position(path)
    position.advance(start)
    position.advance(start + 1)
    position.close()
    slot = (start + 1) % 2 * SLOT_BYTES
    data = bytearray(path.read_bytes())
    cut = min(keep, SLOT_BYTES)
    data[slot + cut : slot + SLOT_BYTES] = rubbish.ljust(SLOT_BYTES - cut, b"\0")[
        : SLOT_BYTES - cut
    ]
    path.write_bytes(data)
    again = Position(path)
    assert again.next in (start, start + 1)
    again.close()


def test_a_position_that_cannot_be_kept_stops_the_cell(tmp_path: Path) -> None:
    """Better no sample than one that is forgotten."""
    (tmp_path / "file").touch()
    with pytest.raises(PositionUnavailable, match=r"Not a directory|File exists"):
        Position(tmp_path / "file" / "position")
    position = Position(tmp_path / "position")
    os.close(position._descriptor)
    position._descriptor = os.open("/dev/full", os.O_RDWR)
    with pytest.raises(PositionUnavailable):
        position.advance(1)
    position.close()


def test_simulated_cells_agree_on_the_time() -> None:
    """Cells with the same clock speak of the same times; each of its own weight, repeatably."""
    now = [1_605_160_800_123]
    loads = [SimulatedLoad(serial, 7, 2.5, lambda: now[0]).readings(3) for serial in ("C1", "C2")]
    again = SimulatedLoad("C1", 7, 2.5, lambda: now[0]).readings(3)
    for expected in (1_605_160_802_500, 1_605_160_805_000):
        one, two, same = (next(load) for load in (*loads, again))
        assert one.time == two.time == expected
        assert one == same
        assert one.kilograms != two.kilograms
        now[0] = expected + 1
    now[0] += 60_000
    assert next(loads[0]).time == 1_605_160_865_000


def test_the_plain_configuration_has_every_setting() -> None:
    """What the settings describe is what the process gets, and survives the command line."""
    names = {field.name for field in fields(LoadCellConfig)}
    assert names == set(LoadCellSettings.model_fields)
    settings = LoadCellSettings(
        serial="C1",
        server_host="box",
        certificate_file="c.pem",
        key_file="k.pem",
        ca_file="ca.pem",
        position_file="p",
    )
    assert from_argument(to_argument(settings.config())) == settings.config()


def test_the_small_process_imports_no_settings_library() -> None:
    """Sixteen of them run beside each other."""
    import subprocess
    import sys

    script = (
        "import sys, steelyard.loadcell.communicator\n"
        "heavy = {'pydantic', 'aiohttp', 'sqlalchemy', 'structlog', 'sqlite3', 'web3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_a_bad_certificate_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback; exit status 1."""
    (tmp_path / "rows.csv").write_text("timestamp,kg\n")
    assert run_forked(config(tmp_path)) == 1
    said = json.loads(capsys.readouterr().err)
    assert said["message"] == "load cell stopped"
    assert "none.pem: No such file" in said["detail"]


def _run_command(directory: Path) -> None:
    """In a child of multiprocessing: the command, and whether it stayed in this interpreter."""
    from steelyard.loadcell.cli import loadcell

    try:
        loadcell(["run", "--once", "--replay", str(directory / "rows.csv")], standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - its name is what the test looks at
        (directory / "stayed").write_text(type(error).__name__)


def test_a_forked_command_stays_in_its_parent_s_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of multiprocessing shares its parent's pages: it becomes no new interpreter."""
    import multiprocessing

    for name, value in {
        "SERIAL": "C1",
        "SERVER_HOST": "127.0.0.1",
        "CERTIFICATE_FILE": tmp_path / "none.pem",
        "KEY_FILE": tmp_path / "none.pem",
        "CA_FILE": tmp_path / "none.pem",
        "POSITION_FILE": tmp_path / "position",
    }.items():
        monkeypatch.setenv(f"STEELYARD_LOADCELL_{name}", str(value))
    child = multiprocessing.get_context("fork").Process(target=_run_command, args=(tmp_path,))
    child.start()
    child.join(30)
    assert (tmp_path / "stayed").read_text() == "CredentialUnusable"
