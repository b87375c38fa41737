"""`steelyard smartbox calibrate`."""

import csv
import sys
import time
import tomllib
from math import fsum
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from steelyard.errors import ConfigurationError
from steelyard.smartbox.pages.client import read_page
from steelyard.smartbox.settings import SmartBoxSettings, WeighbridgeSettings
from steelyard.smartbox.weighing.calibration import (
    Certificate,
    KnownLoad,
    make_content,
    read_calibration,
    write_calibration,
)
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.errors import CalibrationImpossible, NoSuchWeighbridge
from steelyard.smartbox.weighing.solver import COLUMNS, read_observations, solve

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60

_FILE = click.Path(path_type=Path, dir_okay=False)
_config = click.option(
    "--config", type=_FILE, envvar="STEELYARD_CONFIG", help="TOML file with the section smartbox."
)
_bridge = click.option("--weighbridge", required=True, help="The weighbridge's name.")


@click.group()
def calibrate() -> None:
    """Calibrate a weighbridge with known loads."""


def _find(settings: SmartBoxSettings, name: str) -> WeighbridgeSettings:
    for bridge in settings.weighbridges:
        if bridge.name == name:
            return bridge
    known = ", ".join(bridge.name for bridge in settings.weighbridges)
    raise NoSuchWeighbridge(f"the weighbridges are: {known}")


@calibrate.command()
@_config
@_bridge
@click.option("--place", required=True, help="Where the load stands, in words.")
@click.option(
    "--load-kg", type=click.FloatRange(min=0), required=True, help="The known load; 0 for none."
)
@click.option(
    "--count", type=click.IntRange(1, 1000), default=20, help="Weights that make the row's mean."
)
@click.argument("recorded", type=_FILE)
def record(
    config: Path | None, weighbridge: str, place: str, load_kg: float, count: int, recorded: Path
) -> None:
    """Add a row to RECORDED: what the cells of the running SmartBox show of a known load.

    It waits for a stable weight, and fails after a minute without one.
    """
    settings = SmartBoxSettings.load(config)
    serials = [cell.serial for cell in _find(settings, weighbridge).cells]
    frames = _gather(settings.data_directory, weighbridge, serials, count)
    raw = [fsum(frame["raw"][serial] for frame in frames) / count for serial in serials]
    warm = [one for one in frames[-1]["celsius"].values() if one is not None]
    celsius = round(fsum(warm) / len(warm), 2) if warm else ""
    row: list[object] = [place, f"{load_kg:g}", celsius, *(f"{one:.4f}" for one in raw)]
    is_new = not recorded.exists()
    with recorded.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if is_new:
            writer.writerow([*COLUMNS, *serials])
        writer.writerow(row)
    click.echo(f"{recorded}: {load_kg:g} kg, {place}: " + ", ".join(f"{one:.1f}" for one in raw))


def _gather(
    directory: Path, weighbridge: str, serials: list[str], count: int
) -> list[dict[str, Any]]:
    """So many stable frames one after the other."""
    frames: list[dict[str, Any]] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len(frames) < count:
        if time.monotonic() > give_up:
            raise click.ClickException(f"{weighbridge}: the weight was not stable for long enough")
        scale = read_page(directory)["scales"].get(weighbridge)
        if scale is None:
            raise click.ClickException(f"{weighbridge}: does not weigh by a cycle")
        raw = scale.get("raw", {})
        if not scale.get("stable") or any(raw.get(serial) is None for serial in serials):
            frames.clear()
        elif not frames or frames[-1]["time"] != scale["time"]:
            frames.append(scale)
        time.sleep(POLL_SECONDS)
    return frames


@calibrate.command(name="solve")
@_config
@_bridge
@click.option(
    "--cells",
    type=_FILE,
    help="TOML with what the cells' certificates say: a table for each serial, with linearity, "
    "zero_per_kelvin, span_per_kelvin, reference_celsius.",
)
@click.option("--out", type=_FILE, help="Calibration to write; else the setting calibration_file.")
@click.argument("recorded", type=_FILE)
def solve_command(
    config: Path | None, weighbridge: str, cells: Path | None, out: Path | None, recorded: Path
) -> None:
    """Solve for the factors from the loads in RECORDED, and write a signed calibration.

    RECORDED is a CSV place,load_kg,celsius,SERIAL,...: raw kilograms of each cell. Exit status 1,
    and nothing written, when an error is beyond the class's maximum permissible one.
    """
    settings = SmartBoxSettings.load(config)
    bridge = _find(settings, weighbridge)
    path = out or (bridge.weighing.calibration_file if bridge.weighing else None)
    if path is None:
        raise ConfigurationError("smartbox.weighbridges.weighing.calibration_file: is not set")
    serials = [cell.serial for cell in bridge.cells]
    observations = read_observations(recorded, serials)
    solution = solve(observations, _certificates(cells, serials), bridge.scale())
    _report(solution.loads)
    if not solution.holds:
        click.echo("not written: an error is beyond the maximum permissible one", err=True)
        sys.exit(1)
    # A calibration that is there counts only if it is as it was signed.
    version = read_calibration(path, settings, bridge).content.version + 1 if path.exists() else 1
    content = make_content(
        settings,
        bridge,
        solution.factors,
        solution.loads,
        version=version,
        made=time.time_ns() // 1_000_000,
    )
    write_calibration(path, content, settings)
    click.echo(f"{path}: version {version}")


@calibrate.command()
@_config
@_bridge
def show(config: Path | None, weighbridge: str) -> None:
    """Check the weighbridge's calibration and print it."""
    settings = SmartBoxSettings.load(config)
    bridge = _find(settings, weighbridge)
    path = bridge.weighing.calibration_file if bridge.weighing else None
    if path is None:
        raise ConfigurationError("smartbox.weighbridges.weighing.calibration_file: is not set")
    calibration = read_calibration(path, settings, bridge)
    content = calibration.content
    click.echo(f"{path}: version {content.version} of {content.made}, {calibration.sha256}")
    for cell in content.cells:
        click.echo(f"{cell.serial}: zero {cell.zero:.3f} kg, span {cell.span:.6f}, ", nl=False)
        click.echo(f"corner {cell.corner:.6f}")
    _report(content.loads)


def _report(loads: tuple[KnownLoad, ...]) -> None:
    """Each known load with its error, beside the maximum permissible one."""
    click.echo(f"{'place':20} {'load kg':>10} {'error kg':>9} {'allowed':>8}")
    for one in loads:
        mark = "" if abs(one.error) <= one.permissible else "  too much"
        click.echo(
            f"{one.place[:20]:20} {one.load:10.1f} {one.error:9.2f} {one.permissible:8.1f}{mark}"
        )


def _certificates(path: Path | None, serials: list[str]) -> list[CellFactors]:
    if path is None:
        return [CellFactors() for _ in serials]
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CalibrationImpossible(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CalibrationImpossible(f"{path}: is not valid TOML: {error}") from None
    strangers = sorted(set(document) - set(serials))
    if strangers:
        raise CalibrationImpossible(f"{path}: {strangers[0]} is no cell of this weighbridge")
    found = []
    for serial in serials:
        try:
            certificate = Certificate.model_validate(document.get(serial, {}))
        except ValidationError as error:
            wrong = error.errors()[0]
            name = ".".join(map(str, wrong["loc"]))
            raise CalibrationImpossible(f"{path}: {serial}.{name}: {wrong['msg']}") from None
        found.append(CellFactors(**certificate.model_dump()))
    return found
