"""Known loads become factors; a calibration counts only as it was signed."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from smartbox_kit import Stage
from weighing_kit import certificate_of, observe, settings

from steelyard.loadcell.physics import CellNature, Platform, nature_of
from steelyard.pki.authority import Authority
from steelyard.smartbox.cli import smartbox
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.weighing.calibration import (
    make_content,
    read_calibration,
    write_calibration,
)
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.errors import CalibrationImpossible, CalibrationRefused
from steelyard.smartbox.weighing.solver import Observation, read_observations, solve

SCALE = settings().scale()
CELLS = ["C11", "C12", "C13", "C14"]
PLAIN = [CellFactors()] * 4


def rows(natures: list[CellNature]) -> list[Observation]:
    return observe(Platform(len(natures)), natures, random.Random(1))  # noqa: S311 - a simulation


@budget(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(-2000, 2000), st.floats(0.5, 2.0)), min_size=4, max_size=8).filter(
        lambda cells: len(cells) % 2 == 0
    )
)
def test_the_factors_of_ideal_cells_are_found(cells: list[tuple[float, float]]) -> None:
    """Whatever their zeros and gains: zero, and 1 / gain as span times corner."""
    natures = [CellNature(dead=dead, gain=gain) for dead, gain in cells]
    solution = solve(rows(natures), [CellFactors()] * len(cells), SCALE)
    for nature, found in zip(natures, solution.factors, strict=True):
        assert found.zero == pytest.approx(nature.dead, abs=1e-6)
        assert found.span * found.corner == pytest.approx(1 / nature.gain)
    corners = [found.corner for found in solution.factors]
    assert sum(corners) == pytest.approx(len(corners))
    assert solution.holds


def test_real_cells_are_within_the_permissible_errors() -> None:
    """With what their certificates say; without it, the residuals are larger."""
    natures = [nature_of(7, serial) for serial in CELLS]
    with_certificates = solve(rows(natures), [certificate_of(one) for one in natures], SCALE)
    assert with_certificates.holds
    without = solve(rows(natures), PLAIN, SCALE)
    worst = [max(abs(one.error) for one in found.loads) for found in (with_certificates, without)]
    assert worst[0] < worst[1]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda one: one.load > 0, "at least one row without a load"),
        (lambda one: one.load == 0 or one.place == "middle", "at least 5"),
        (lambda _: True, "put a load over each corner"),
    ],
)
def test_loads_that_do_not_tell_are_refused(keep: Any, message: str) -> None:
    """With what is missing."""
    made = rows([CellNature()] * 4)
    if message.startswith("put"):
        middle = Observation("middle", 10_000.0, 20.0, (2_500.0,) * 4)
        made = [made[0]] + [middle] * 6
    with pytest.raises(CalibrationImpossible, match=message):
        solve([one for one in made if keep(one)], PLAIN, SCALE)


def test_a_wrong_load_is_beyond_the_permissible_error() -> None:
    """Somebody wrote 10 t for 10.5: it shows among the residuals."""
    made = rows([CellNature()] * 4)
    wrong = made[3]
    made[3] = Observation(wrong.place, 10_500.0, 20.0, wrong.raw)
    try:
        solution = solve(made, PLAIN, SCALE)
    except CalibrationImpossible:
        return
    assert not solution.holds


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,y", "line 1: must be place,load_kg,celsius,C11"),
        ("none,0,20,1,2,3", "line 3: must be a place"),
        ("none,-1,20,1,2,3,4", "line 3: must be a place"),
        ("none,0,,1,2,3,nan", "line 3: must be a place"),
        ("none,zero,,1,2,3,4", "line 3: must be a place"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    """With its line and what is allowed there."""
    path = tmp_path / "loads.csv"
    header = f"place,load_kg,celsius,{','.join(CELLS)}\nnone,0,,1,2,3,4\n"
    path.write_text(line if "line 1" in message else header + line)
    with pytest.raises(CalibrationImpossible, match=message):
        read_observations(path, CELLS)
    with pytest.raises(CalibrationImpossible, match="cannot be read"):
        read_observations(tmp_path / "none.csv", CELLS)


@pytest.fixture
def station(stage: Stage, tmp_path: Path) -> SmartBoxSettings:
    """The station of the kit, its first weighbridge with a calibration file."""
    values = stage.settings(tmp_path / "data", "https://localhost")
    values["weighbridges"][0]["weighing"] = {"calibration_file": str(tmp_path / "wb-1.json")}
    (tmp_path / "steelyard.toml").write_text(tomli_w.dumps({"smartbox": values}))
    return SmartBoxSettings(**values)


def write(station: SmartBoxSettings, path: Path, version: int = 1) -> None:
    bridge = station.weighbridges[0]
    solution = solve(rows([CellNature(dead=1000.0)] * 4), PLAIN, bridge.scale())
    content = make_content(
        station, bridge, solution.factors, solution.loads, version=version, made=1
    )
    write_calibration(path, content, station)


def test_a_calibration_is_read_as_it_was_written(station: SmartBoxSettings, tmp_path: Path) -> None:
    """Factors, version, and the same digest each time."""
    path = tmp_path / "wb-1.json"
    write(station, path, version=3)
    read = read_calibration(path, station, station.weighbridges[0])
    assert read.mark() == {"version": 3, "sha256": read.sha256}
    assert [cell.serial for cell in read.content.cells] == CELLS
    assert read.factors[0].zero == pytest.approx(1000.0)
    assert read_calibration(path, station, station.weighbridges[0]) == read


def change(path: Path, edit: Any) -> None:
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["content"]["cells"][0].update(span=1.01), "was changed after it was signed"),
        (lambda d: d["content"].update(version=9), "was changed after it was signed"),
        (lambda d: d["content"].update(extra=1), "was changed after it was signed"),
        (lambda d: d.update(signature="AAAA"), "was changed after it was signed"),
        (lambda d: d.update(signature="?"), "is no calibration file"),
        (lambda d: d.pop("certificate"), "is no calibration file"),
        (lambda d: d.update(content=[]), "is no calibration file"),
    ],
)
def test_a_file_edited_by_hand_is_refused(
    station: SmartBoxSettings, tmp_path: Path, edit: Any, message: str
) -> None:
    """In one sentence, whatever was changed."""
    path = tmp_path / "wb-1.json"
    write(station, path)
    change(path, edit)
    with pytest.raises(CalibrationRefused, match=message):
        read_calibration(path, station, station.weighbridges[0])


def test_another_bridge_s_calibration_is_refused(station: SmartBoxSettings, tmp_path: Path) -> None:
    """Also when it was signed here."""
    path = tmp_path / "wb-1.json"
    write(station, path)
    with pytest.raises(CalibrationRefused, match="is for the weighbridge wb-1, this is wb-2"):
        read_calibration(path, station, station.weighbridges[1])


def test_the_signer_is_a_smartbox_of_the_station(
    stage: Stage, station: SmartBoxSettings, tmp_path: Path
) -> None:
    """An earlier certificate with another key is good; a cell's or a stranger's is not."""
    path = tmp_path / "wb-1.json"
    renewed = stage.devices.issue_smartbox(
        "SB02", ["localhost"], tmp_path / "s", station="station-1"
    )
    foreign = stage.devices.issue_smartbox(
        "SB03", ["localhost"], tmp_path / "s", station="station-2"
    )
    rogue = Authority.create(tmp_path / "rogue", "Rogue").issue_smartbox(
        "SB04", ["localhost"], tmp_path / "s", station="station-1"
    )
    for issued, good in (
        (renewed, True),
        (foreign, False),
        (rogue, False),
        (stage.cells["C11"], False),
    ):
        signer = station.model_copy(
            update={"certificate_file": issued.certificate_path, "key_file": issued.key_path}
        )
        write(signer, path)
        if good:
            read_calibration(path, station, station.weighbridges[0])
            continue
        with pytest.raises(CalibrationRefused, match="was not signed by a SmartBox of station-1"):
            read_calibration(path, station, station.weighbridges[0])


def test_a_smartbox_that_enrolled_anew_keeps_its_calibration(
    stage: Stage, station: SmartBoxSettings, tmp_path: Path
) -> None:
    """Its certificates name the station's id, and its earlier key is gone."""
    path = tmp_path / "wb-1.json"
    enrolled = station.model_copy(update={"device_station": "9f1c3a52"})
    by_id, by_name = (
        stage.devices.issue_smartbox(serial, ["localhost"], tmp_path / "s", station=named)
        for serial, named in (("SB05", "9f1c3a52"), ("SB06", "station-1"))
    )
    for issued, good in ((by_id, True), (by_name, False)):
        files = {"certificate_file": issued.certificate_path, "key_file": issued.key_path}
        write(enrolled.model_copy(update=files), path)
        if good:
            read_calibration(path, enrolled, enrolled.weighbridges[0])
            continue
        with pytest.raises(CalibrationRefused, match="was not signed by a SmartBox of station-1"):
            read_calibration(path, enrolled, enrolled.weighbridges[0])


def record(path: Path, natures: list[CellNature]) -> None:
    lines = [f"place,load_kg,celsius,{','.join(CELLS)}"]
    for one in rows(natures):
        raw = ",".join(f"{value:.4f}" for value in one.raw)
        lines.append(f'"{one.place}",{one.load},{one.celsius},{raw}')
    path.write_text("\n".join(lines))


def run(tmp_path: Path, *arguments: str) -> Result:
    config = str(tmp_path / "steelyard.toml")
    command = ["calibrate", arguments[0], "--config", config, "--weighbridge", "wb-1"]
    return CliRunner().invoke(smartbox, [*command, *arguments[1:]])


def test_the_command_solves_reports_and_writes(station: SmartBoxSettings, tmp_path: Path) -> None:
    """Each load with its error and what is allowed; the next one has the next version."""
    natures = [nature_of(7, serial) for serial in CELLS]
    record(tmp_path / "loads.csv", natures)
    certificates = {
        serial: {
            "linearity": [list(point) for point in certificate_of(one).linearity],
            "zero_per_kelvin": one.zero_per_kelvin,
            "span_per_kelvin": one.span_per_kelvin,
        }
        for serial, one in zip(CELLS, natures, strict=True)
    }
    (tmp_path / "cells.toml").write_text(tomli_w.dumps(certificates))
    options = ("--cells", str(tmp_path / "cells.toml"), str(tmp_path / "loads.csv"))
    for version in (1, 2):
        done = run(tmp_path, "solve", *options)
        assert done.exit_code == 0, done.output
        assert f"wb-1.json: version {version}" in done.output
    assert "allowed" in done.output
    assert "too much" not in done.output
    shown = run(tmp_path, "show")
    assert "version 2" in shown.output
    assert "C11: zero" in shown.output


def test_the_command_writes_nothing_beyond_the_permissible_error(
    station: SmartBoxSettings, tmp_path: Path
) -> None:
    """Cells as bent as these need their certificates."""
    bent = [CellNature(bend=200.0, dead=1000.0)] * 4
    record(tmp_path / "loads.csv", bent)
    done = run(tmp_path, "solve", str(tmp_path / "loads.csv"))
    assert done.exit_code == 1
    assert not (tmp_path / "wb-1.json").exists()


def test_a_new_calibration_does_not_cover_up_an_edited_one(
    station: SmartBoxSettings, tmp_path: Path
) -> None:
    """The old file must be put right, or away, first: its version counts."""
    path = tmp_path / "wb-1.json"
    write(station, path)
    change(path, lambda d: d["content"].update(version=7))
    record(tmp_path / "loads.csv", [CellNature()] * 4)
    done = run(tmp_path, "solve", str(tmp_path / "loads.csv"))
    assert isinstance(done.exception, CalibrationRefused)
    assert json.loads(path.read_text())["content"]["version"] == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[C99]\n", "C99 is no cell"),
        ("[C11]\nlinearity = [[1, 0], [1, 2]]\n", r"C11\..*must rise"),
        ("[C11]\nspan_per_kelvin = 0.5\n", "C11.span_per_kelvin"),
        ("[", "is not valid TOML"),
    ],
)
def test_a_wrong_certificate_is_named(
    station: SmartBoxSettings, tmp_path: Path, text: str, message: str
) -> None:
    """The serial, the member, and what is allowed."""
    record(tmp_path / "loads.csv", [CellNature()] * 4)
    (tmp_path / "cells.toml").write_text(text)
    options = ("--cells", str(tmp_path / "cells.toml"), str(tmp_path / "loads.csv"))
    done = run(tmp_path, "solve", *options)
    assert isinstance(done.exception, CalibrationImpossible)
    assert re.search(message, str(done.exception))
