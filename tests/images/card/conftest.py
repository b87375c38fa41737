"""A built image: unpacked, and as a card in an emulated board.

`make test-image` builds it. STEELYARD_IMAGE is the directory of a build's outputs.
"""

import os
import subprocess
from pathlib import Path

import pytest

from board_card import HOST, flash_card
from infra.images.build import BOARD
from infra.images.card import Layout
from infra.images.definition import read_definition
from infra.images.emulator import Emulator, why_not_here
from steelyard.pki.authority import Authority

VARIABLE = "STEELYARD_IMAGE"


def pytest_collection_modifyitems(items):
    """Everything here is of the long run; a start under emulation takes minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.image)
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def built() -> Path:
    """The directory of the outputs."""
    told = os.environ.get(VARIABLE)
    if not told:
        pytest.skip(f"needs a built image: {VARIABLE} (make test-image)")
    return Path(told).resolve()


@pytest.fixture(scope="session")
def image(built) -> Path:
    """The image itself."""
    return next(built.glob("steelyard-station-*.img"))


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Of the definition."""
    card = read_definition().card
    return Layout(card.boot, card.root, card.data)


@pytest.fixture(scope="session")
def board_name() -> str:
    """For whom updates are."""
    return BOARD


@pytest.fixture(scope="session")
def unpacked(image, layout, tmp_path_factory) -> Path:
    """The root as it is in the image's second partition."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for owners and devices of the unpacked files")
    place = tmp_path_factory.mktemp("unpacked") / "root"
    command = ["unsquashfs", "-quiet", "-no-progress", "-offset", str(layout.starts[1] << 20)]
    subprocess.run([*command, "-dest", place, image], check=True)
    return place


@pytest.fixture(scope="session")
def operator(tmp_path_factory) -> Path:
    """A key that may log in on stations."""
    path = tmp_path_factory.mktemp("operator") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def blank_board(tmp_path_factory):
    """A board whose card nobody has flashed yet; without power."""
    if (reason := why_not_here()) is not None:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("board")
    emulator = Emulator(directory / "card.img", directory)
    yield emulator
    emulator.cut()


@pytest.fixture(scope="module")
def board(blank_board, built, operator):
    """A board with a flashed card, for a platform that nobody reaches."""
    authority = Authority.create(blank_board.directory / "authority", "Nobody's")
    flash_card(
        built,
        blank_board,
        operator,
        platform=f"https://{HOST}:1",
        authority=authority.certificate_path,
        claim="0123-4567-89AB-CDEF-GHJK-MNPQ",
    )
    return blank_board
