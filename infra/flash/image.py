"""A station's image: the compressed file, and what stands beside it to prove it."""

import hashlib
import io
import lzma
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from infra.flash.block_map import BlockMap, read_block_map
from infra.flash.errors import FlashRefused
from infra.flash.files import is_file, read_file, reading

CHUNK = 4 * 1024 * 1024
_SUM = re.compile(r"([0-9a-f]{64})(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose signature and checksum are right."""

    path: Path
    block_map: BlockMap
    sha256: str

    @property
    def size(self) -> int:
        """Bytes, decompressed."""
        return self.block_map.size

    def chunks(self) -> Iterator[bytes]:
        """The content, decompressed, and again proved to be what was signed.

        Raises FlashRefused for a file that changed since, is damaged, or has another size.
        """
        count = 0
        try:
            with reading(self.path), self.path.open("rb") as file:
                packed = _Hashed(file)
                with lzma.open(io.BufferedReader(packed, CHUNK)) as content:
                    while count <= self.size and (chunk := content.read(CHUNK)):
                        count += len(chunk)
                        yield chunk
        except (lzma.LZMAError, EOFError):
            raise FlashRefused(f"{self.path} is damaged, or no xz file") from None
        if count != self.size:
            raise FlashRefused(f"{self.path} has not the {self.size} bytes that its map says")
        if packed.digest.hexdigest() != self.sha256:
            raise FlashRefused(f"{self.path} was changed while it was read")


def open_image(
    path: Path, public_key: Path, progress: Callable[[int, int], None] = lambda *_: None
) -> Image:
    """Verify an image: its signature, then its checksum. Raises FlashRefused.

    `progress` is told the bytes read, and how many there are.
    """
    if path.suffix != ".xz" or not is_file(path):
        raise FlashRefused(f"{path}: must be an image file, as station.img.xz")
    sums = path.with_name(path.name + ".sha256")
    told = _read_signed(sums, _signature(path), public_key)
    done, digest = 0, hashlib.sha256()
    with reading(path), path.open("rb") as file:
        total = path.stat().st_size
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
    if digest.hexdigest() != told:
        raise FlashRefused(f"{path} is damaged: it has not the checksum of {sums.name}")
    return Image(path, read_block_map(_map(path)), told)


def _read_signed(sums: Path, signature: Path, public_key: Path) -> str:
    content, signed = read_file(sums), read_file(signature)
    try:
        key = load_pem_public_key(read_file(public_key))
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise FlashRefused(f"{public_key} must be an Ed25519 public key in PEM")
    try:
        key.verify(signed, content)
    except InvalidSignature:
        raise FlashRefused(
            f"{signature} is no signature of {sums.name} by the key in {public_key}: this image "
            "does not come from whoever has that key, or was changed"
        ) from None
    found = _SUM.match(content.decode("ascii", "replace"))
    if found is None:
        raise FlashRefused(f"{sums} has no SHA-256 checksum")
    return found[1]


def _signature(path: Path) -> Path:
    return _first(path, (f"{path.name}.sha256.sig", f"{path.name}.sig"), "signature")


def _map(path: Path) -> Path:
    whole = path.name.removesuffix(".xz")
    names = (f"{whole}.bmap", f"{path.name}.bmap", f"{whole.removesuffix('.img')}.bmap")
    return _first(path, names, "block map")


def _first(path: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if is_file(beside := path.with_name(name)):
            return beside
    raise FlashRefused(f"{path} has no {what} beside it: {' or '.join(names)}")


class _Hashed(io.RawIOBase):
    """A file of which everything that is read is hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read, and hash."""
        view = memoryview(buffer)
        content = self._file.read(len(view))
        view[: len(content)] = content
        self.digest.update(content)
        return len(content)
