"""playbooks/flash.yml as its user runs it: with and without a terminal."""

import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import flash_kit
from flash_kit import make_device
from plays import PLAYBOOK, ROOT, run_checkout, user_environment
from registry_world import write_certificate
from steelyard.station.card import read_card

CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ"
PHRASE = "a phrase of the yard"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An inventory's variables with two stations."""
    flash_kit.need_programs()
    directory = tmp_path_factory.mktemp("flash")
    made = flash_kit.make_image(directory)
    for name in ("north", "south"):
        flash_kit.secret_file(directory / f"{name}.claim", CODE)
    wifi = flash_kit.secret_file(directory / "wifi", PHRASE)
    network = {"wifi": {"ssid": "Yard", "country": "PT", "passphrase_file": str(wifi)}}
    told = {
        "flash_image": str(made.path),
        "flash_public_key": str(made.public_key),
        "flash_ca_file": str(write_certificate(directory)[0]),
        "flash_claims_directory": str(directory),
        "flash_common": {"platform_url": "https://platform.example", "network": network},
        "flash_stations": {
            "north": {"host_name": "north-box"},
            "south": {"host_name": "south-box"},
        },
    }
    path = directory / "vars.json"
    path.write_text(json.dumps(told))
    return ["playbooks/flash.yml", "-e", f"@{path}"]


def is_asking(terminal: int) -> bool:
    """Whether the program reads key by key."""
    return not termios.tcgetattr(terminal)[3] & termios.ICANON


def type_answer(terminal: int, text: str) -> None:
    """Type once the question waits for it: what comes earlier is thrown away, so it is repeated."""
    for _ in range(600):
        if is_asking(terminal):
            os.write(terminal, f"{text}\r".encode())
            for _ in range(50):
                time.sleep(0.1)
                if not is_asking(terminal):
                    return
        time.sleep(0.1)


def play_at_a_terminal(
    words: list[str], answers: list[tuple[str, str, Callable[[], None]]]
) -> tuple[int, str]:
    """A run at which somebody does something and types, each time a question has come."""
    own, its = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", PLAYBOOK, *words],
        cwd=ROOT,
        env=user_environment(),
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    said, place = "", 0
    while True:
        ready, _, _ = select.select([own], [], [], 120)
        try:
            part = os.read(own, 65536) if ready else b""
        except OSError:  # its other end is closed
            part = b""
        if not part:
            break
        said += part.decode(errors="replace")
        if answers and (found := re.search(answers[0][0], said[place:])):
            place += found.end()
            _, text, action = answers.pop(0)
            action()
            type_answer(own, text)
    os.close(own)
    return process.wait(), said


def station_on(device: Path) -> str:
    return read_card(flash_kit.read_boot(device, "station.json")).host_name


def test_without_a_terminal_a_yes_is_wanted(words: list[str], tmp_path: Path) -> None:
    """It is asked for by the device's name; so are stations that are not there."""
    card = make_device(tmp_path / "card.img")
    before = card.read_bytes()
    code, said = run_checkout(*words, "-e", "station=north", "-e", f"device={card}")
    assert code != 0
    assert f"Nothing was erased: there was no yes for {card}" in said
    code, said = run_checkout(*words, "-e", "station=west", "-e", f"device={card}")
    assert code != 0
    assert "west is no station of this inventory: flash_stations has north, south" in said
    assert card.read_bytes() == before


def test_many_cards_at_once(words: list[str], tmp_path: Path) -> None:
    """Each gets its own station; progress is shown, and no secret, however much is told."""
    cards = {name: make_device(tmp_path / f"{name}.img") for name in ("north", "south")}
    devices = json.dumps({"devices": {name: str(path) for name, path in cards.items()}})
    confirmed = ",".join(str(path) for path in cards.values())
    code, said = run_checkout(*words, "-vvv", "-e", devices, "-e", f"flash_confirmed={confirmed}")
    assert code == 0, said
    assert {name: station_on(path) for name, path in cards.items()} == {
        "north": "north-box",
        "south": "south-box",
    }
    for step in ("check", "write", "verify", "settings"):
        assert f"north: {step} 100 %" in said
    assert PHRASE not in said
    assert CODE not in said
    assert "without a claim code" not in said


def test_a_card_without_a_claim_code_is_said_to_be_one(words: list[str], tmp_path: Path) -> None:
    """Before anything is asked or erased, and by --check as well."""
    card = make_device(tmp_path / "card.img")
    own = ("-e", "flash_claims_directory=", "-e", "station=north", "-e", f"device={card}")
    code, said = run_checkout(*words, *own, "--check")
    assert code == 0, said
    assert "north: without a claim code. Name claim_file" in said


def test_one_device_under_two_names_is_refused(words: list[str], tmp_path: Path) -> None:
    """The second station would be written over the first."""
    card = make_device(tmp_path / "card.img")
    link = tmp_path / "another.img"
    link.symlink_to(card)
    before = card.read_bytes()
    devices = json.dumps({"devices": {"north": str(card), "south": str(link)}})
    code, said = run_checkout(*words, "-e", devices, "-e", f"flash_confirmed={card},{link}")
    assert code != 0
    told = f"another device for each station: north has {card}, south has {card}"
    assert told in " ".join(said.split()), said
    assert card.read_bytes() == before


def test_one_card_after_another_in_one_reader(words: list[str], tmp_path: Path) -> None:
    """It asks for each card, and before each is erased."""
    reader = make_device(tmp_path / "reader.img")
    first = tmp_path / "north.img"

    def change_cards() -> None:
        reader.rename(first)
        make_device(reader)

    code, said = play_at_a_terminal(
        [*words, "-e", "stations=all", "-e", f"device={reader}"],
        [
            (r"Put the card of north into .*then type north", "north", lambda: None),
            (r"station north: .*\n.*Type yes to go on", "yes", lambda: None),
            (r"Put the card of south into .*then type south", "south", change_cards),
            (r"station south: .*\n.*Type yes to go on", "yes", lambda: None),
        ],
    )
    assert code == 0, said
    assert (station_on(first), station_on(reader)) == ("north-box", "south-box")
    assert "24.1 MB, file; on it: no partitions" in said


def test_a_no_is_a_no(words: list[str], tmp_path: Path) -> None:
    """Whatever is typed that is not yes."""
    card = make_device(tmp_path / "card.img")
    before = card.read_bytes()
    code, said = play_at_a_terminal(
        [*words, "-e", "station=north", "-e", f"device={card}"],
        [(r"will be ERASED:\s+station north: .*\n.*Type yes to go on", "y", lambda: None)],
    )
    assert code != 0
    assert "Nothing was erased" in said
    assert card.read_bytes() == before
