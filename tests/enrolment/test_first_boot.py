"""From a card that was flashed to an enrolled SmartBox, against a real management API."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import flash_kit
from enrolment_kit import Field
from infra.flash.errors import FlashRefused
from infra.flash.orders import Order
from infra.flash.service import flash
from registry_world import write_certificate
from station_kit import PowerCut, StationMachine, power_cut_at
from steelyard.smartbox.settings import SmartBoxSettings, WeighingSettings
from steelyard.station.card import Card, read_card
from steelyard.station.first_boot import FirstBoot
from steelyard.station.state import Phase, State
from steelyard.station.told import Told

STATION = "station-a"
STEELYARD = str(Path(sys.executable).parent / "steelyard")


def copy_boot_partition(device: Path, machine: StationMachine) -> None:
    """What the mounted boot partition would hold."""
    words = ["mcopy", "-n", "-i", f"{device}@@{flash_kit.BOOT_START}", "::steelyard/*"]
    subprocess.run([*words, machine.places.card], check=True)


def make_order(field: Field, tmp_path: Path, **more: Any) -> Order:
    flash_kit.need_programs()
    made = flash_kit.make_image(tmp_path)
    device = flash_kit.make_device(tmp_path / "card.img")
    settings = {"platform_url": field.api.url, "time_zone": "Europe/Lisbon"}
    words = flash_kit.order(made, device, field.ca_file, settings=settings, **more)
    return Order.model_validate(words | {"station": STATION})


async def flash_for(field: Field, tmp_path: Path, **more: Any) -> StationMachine:
    """Flash a card, and put it into a machine."""
    order = make_order(field, tmp_path, **more)
    await asyncio.to_thread(flash, order, lambda *_: None)
    machine = StationMachine(tmp_path / "machine")
    copy_boot_partition(order.device, machine)
    return machine


async def ask(session: aiohttp.ClientSession, port: int) -> dict[str, Any] | None:
    try:
        async with session.get(f"http://127.0.0.1:{port}/state.json") as answer:
            found: dict[str, Any] | None = await answer.json()
            return found
    except aiohttp.ClientError:
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def wait_for_phase(
    session: aiohttp.ClientSession, port: int, phases: tuple[str, ...]
) -> dict[str, Any]:
    """The state once it is one of these; pytest's own time limit ends what never comes."""
    while True:
        told = await ask(session, port)
        if told is not None and told["state"]["phase"] in phases:
            return told
        await asyncio.sleep(0.05)


async def call(machine: StationMachine, *words: str, **changes: str) -> tuple[int, str]:
    """A command as its unit calls it; exit status, and what it says."""
    process = await asyncio.create_subprocess_exec(
        STEELYARD,
        "station",
        *words,
        env=os.environ | machine.environment() | changes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_flashed_card_becomes_an_enrolled_smartbox(field: Field, tmp_path: Path) -> None:
    """With a claim code that the platform was asked for; nothing secret is left on the card."""
    token = flash_kit.secret_file(tmp_path / "token", field.admin)
    box = await field.api.call("GET", f"/v1/devices/{field.world.ids['box_a']}", field.admin)
    platform = {"token_file": str(token), "device": box.json["id"]}
    machine = await flash_for(field, tmp_path, claim_from_platform=platform)
    card = read_card((machine.places.card / "station.json").read_bytes())
    assert card.claim is not None
    # As root's unit calls it, but for the machine's own name.
    assert machine.prepare().faults == []
    code, said = await call(machine, "first-boot")
    assert code == 0, said
    assert card.claim not in said
    assert '"phase": "enrolled"' in said
    code, said = await call(machine, "status")
    assert code == 0
    assert "enrolled: the SmartBox of station-a is enrolled, and starts" in said
    settings = SmartBoxSettings.load(machine.places.enrolment / "smartbox.toml")
    assert settings.terminal_serial == box.json["serial"]
    assert settings.display_time_zone == "Europe/Lisbon"
    assert settings.data_directory == machine.places.smartbox_data
    assert settings.enrolled
    assert (await call(machine, "finish"))[0] == 0
    left = machine.on_boot()
    assert set(left) == {"ca.pem", "station-taken.txt"}
    assert not any(
        card.claim.encode() in path.read_bytes()
        for path in machine.directory.rglob("*")
        if path.is_file()
    )
    # The next boot has nothing to do.
    assert machine.reboot().faults == []
    assert (await call(machine, "first-boot"))[0] == 0


async def test_it_waits_for_the_platform_and_goes_on(field: Field, tmp_path: Path) -> None:
    """The page shows the state meanwhile; after a SIGTERM it begins again as if nothing was."""
    machine = StationMachine(tmp_path / "machine")
    claim = await field.claim("box_a")
    port, platform_port = free_port(), free_port()
    url = f"https://127.0.0.1:{platform_port}"
    card = Card(version=1, station=STATION, host_name="n", platform_url=url, claim=claim.shown())
    machine.write_card(card, field.ca_file.read_bytes())
    machine.prepare()
    environment = os.environ | machine.environment() | {"STEELYARD_STATION_PAGE_PORT": str(port)}
    words = (STEELYARD, "station", "first-boot")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=quiet)
    async with aiohttp.ClientSession() as session:
        waits = ("platform-unreached", "waiting-for-network")
        told = await wait_for_phase(session, port, waits)
        assert told["claim"] == claim.locator
        assert claim.secret not in json.dumps(told)
        process.terminate()
        assert await process.wait() == os.EX_TEMPFAIL
        process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=quiet)
        await wait_for_phase(session, port, waits)
        server = await asyncio.start_server(relay_to(field.api.url), "127.0.0.1", platform_port)
        async with server:
            assert await process.wait() == 0
    assert machine.places.is_enrolled()


def relay_to(url: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Hands a connection on, both ways: the platform has come back."""
    port = int(url.rpartition(":")[2])

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            writer.write(part)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True
        )

    return serve


async def first_boot(field: Field, directory: Path, **changes: Any) -> tuple[FirstBoot, State]:
    """A first boot in this process, and how its first attempt ended."""
    machine = StationMachine(directory)
    words = {"version": 1, "station": STATION, "host_name": "n", "platform_url": field.api.url}
    authority = changes.pop("authority", field.ca_file.read_bytes())
    card = Card.model_validate(words | changes)
    told = Told(device_code="0000-0000", card=card, authority=authority.decode())
    boot = FirstBoot(machine.places, told, "n")
    return boot, await boot.attempt()


async def test_the_power_may_go_at_any_step_of_the_enrolment(
    field: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code is good for the same key, and the directory is whole or not there."""
    # Nobody clears away after a power cut: what is temporary belongs to the test as well.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (await field.claim("box_a")).shown()
    machine = StationMachine(tmp_path / "machine")
    cuts = 0
    while True:
        cuts += 1
        try:
            with power_cut_at(cuts):
                _, state = await first_boot(field, machine.directory, claim=code)
        except PowerCut:
            into = machine.places.enrolment
            assert not into.exists() or (into / "smartbox.toml").exists()
            continue
        break
    assert state.phase is Phase.ENROLLED
    assert cuts > 10
    SmartBoxSettings.load(machine.places.enrolment / "smartbox.toml")


async def test_a_code_that_was_used_is_refused(field: Field, tmp_path: Path) -> None:
    """One clear sentence; another code helps."""
    code = (await field.claim("box_a")).shown()
    _, state = await first_boot(field, tmp_path / "one", claim=code)
    assert state.phase is Phase.ENROLLED
    _, state = await first_boot(field, tmp_path / "two", claim=code)
    assert state.phase is Phase.REFUSED
    assert state.sentence.startswith("the platform refuses the claim: the management API answers")
    _, state = await first_boot(field, tmp_path / "two", claim=(await field.claim("box_a")).shown())
    assert state.phase is Phase.ENROLLED


async def test_a_code_of_a_load_cell_is_refused(field: Field, tmp_path: Path) -> None:
    """The sentence says for what it is."""
    _, state = await first_boot(
        field, tmp_path / "one", claim=(await field.claim("cell_a")).shown()
    )
    assert state.phase is Phase.REFUSED
    assert "the code is for the loadcell" in state.sentence


async def test_a_code_of_another_station_is_refused(field: Field, tmp_path: Path) -> None:
    """Two cards' codes were mixed up: no ticket goes out in the other station's name."""
    code = (await field.claim("box_a")).shown()
    boot, state = await first_boot(field, tmp_path / "one", claim=code, station="station-b")
    assert state.phase is Phase.REFUSED
    assert "the code is for the station station-a, not station-b" in state.sentence
    assert not boot.places.is_enrolled()


async def test_a_card_says_how_the_station_weighs(field: Field, tmp_path: Path) -> None:
    """By a cycle, whose tickets have the SmartBox's time, and wait until that is known."""
    code = (await field.claim("box_a")).shown()
    wrong = (
        ({"wb-2": {}}, "weighing.wb-2: the station has no such weighbridge; it has wb-1"),
        ({"wb-1": {"mode": "manual"}}, "station.json: weighing.wb-1.mode: Input should be"),
        ({"wb-1": {"moed": "operator"}}, "station.json: weighing.wb-1.moed: is not known here"),
        ({"wb-1": {"calibration_file": "a\nb"}}, "calibration_file: must be printable"),
        ({"wb-1": {"ranges": [[90_000_000, 10_000]]}}, "weighing.wb-1: smartbox.weighbridges.0"),
    )
    for weighing, sentence in wrong:
        boot, state = await first_boot(field, tmp_path / "one", claim=code, weighing=weighing)
        assert state.phase is Phase.CARD_WRONG, state
        assert sentence in state.sentence
        assert not boot.places.is_enrolled()
    weighing = {"wb-1": {"mode": "operator", "ranges": [[30_000_000, 10_000]], "hold_seconds": 3}}
    boot, state = await first_boot(field, tmp_path / "one", claim=code, weighing=weighing)
    assert state.phase is Phase.ENROLLED
    settings = SmartBoxSettings.load(boot.places.enrolment / "smartbox.toml")
    assert settings.weighbridges[0].weighing == WeighingSettings(
        mode="operator", ranges=((30_000_000, 10_000),), hold_seconds=3.0
    )


async def test_an_authority_may_have_words_around_it(field: Field, tmp_path: Path) -> None:
    """As OpenSSL writes them, in whichever encoding."""
    machine = StationMachine(tmp_path / "machine")
    code = (await field.claim("box_a")).shown()
    card = Card(version=1, station=STATION, host_name="n", platform_url=field.api.url, claim=code)
    certificate = field.ca_file.read_bytes()
    words = "# Autoridade de Certificação\n"
    machine.write_card(card, words.encode("latin-1") + words.encode() + certificate)
    done = machine.prepare()
    assert done.faults == []
    state = await FirstBoot(machine.places, done.told, "n").attempt()
    assert state.phase is Phase.ENROLLED, state


async def test_a_wrong_authority_is_told(field: Field, tmp_path: Path) -> None:
    """And the code was not shown to whoever answers: it is good afterwards."""
    code = (await field.claim("box_a")).shown()
    foreign = write_certificate(tmp_path, "foreign")[0].read_bytes()
    _, state = await first_boot(field, tmp_path / "one", claim=code, authority=foreign)
    assert state.phase is Phase.UNTRUSTED
    assert "certificate does not hold" in state.sentence
    assert "Is ca.pem on the card the platform's authority?" in state.remedy
    _, state = await first_boot(field, tmp_path / "one", claim=code, authority=b"rubbish")
    assert (state.phase, state.sentence) == (Phase.CARD_WRONG, "ca.pem is no authority in PEM")
    _, state = await first_boot(field, tmp_path / "one", claim=code)
    assert state.phase is Phase.ENROLLED


async def test_a_proxy_is_on_the_way(field: Field, tmp_path: Path) -> None:
    """It is asked by CONNECT, and stands in the SmartBox's settings."""
    asked: list[str] = []
    relay = relay_to(field.api.url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await relay(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        boot, state = await first_boot(
            field,
            tmp_path / "one",
            claim=(await field.claim("box_a")).shown(),
            network={"proxy": proxy},
        )
    assert state.phase is Phase.ENROLLED
    assert asked == [f"CONNECT {field.api.url.removeprefix('https://')} HTTP/1.1"]
    settings = SmartBoxSettings.load(boot.places.enrolment / "smartbox.toml")
    assert settings.proxy_url == proxy


async def test_the_smartbox_of_a_station_is_found_for_its_claim(
    field: Field, tmp_path: Path
) -> None:
    """By the station's name; a name that the platform does not know, or a token, is told."""
    token = flash_kit.secret_file(tmp_path / "token", field.admin)
    name = (
        await field.api.call("GET", f"/v1/stations/{field.world.ids['station_a']}", field.admin)
    ).json["name"]
    order = make_order(field, tmp_path, claim_from_platform={"token_file": str(token)})
    done = await asyncio.to_thread(
        flash, order.model_copy(update={"station": name}), lambda *_: None
    )
    assert done.has_claim
    with pytest.raises(FlashRefused, match="the platform knows 0 stations of this name"):
        await asyncio.to_thread(
            flash, order.model_copy(update={"station": "nowhere"}), lambda *_: None
        )
    token.write_text("rubbish\n")
    with pytest.raises(FlashRefused, match="answers 401"):
        await asyncio.to_thread(flash, order, lambda *_: None)
