"""The commands, as an operator types them."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from smartbox_kit import (
    CELLS,
    FakePlatform,
    Stage,
    expected_ticket,
    plan,
    until,
    write_replay,
)

from steelyard.errors import ConfigurationError, Problem
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.pages.client import READY_FILE
from steelyard.smartbox.recorder import ALIBI_FILE, Storage
from steelyard.smartbox.service import Ready, SmartBox
from steelyard.smartbox.settings import SmartBoxSettings

STEELYARD = [sys.executable, "-c", "from steelyard.cli import main; main()"]


def toml_value(value: Any) -> str:
    """A value in TOML: texts, numbers, arrays and inline tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{n} = {toml_value(v)}" for n, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value)


def to_toml(section: str, values: dict[str, Any]) -> str:
    """One section."""
    lines = [f"[{section}]", *(f"{name} = {toml_value(v)}" for name, v in values.items())]
    text = "\n".join(lines) + "\n"
    assert tomllib.loads(text)[section] == values
    return text


def command(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*STEELYARD, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | environment,
    )


class Processes:
    """Commands that run until they are ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *args: object) -> subprocess.Popen[str]:
        log = (self._directory / f"log-{len(self.started)}").open("w")
        process = subprocess.Popen(
            [*STEELYARD, *map(str, args)], stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        self.started.append(process)
        return process

    def log(self, number: int) -> str:
        return (self._directory / f"log-{number}").read_text()


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    made = Processes(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def config(stage: Stage, platform: FakePlatform, tmp_path: Path) -> Path:
    path = tmp_path / "smartbox.toml"
    path.write_text(to_toml("smartbox", stage.settings(tmp_path / "data", platform.url)))
    return path


def write_cell_config(stage: Stage, serial: str, port: int, directory: Path) -> Path:
    path = directory / f"{serial}.toml"
    values = json.loads(json.dumps(_as_dict(stage.cell(serial, port, directory)), default=str))
    path.write_text(to_toml("loadcell", values))
    return path


def _as_dict(config: Any) -> dict[str, Any]:
    names = config.__dataclass_fields__
    return {name: getattr(config, name) for name in names if getattr(config, name) is not None}


@pytest.mark.slow
async def test_the_whole_station_by_its_commands(
    stage: Stage, platform: FakePlatform, config: Path, processes: Processes, tmp_path: Path
) -> None:
    """run, status, receipts, refused, requeue, verify, show and the cells; SIGTERM ends it well."""
    planned = plan(20)
    rows = write_replay(planned, tmp_path)
    refused_id = expected_ticket(planned[3]).id
    platform.refuse[refused_id] = {"status": 422, "title": "not this one"}
    box = processes.start("smartbox", "run", "--config", config, "--replay", rows)
    ready_file = tmp_path / "data" / READY_FILE
    await until(ready_file.exists)
    port = json.loads(ready_file.read_text())["coap"][1]
    assert box.stdout is not None
    cells = [
        processes.start("loadcell", "run", "--config", write_cell_config(stage, s, port, tmp_path))
        for s in CELLS
    ]
    await until(lambda: all(cell.poll() is not None for cell in cells))
    assert [cell.returncode for cell in cells] == [0] * 8
    await until(lambda: len(platform.tickets) == 19)
    import asyncio

    async def ask(*args: object) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(command, *args)

    status = json.loads((await ask("smartbox", "status", "--config", config)).stdout)
    assert status["tickets"]["registered"] == 19
    assert status["tickets"]["refused"] == 1
    assert status["replay_rows"] == 20
    refused = await ask("smartbox", "refused", "--config", config)
    assert json.loads(refused.stdout)["problem"]["title"] == "not this one"
    assert json.loads(refused.stdout)["ticketID"] == refused_id
    receipts = (await ask("smartbox", "receipts", "--config", config)).stdout.splitlines()
    assert {json.loads(line)["ticketID"] for line in receipts} == set(platform.tickets)
    assert set(json.loads(receipts[0])) == {"ticketID", "transactionHash", "blockNumber"}
    requeued = await ask("smartbox", "requeue", "--config", config, refused_id)
    assert requeued.stdout == "1 tickets queued again\n"
    data = tmp_path / "data"
    verified = await ask("alibi", "verify", data)
    assert verified.returncode == 0
    assert "20 records, all as they were written; and the outbox agrees" in verified.stdout
    shown = (await ask("alibi", "show", "--from", "20", data)).stdout.splitlines()
    assert [json.loads(line)["sequence"] for line in shown] == [20]
    box.send_signal(signal.SIGTERM)
    await until(lambda: box.poll() is not None)
    assert box.returncode == 0
    assert box.stdout.read().startswith("SmartBox of station-1 is ready: coaps://127.0.0.1:")
    for line in processes.log(0).splitlines():
        assert json.loads(line)["level"] in {"info", "warning", "error"}
    text = processes.log(0)
    assert not any(w.vehicle in text or expected_ticket(w).id in text for w in planned)
    away = await ask("smartbox", "status", "--config", config)
    assert (away.returncode, "no SmartBox runs on" in away.stderr) == (1, True)
    path = data / ALIBI_FILE
    path.write_bytes(path.read_bytes()[:-1000] + b"!" + path.read_bytes()[-999:])
    broken = await ask("alibi", "verify", data)
    assert broken.returncode == 1
    assert "record 19: was altered" in broken.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"station": "a b"}, "smartbox.station: "),
        ({"tickets_url": "http://x"}, "smartbox.tickets_url: must be an https:// URL"),
        ({"client_secret_file": "/nowhere/secret"}, "client_secret_file: /nowhere/secret cannot"),
        ({"ca_file": "/nowhere/ca.pem"}, "smartbox.ca_file: /nowhere/ca.pem cannot be used"),
        ({"certificate_file": "/nowhere/c.pem"}, "/nowhere/c.pem: No such file"),
        ({"coap_host": "192.0.2.1"}, "smartbox.coap_host, smartbox.coap_port: 192.0.2.1:0 cannot"),
        ({"data_directory": "/proc/none"}, "/proc/none: No such file"),
        ({"weighbridges": []}, "smartbox.weighbridges: "),
        ({"surprise": 1}, "smartbox.surprise: "),
    ],
)
async def test_a_bad_configuration_is_named(
    stage: Stage, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """The setting's name and what is wrong, before the SmartBox says that it is ready."""
    values = stage.settings(tmp_path / "data", "https://localhost:1") | change
    path = tmp_path / "smartbox.toml"
    path.write_text(to_toml("smartbox", values))
    ready: list[Ready] = []
    with pytest.raises(Problem) as caught:
        await SmartBox(SmartBoxSettings.load(path)).run(ready.append)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ready == []


def test_a_bad_configuration_is_one_line(stage: Stage, tmp_path: Path) -> None:
    """No traceback, no secret; exit status 1."""
    values = stage.settings(tmp_path / "data", "https://localhost:1", tickets_url="http://x")
    path = tmp_path / "smartbox.toml"
    path.write_text(to_toml("smartbox", values))
    done = command("smartbox", "run", "--config", path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("steelyard: smartbox.tickets_url: must be an https:// URL")
    assert "correct-horse" not in done.stderr


def bridge(**changes: Any) -> dict[str, Any]:
    good = {
        "name": "wb-1",
        "scale_serial": "W1",
        "scale_interval_grams": 20_000,
        "max_capacity_grams": 60_000_000,
        "cells": [{"serial": "C1"}],
    }
    return good | changes


@pytest.mark.parametrize(
    ("weighbridges", "message"),
    [
        ([bridge(), bridge(scale_serial="W2")], "the weighbridge wb-1 stands more than once"),
        ([bridge(), bridge(name="wb-2")], "the load cell C1 stands more than once"),
        ([bridge(scale_interval_grams=30)], "must be 1, 2 or 5 times a power of ten"),
        ([bridge(scale_interval_grams=0)], "scale_interval_grams: "),
        ([bridge(cells=[{"serial": "C1", "span": 0}])], "cells.0.span: "),
        ([bridge(cells=[{"serial": "C1", "zero": "nan"}])], "cells.0.zero: "),
        ([bridge(cells=[])], "weighbridges.0.cells: "),
        ([bridge(max_capacity_grams=-1)], "max_capacity_grams: "),
    ],
)
def test_a_bad_weighbridge_is_named(
    stage: Stage, tmp_path: Path, weighbridges: list[dict[str, Any]], message: str
) -> None:
    """Down to the field of the cell."""
    values = stage.settings(tmp_path, "https://localhost:1") | {"weighbridges": weighbridges}
    path = tmp_path / "smartbox.toml"
    path.write_text(to_toml("smartbox", values))
    with pytest.raises(ConfigurationError, match="smartbox") as caught:
        SmartBoxSettings.load(path)
    assert message in caught.value.detail


def test_factors_are_read_as_they_are_written(stage: Stage, tmp_path: Path) -> None:
    """A TOML number and a text give the same decimal: no binary fraction slips in."""
    cells = [{"serial": "C1", "span": 1.0001, "zero": 0.1}, {"serial": "C2", "span": "1.0001"}]
    values = stage.settings(tmp_path, "https://localhost:1")
    path = tmp_path / "smartbox.toml"
    path.write_text(to_toml("smartbox", values | {"weighbridges": [bridge(cells=cells)]}))
    one, two = SmartBoxSettings.load(path).weighbridges[0].cells
    assert str(one.span) == str(two.span) == "1.0001"
    assert str(one.zero) == "0.1"


def test_a_refusal_with_half_a_character_is_printed(stage: Stage, tmp_path: Path) -> None:
    """What the platform wrote comes back out as JSON, whatever it was."""
    path, data = tmp_path / "smartbox.toml", tmp_path / "data"
    path.write_text(to_toml("smartbox", stage.settings(data, "https://localhost:1")))
    storage = Storage.open(data, "station-1")
    weighing = plan(1)[0]
    joined = Joined(
        Moment(weighing.bridge, weighing.time), (Sample("C", weighing.time, 0, Decimal(1)),)
    )
    ticket_id = storage.record(joined, expected_ticket(weighing))
    problem = {"status": 422, "title": "n\ud800\u00fc"}
    storage.outbox.settle((), [(ticket_id, problem)])
    storage.close()
    done = command("smartbox", "refused", "--config", path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problem"] == problem
    assert "n\\ud800\u00fc" in done.stdout


def test_a_bad_loadcell_configuration_is_one_line(tmp_path: Path) -> None:
    """From the environment as from the file."""
    done = command("loadcell", "run", STEELYARD_LOADCELL_INTERVAL_SECONDS="-1")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "from the environment variable STEELYARD_LOADCELL_INTERVAL_SECONDS" in done.stderr
    assert "loadcell.serial" in done.stderr


def test_split_writes_what_the_experiment_needs(tmp_path: Path) -> None:
    """One line a station, one a cell; a bad file is one line."""
    source = Path(__file__).parent.parent.parent / "data" / "weighings-600.csv"
    done = command("smartbox", "split", source, tmp_path / "out")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 18
    assert len(list((tmp_path / "out").rglob("*.csv"))) == 18
    (tmp_path / "bad.csv").write_text("station\n")
    bad = command("smartbox", "split", tmp_path / "bad.csv", tmp_path / "out2")
    assert (bad.returncode, bad.stderr.count("\n")) == (1, 1)
    assert "column weighbridge: is missing" in bad.stderr
