"""A built image: unpacked, and as a card in an emulated board.

`make test-image` builds it. STEELYARD_IMAGE is the directory of a build's outputs.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from board_card import HOST, flash_card
from infra.images.build import BOARD
from infra.images.card import Layout
from infra.images.definition import read_definition
from infra.images.emulator import Emulator, why_not_here
from infra.images.update import make_update
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


@pytest.fixture(scope="module")
def signing_key(built):
    """The key that the image was signed with."""
    path = built.parent / "test-key.pem"
    if not path.exists():
        pytest.skip(f"needs the key of the build, {path} (make test-image)")
    return path


@pytest.fixture(scope="module")
def parts(image, layout, unpacked, tmp_path_factory):
    """The slot's files, and the root, to make other updates of."""
    slot = tmp_path_factory.mktemp("parts") / "slot"
    slot.mkdir()
    command = ["mcopy", "-s", "-m", "-i", f"{image}@@4M", "::a", str(slot)]
    subprocess.run(command, check=True)
    for one in (slot / "a").iterdir():
        one.rename(slot / one.name)
    (slot / "a").rmdir()
    return slot, unpacked


@pytest.fixture
def make(parts, signing_key, board_name, tmp_path):
    """Makes an update of the image's files, changed."""

    def make(version: str, change):
        slot, root = parts
        tree = tmp_path / version
        shutil.copytree(root, tree, symlinks=True)
        told = tree / "usr/share/steelyard/release.json"
        release = {**json.loads(told.read_text()), "version": version}
        told.write_text(json.dumps(release))
        change(tree)
        squashfs = tmp_path / f"{version}.squashfs"
        options = [
            "-noappend",
            "-quiet",
            "-no-progress",
            "-comp",
            "zstd",
            "-Xcompression-level",
            "3",
        ]
        subprocess.run(["mksquashfs", tree, squashfs, *options], check=True)
        path = tmp_path / f"{version}.update"
        make_update(
            path,
            squashfs=squashfs,
            slot=slot,
            key=signing_key,
            version=version,
            board=board_name,
            epoch=1_700_000_000,
        )
        return path

    return make
