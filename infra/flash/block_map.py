"""Block maps (bmap 2.0): which ranges of an image hold something, and their checksums."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from infra.flash.errors import FlashRefused
from infra.flash.files import read_file

_MAX_BYTES = 16 * 1024 * 1024
_CHECKSUM = re.compile(rb"(<BmapFileChecksum>\s*)([0-9a-f]{64})(\s*</BmapFileChecksum>)")


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes `start` to `end` (not included), and what SHA-256 they have."""

    start: int
    end: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BlockMap:
    """What a .bmap says: the image's size in bytes, and its ranges in order."""

    size: int
    ranges: tuple[Range, ...]


def read_block_map(path: Path) -> BlockMap:
    """Read a map. Raises FlashRefused for one that is damaged, or of another kind."""
    content = read_file(path)
    # Entities could make little XML into much; a map has none.
    if len(content) > _MAX_BYTES or b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise FlashRefused(f"{path} is no block map")
    _check_own_sum(content, path)
    try:
        return _parse(ET.fromstring(content))  # noqa: S314 - no entities, see above
    except (ET.ParseError, ValueError, TypeError, AttributeError):
        raise FlashRefused(f"{path} is no block map of version 2 with SHA-256") from None


def _check_own_sum(content: bytes, path: Path) -> None:
    found = _CHECKSUM.search(content)
    if found is None:
        raise FlashRefused(f"{path} is no block map of version 2 with SHA-256")
    blank = _CHECKSUM.sub(rb"\g<1>" + b"0" * 64 + rb"\g<3>", content)
    if hashlib.sha256(blank).hexdigest().encode() != found[2]:
        raise FlashRefused(f"{path} is damaged: its checksum is not right")


def _parse(root: ET.Element) -> BlockMap:
    if root.tag != "bmap" or not root.attrib["version"].startswith("2."):
        raise ValueError
    if _text(root, "ChecksumType") != "sha256":
        raise ValueError
    size, block = int(_text(root, "ImageSize")), int(_text(root, "BlockSize"))
    ranges: list[Range] = []
    for element in root.iterfind("BlockMap/Range"):
        first, _, last = (element.text or "").strip().partition("-")
        start, end = int(first) * block, min((int(last or first) + 1) * block, size)
        if start >= end or (ranges and start < ranges[-1].end):
            raise ValueError
        ranges.append(Range(start, end, element.attrib["chksum"]))
    if size <= 0 or block <= 0 or not ranges:
        raise ValueError
    return BlockMap(size, tuple(ranges))


def _text(root: ET.Element, name: str) -> str:
    element = root.find(name)
    if element is None or not element.text:
        raise ValueError
    return element.text.strip()
