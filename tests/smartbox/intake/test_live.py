"""A stream of samples of four cells becomes tickets in the real SmartBox."""

import asyncio
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import cbor2
import pytest
import tomli_w
from aiocoap import POST, Message
from aiocoap.numbers.codes import Code
from live_kit import CELLS, KILOGRAMS, Running, live_settings
from smartbox_kit import FakePlatform, Stage, until
from weighing_kit import certificate_of, observe

from steelyard.loadcell.communicator import Communicator
from steelyard.loadcell.physics import Platform, Traffic, nature_of
from steelyard.loadcell.position import Position
from steelyard.loadcell.sender import CoapSender, open_client
from steelyard.loadcell.sources import now_ms
from steelyard.smartbox.service import Ready, SmartBox
from steelyard.smartbox.weighing.calibration import (
    make_content,
    read_calibration,
    write_calibration,
)
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.errors import CalibrationRefused
from steelyard.smartbox.weighing.solver import read_observations, solve


@pytest.fixture
async def running(stage: Stage, platform: FakePlatform, tmp_path: Path) -> Any:
    """A SmartBox with a world, to be started; stopped with the test."""
    one = Running(stage, platform, tmp_path)
    yield one
    if not one.running.done():
        await one.stop()


async def test_a_load_on_the_bridge_becomes_one_ticket(running: Running) -> None:
    """Cells' samples over DTLS, zero, stable, ticket, at the platform; the next load, the next."""
    await running.start()
    await running.shows(state="zero", step="empty")
    running.world.load(*KILOGRAMS)
    await until(lambda: len(running.platform.tickets) == 1)
    (ticket,) = running.platform.tickets.values()
    assert (ticket.gross, ticket.tare, ticket.net) == (30_000_000, 0, 30_000_000)
    assert [(cell.serial, round(cell.weight / 1e6)) for cell in ticket.cells] == [
        (cell, own // 1000) for cell, own in zip(CELLS, KILOGRAMS, strict=True)
    ]
    assert (ticket.status, ticket.vehicle) == ("ok", None)
    running.world.load(0, 0, 0, 0)
    await running.shows(step="empty", state="zero")
    running.world.load(1_000, 1_000, 1_000, 1_000)
    await until(lambda: len(running.platform.tickets) == 2)
    assert sorted(t.gross for t in running.platform.tickets.values()) == [4_000_000, 30_000_000]
    record = running.records()[0]
    assert record["ticket"]["ticketID"] == ticket.id
    assert [sample[0] for sample in record["samples"]] == list(CELLS)
    assert record["weighing"]["calibration"] is None


async def test_the_operator_weighs_a_truck_in_two_passes(running: Running) -> None:
    """Empty first, then full, joined by the vehicle; between them the SmartBox starts anew."""
    await running.start(mode="operator", passes=2)
    await running.shows(state="zero")
    status, problem = await running.press("ticket")
    assert (status, problem["detail"]) == (409, "the bridge is empty")
    running.world.load(3_000, 3_000, 3_000, 3_000)
    await running.shows(step="stable", gross=12_000_000)
    assert (await running.press("vehicle", vehicle="AA-00-bb"))[0] == 200
    assert (await running.press("ticket"))[0] == 200
    await until(lambda: len(running.platform.tickets) == 1)
    running.world.load(0, 0, 0, 0)
    await running.shows(step="empty", vehicle=None)
    await running.stop()

    await running.start(mode="operator", passes=2)
    await running.shows(state="zero")
    running.world.load(9_000, 9_000, 9_000, 9_000)
    await running.press("vehicle", vehicle="aa 00 BB")
    await running.shows(step="stable", gross=36_000_000)
    await running.press("ticket")
    await until(lambda: len(running.platform.tickets) == 2)
    first, second = sorted(running.platform.tickets.values(), key=lambda one: one.timestamp)
    assert (first.gross, first.tare, first.net) == (12_000_000, 0, 12_000_000)
    assert (second.gross, second.tare, second.net) == (36_000_000, 12_000_000, 24_000_000)
    assert (first.vehicle, second.vehicle) == ("AA-00-bb", "aa 00 BB")
    notes = [record["weighing"] for record in running.records()]
    assert [note["pass"] for note in notes] == ["first", "second"]
    assert notes[1]["first_ticket"] == first.id


async def test_a_cell_that_falls_silent_stops_the_bridge_and_is_named(running: Running) -> None:
    """An alarm, no ticket; when it speaks again the load settles anew and has its ticket."""
    await running.start(silence_seconds=2.0)
    await running.shows(state="zero")
    running.world.silent.add("C13")
    scale = await running.shows(state="fault")
    assert scale["faults"] == {"C13": "silent"}
    assert scale["reason"] == "cell C13 has sent nothing for too long"
    async with running.session.get(running.url) as answer:
        alarms = (await answer.json())["alarms"]
    assert [alarm["name"] for alarm in alarms] == ["cell-fault:wb-1"]
    running.world.load(*KILOGRAMS)
    status, problem = await running.press("ticket")
    assert (status, problem["detail"]) == (409, scale["reason"])
    assert running.platform.tickets == {}
    running.world.silent.clear()
    await until(lambda: len(running.platform.tickets) == 1)
    (ticket,) = running.platform.tickets.values()
    assert (ticket.gross, ticket.status) == (30_000_000, "ok")


async def test_a_degraded_bridge_marks_its_tickets(running: Running) -> None:
    """With a lost cell, where the settings allow it."""
    await running.start(silence_seconds=2.0, degraded=True)
    await running.shows(state="zero")
    running.world.silent.add("C13")
    await running.shows(degraded=True)
    running.world.load(8_000, 6_000, 9_000, 7_000)
    await until(lambda: len(running.platform.tickets) == 1)
    (ticket,) = running.platform.tickets.values()
    # A plane through the others: 8 t + 7 t - 6 t.
    assert (ticket.gross, ticket.status) == (30_000_000, "degraded")
    assert [cell for cell, *_ in running.records()[0]["samples"]] == ["C11", "C12", "C14"]


async def test_the_ticket_s_record_names_the_calibration(
    running: Running, stage: Stage, tmp_path: Path
) -> None:
    """Its version and digest; an edited file stops the start with one sentence."""
    path = tmp_path / "wb-1.json"
    settings = live_settings(stage, tmp_path / "data", "https://x", calibration_file=path)
    bridge = settings.weighbridges[0]
    factors = (CellFactors(zero=1_000.0, span=2.0),) * 4
    content = make_content(settings, bridge, factors, (), version=5, made=1)
    write_calibration(path, content, settings)
    await running.start(calibration_file=path)
    await running.shows(state="zero", calibration=read_calibration(path, settings, bridge).mark())
    running.world.load(*KILOGRAMS)
    await until(lambda: len(running.platform.tickets) == 1)
    (ticket,) = running.platform.tickets.values()
    assert ticket.gross == 60_000_000
    assert running.records()[0]["weighing"]["calibration"]["version"] == 5
    await running.stop()
    path.write_text(path.read_text().replace('"span": 2.0', '"span": 2.1'))
    with pytest.raises(CalibrationRefused, match="was changed after it was signed"):
        SmartBox(live_settings(stage, tmp_path / "data", "https://x", calibration_file=path))


@pytest.mark.parametrize(
    ("action", "body", "status", "detail"),
    [
        ("dance", {}, 422, "the action must be one of zero, tare, clear-tare, vehicle, ticket"),
        ("zero", {"grams": 1}, 422, "the body of zero may have: load"),
        ("tare", {"grams": 7}, 409, "a preset tare must be a multiple of 20 kg"),
        ("tare", {"grams": "x"}, 422, "grams: must be an integer"),
        ("vehicle", {"vehicle": " x"}, 422, "vehicle: must be visible characters"),
        ("vehicle", {"vehicle": 1}, 422, "vehicle: must be a text"),
        ("tare", {}, 409, "a tare must be above 0"),
    ],
)
async def test_a_wrong_wish_is_answered_with_what_is_allowed(
    running: Running, action: str, body: dict[str, Any], status: int, detail: str
) -> None:
    """One clear sentence; nothing changes."""
    await running.start()
    await running.shows(state="zero")
    answered, problem = await running.press(action, **body)
    assert (answered, problem["detail"][: len(detail)]) == (status, detail)


async def test_a_page_that_an_operator_visits_presses_no_button(running: Running) -> None:
    """A foreign host name, and a form's type, are refused; an unknown weighbridge too."""
    await running.start()
    url = f"{running.url}weighbridges/wb-1/zero"
    async with running.session.post(url, data=b"{}") as answer:
        assert answer.status == 422
    headers = {"Host": "evil.example", "Content-Type": "application/json"}
    async with running.session.post(url, data=b"{}", headers=headers) as answer:
        assert answer.status == 403
    async with running.session.post(f"{running.url}weighbridges/wb-2/zero", json={}) as answer:
        assert answer.status == 404
        assert "the weighbridges that weigh by a cycle are: wb-1" in (await answer.text())


async def test_the_commands_operate_and_record(running: Running, tmp_path: Path) -> None:
    """`smartbox operate` presses buttons, `calibrate record` adds a row of raw values."""
    await running.start(mode="operator")
    values = running.stage.settings(tmp_path / "data", running.platform.url)
    values["weighbridges"][0]["weighing"] = {"mode": "operator"}
    config = tmp_path / "steelyard.toml"
    config.write_text(tomli_w.dumps({"smartbox": values}))

    async def command(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from steelyard.cli import main; main()",
            "smartbox",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return out.decode()

    await running.shows(state="zero")
    running.world.load(*KILOGRAMS)
    await running.shows(step="stable", gross=30_000_000)
    where = ("--config", str(config))
    said = await command("operate", *where, "wb-1", "tare", "--grams", "10000000")
    assert json.loads(said)["net"] == 20_000_000
    said = await command("operate", *where, "wb-1", "tare", "--grams", "7")
    assert said.startswith("Error: a preset tare must be a multiple of 20 kg")
    recorded = tmp_path / "loads.csv"
    known = ("--weighbridge", "wb-1", "--place", "middle", "--load-kg", "30000", "--count", "3")
    await command("calibrate", "record", *where, *known, str(recorded))
    (row,) = read_observations(recorded, CELLS)
    assert (row.place, row.load, row.celsius) == ("middle", 30_000.0, 20.0)
    assert row.raw == pytest.approx([1_000 + own for own in KILOGRAMS], abs=1)


@pytest.mark.slow
async def test_simulated_trucks_end_as_tickets_within_the_permissible_error(
    stage: Stage, platform: FakePlatform, tmp_path: Path
) -> None:
    """The cells' own communicators, calibrated bridge, DTLS, SmartBox, platform: one truck."""
    natures = [nature_of(3, cell) for cell in CELLS]
    path = tmp_path / "wb-1.json"
    settings = live_settings(stage, tmp_path / "data", platform.url, calibration_file=path)
    bridge = settings.weighbridges[0]
    rows = observe(Platform(), natures, random.Random(1))  # noqa: S311 - a simulation
    solution = solve(rows, [certificate_of(nature) for nature in natures], bridge.scale())
    content = make_content(settings, bridge, solution.factors, solution.loads, version=1, made=1)
    write_calibration(path, content, settings)
    box = SmartBox(settings)
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(box.run(ready.set_result))
    port = (await ready).coap_port

    async def cell(number: int) -> None:
        config = stage.cell(
            CELLS[number],
            port,
            tmp_path,
            source="truck",
            simulated_seed=3,
            simulated_cell=number,
            interval_seconds=0.05,
        )
        client = await open_client(config)
        position = Position(config.position_file)
        sender = CoapSender(client, config)
        try:
            await Communicator(config, sender, position, lambda *_, **__: None).run()
        finally:
            await client.shutdown()
            position.close()

    cells = [asyncio.create_task(cell(number)) for number in range(4)]
    await until(lambda: bool(platform.tickets), 150)
    for task in cells:
        task.cancel()
    await asyncio.gather(*cells, return_exceptions=True)
    box.stop()
    await running
    (ticket,) = platform.tickets.values()
    truck = Traffic(3, Platform()).truck(ticket.timestamp // 60_000)
    allowed = bridge.scale().permissible_error(truck.kilograms * 1000)
    # What is printed is rounded: half an interval more.
    assert abs(ticket.gross - truck.kilograms * 1000) <= allowed + 10_000


async def test_values_that_are_no_weight_are_refused_at_the_door(
    running: Running, tmp_path: Path
) -> None:
    """NaN, infinity and beyond the limit: 4.00 each; the bridge hears nothing of them."""
    await running.start()
    await running.shows(state="zero")
    config = running.stage.cell("C11", running.port, tmp_path)
    client = await open_client(config)
    for value in (math.nan, math.inf, 2e7, "x"):
        payload = cbor2.dumps([{-3: now_ms() / 1000, -4: "kg", 2: value}])
        message = Message(
            code=POST,
            uri=f"coaps://127.0.0.1:{running.port}/weight?sequence=99999999",
            payload=payload,
            content_format=112,
        )
        answer = await client.request(message, handle_blockwise=False).response
        assert answer.code is Code.BAD_REQUEST
    await client.shutdown()
    assert (await running.scale())["faults"] == {}
