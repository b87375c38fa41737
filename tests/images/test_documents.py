"""What goes with an image: list of software, Imager's manifest, checksums, signature."""

import json
import subprocess

import jsonschema
import pytest

from image_kit import needs, sha256
from infra.images.errors import ImageProblem
from infra.images.imager import manifest
from infra.images.lock import Lock, Package
from infra.images.outputs import Outputs, hand_over
from infra.images.sbom import python_distributions, software_list
from infra.images.signing import make_key, public_key, sign, verify

SUM = "ab" * 32
LOCK = Lock(
    1_700_000_000,
    (
        Package("libc6", "2.41-12", "arm64", SUM, "root"),
        Package("busybox-static", "1:1.37.0-6+b9", "arm64", SUM, "payload"),
        # What the build runs on the way, and is in no image.
        Package("libc6", "2.41-12", "amd64", SUM, "tool"),
        Package("apt", "3.0.4", "amd64", SUM, "tool"),
    ),
)
# What Raspberry Pi Imager's published schema asks of an entry that is an operating system
# (raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json).
IMAGER = {
    "type": "object",
    "required": ["os_list"],
    "properties": {
        "imager": {"type": "object"},
        "os_list": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    *("name", "description", "icon", "url", "extract_size", "extract_sha256"),
                    *("image_download_size", "release_date", "devices"),
                ],
                "properties": {
                    "extract_size": {"type": "integer"},
                    "image_download_size": {"type": "integer"},
                    "extract_sha256": {"type": "string"},
                    "release_date": {"type": "string"},
                    "init_format": {"type": "string"},
                    "devices": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
    "additionalProperties": False,
}


@pytest.fixture
def handed(tmp_path, key):
    """What is handed over with a card of 8 MiB."""
    outputs = Outputs(tmp_path / "out", "1.2")
    outputs.directory.mkdir()
    card = outputs.path(".img")
    with card.open("wb") as file:
        file.write(b"x" * 5000)
        file.truncate(8 << 20)
    url = "https://images.example/stations/"
    distributions = [("aiohttp", "3.14.0")]
    hand_over(card, outputs, lock=LOCK, distributions=distributions, key=key, url=url)
    return outputs


@needs("bmaptool", "xz", "openssl")
def test_everything_handed_over_belongs_to_the_image(handed, tmp_path):
    """The checksum is the file's, its signature verifies, and what is unpacked is the card."""
    packed, card = handed.path(".img.xz"), handed.path(".img")
    assert handed.path(".img.xz.sha256").read_text() == f"{sha256(packed)}  {packed.name}\n"
    verify(
        tmp_path / "public.pem", handed.path(".img.xz.sha256"), handed.path(".img.xz.sha256.sig")
    )
    unpacked = subprocess.run(["xz", "-dc", packed], capture_output=True, check=True).stdout
    assert unpacked == card.read_bytes()
    assert "<MappedBlocksCount>" in handed.path(".bmap").read_text()
    told = json.loads((handed.directory / "os_list.json").read_text())
    jsonschema.validate(told, IMAGER)
    entry = told["os_list"][0]
    assert entry["url"] == f"https://images.example/stations/{packed.name}"
    assert (entry["extract_size"], entry["extract_sha256"]) == (8 << 20, sha256(card))
    assert entry["image_download_size"] == packed.stat().st_size


@needs("bmaptool", "xz", "openssl")
def test_the_same_card_gives_the_same_files(handed, tmp_path, key):
    """All of them, byte for byte."""
    again = Outputs(tmp_path / "again", "1.2")
    again.directory.mkdir()
    again.path(".img").write_bytes(handed.path(".img").read_bytes())
    subprocess.run(["cp", "--sparse=always", handed.path(".img"), again.path(".img")], check=True)
    url = "https://images.example/stations/"
    hand_over(
        again.path(".img"),
        again,
        lock=LOCK,
        distributions=[("aiohttp", "3.14.0")],
        key=key,
        url=url,
    )
    for one in handed.directory.iterdir():
        assert sha256(one) == sha256(again.directory / one.name), one.name


def test_the_manifest_asks_for_nothing_of_imager_s_own():
    """Its customisation would put a password and a network into the card behind our back."""
    told = manifest(
        version="1", url="u", epoch=0, size=1, sha256=SUM, packed_size=1, packed_sha256=SUM
    )
    jsonschema.validate(told, IMAGER)
    assert "init_format" not in told["os_list"][0]


def test_the_list_of_software_has_every_package():
    """SPDX 2.3: each with an identity of its own, and found again by what scanners look for."""
    told = software_list(LOCK, [("Foo_Bar", "1.0+x")], version="1", sha256=SUM)
    assert told["spdxVersion"] == "SPDX-2.3"
    packages = {one["name"]: one for one in told["packages"]}
    assert set(packages) == {"steelyard-station-1", "libc6", "busybox-static", "Foo_Bar"}
    found = [one["externalRefs"][0]["referenceLocator"] for one in told["packages"]]
    assert "pkg:deb/debian/busybox-static@1%3A1.37.0-6%2Bb9?arch=arm64" in found
    assert "pkg:pypi/foo-bar@1.0%2Bx" in found
    identities = [one["SPDXID"] for one in told["packages"]]
    assert len(set(identities)) == len(identities)
    related = {one["relatedSpdxElement"] for one in told["relationships"]}
    assert related == set(identities)
    assert told["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


def test_python_s_distributions_are_read_from_the_root(tmp_path):
    """As their own metadata name them."""
    site = tmp_path / "opt/steelyard/station/releases/1/venv/lib/python3.13/site-packages"
    (site / "foo_bar-1.dist-info").mkdir(parents=True)
    (site / "foo_bar-1.dist-info/METADATA").write_text("Name: Foo_Bar\nVersion: 1\n\nVersion: 2\n")
    assert python_distributions(tmp_path) == [("Foo_Bar", "1")]


def test_a_signature_is_of_one_text_and_one_key(tmp_path, key):
    """And a key that is there is not overwritten."""
    text, signature = tmp_path / "text", tmp_path / "signature"
    text.write_text("one")
    sign(key, text, signature)
    assert len(signature.read_bytes()) == 64
    text.write_text("two")
    with pytest.raises(ImageProblem, match="no signature of text"):
        verify(tmp_path / "public.pem", text, signature)
    with pytest.raises(ImageProblem, match="is not replaced"):
        make_key(key)
    assert key.stat().st_mode & 0o777 == 0o600
    make_key(tmp_path / "other")
    public_key(tmp_path / "other", tmp_path / "other.pem")
    text.write_text("one")
    with pytest.raises(ImageProblem):
        verify(tmp_path / "other.pem", text, signature)
