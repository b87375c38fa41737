"""An image as a station's is, small: FAT, two roots, a data partition; signed, with its map."""

import hashlib
import lzma
import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROGRAMS = ("sfdisk", "mkfs.vfat", "mcopy", "mmd")
MIB = 1024 * 1024
BLOCK = 4096
BOOT_START, BOOT_BYTES = 1 * MIB, 8 * MIB
IMAGE_BYTES = 20 * MIB
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def need_programs() -> None:
    """Skip where the tools are not there."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: install mtools, dosfstools and fdisk")


def run(*words: str | Path, text: str = "") -> str:
    done = subprocess.run(
        words,
        input=text,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PATH": PATH},
    )
    return done.stdout


def block_map(content: bytes) -> str:
    """A bmap 2.0 of the blocks that are not zeros."""
    blocks = [bool(any(content[at : at + BLOCK])) for at in range(0, len(content), BLOCK)]
    ranges, start = [], None
    for number, mapped in enumerate([*blocks, False]):
        if mapped and start is None:
            start = number
        elif not mapped and start is not None:
            ranges.append((start, number - 1))
            start = None
    lines = "\n".join(
        f'<Range chksum="{sha256(content[a * BLOCK : (b + 1) * BLOCK])}">{a}-{b}</Range>'
        for a, b in ranges
    )
    text = f"""<?xml version="1.0" ?>
<bmap version="2.0">
<ImageSize> {len(content)} </ImageSize>
<BlockSize> {BLOCK} </BlockSize>
<BlocksCount> {len(blocks)} </BlocksCount>
<MappedBlocksCount> {sum(blocks)} </MappedBlocksCount>
<ChecksumType> sha256 </ChecksumType>
<BmapFileChecksum> {"0" * 64} </BmapFileChecksum>
<BlockMap>
{lines}
</BlockMap>
</bmap>
"""
    return text.replace("0" * 64, sha256(text.encode()), 1)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class MadeImage:
    """A compressed image and what stands beside it."""

    path: Path
    content: bytes
    key: Ed25519PrivateKey
    public_key: Path

    def sign(self, key: Ed25519PrivateKey | None = None) -> None:
        """Checksum and signature of what the file is now."""
        sums = self.path.with_name(self.path.name + ".sha256")
        sums.write_text(f"{sha256(self.path.read_bytes())}  {self.path.name}\n")
        self.path.with_name(self.path.name + ".sig").write_bytes(
            (key or self.key).sign(sums.read_bytes())
        )

    @property
    def map(self) -> Path:
        return self.path.with_suffix(".bmap")


def raw_image(directory: Path, label: str = "dos") -> bytes:
    """The decompressed image."""
    path = directory / "raw.img"
    with path.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    kinds = {"dos": ("c", "83"), "gpt": ("U", "L")}[label]
    run(
        *("sfdisk", "--quiet", path),
        text=f"label: {label}\nstart=2048,size=16384,type={kinds[0]}\n"
        f"start=18432,size=4096,type={kinds[1]}\nstart=22528,size=4096,type={kinds[1]}\n"
        f"start=26624,size=4096,type={kinds[1]}\n",
    )
    run("mkfs.vfat", "-n", "BOOT", "--offset", "2048", path, str(BOOT_BYTES // 1024))
    run("mcopy", "-i", f"{path}@@{BOOT_START}", "-", "::config.txt", text="arm_64bit=1\n")
    content = bytearray(path.read_bytes())
    noise = random.Random(7)  # noqa: S311 - the same each time
    for start, size in ((9 * MIB, MIB), (11 * MIB + 5000, 70_000), (13 * MIB, 100)):
        content[start : start + size] = noise.randbytes(size)
    path.unlink()
    return bytes(content)


def make_image(directory: Path, label: str = "dos") -> MadeImage:
    """A signed image in a directory."""
    content = raw_image(directory, label)
    path = directory / "station.img.xz"
    path.write_bytes(lzma.compress(content, preset=0))
    path.with_suffix(".bmap").write_text(block_map(content))
    key = Ed25519PrivateKey.generate()
    public_key = directory / "images.pub"
    public_key.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    made = MadeImage(path, content, key, public_key)
    made.sign()
    return made


def make_device(path: Path, size: int = IMAGE_BYTES + 3 * MIB) -> Path:
    """A file that stands for a card, with something else on it."""
    old = bytes(range(1, 256)) * (size // 255 + 1)
    path.write_bytes(old[:size])
    return path


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def order(made: MadeImage, device: Path, ca_file: Path, **more: Any) -> dict[str, Any]:
    """An order as the playbook gives it."""
    settings = {"host_name": "north-box", "platform_url": "https://platform.example"}
    return {
        "image": str(made.path),
        "public_key": str(made.public_key),
        "device": str(device),
        "station": "north",
        "settings": settings | more.pop("settings", {}),
        "ca_file": str(ca_file),
        **more,
    }


def read_boot(device: Path, name: str) -> bytes:
    """A file of the boot partition, by mtools."""
    words = ["mcopy", "-i", f"{device}@@{BOOT_START}", f"::steelyard/{name}", "-"]
    return subprocess.run(words, check=True, capture_output=True).stdout
