"""An update: a tar of a signed list, the list's signature, and the files in the list's order."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import SlotProblem

MANIFEST, SIGNATURE, ROOT = "manifest.json", "manifest.sig", "root.squashfs"
_MOST = 65536
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """The version that an update brings, and size and SHA-256 of each of its files."""

    version: str
    board: str
    files: dict[str, tuple[int, str]]


def verify(text: bytes, signature: bytes, key: Path, scratch: Path) -> None:
    """Ed25519 by openssl. Raises SlotProblem."""
    (scratch / "text").write_bytes(text)
    (scratch / "signature").write_bytes(signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin"]
    command += ["-in", str(scratch / "text"), "-sigfile", str(scratch / "signature")]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        raise SlotProblem("the update is not signed by whom this station trusts")


def parse(text: bytes) -> Manifest:
    """What a signed list says. Raises SlotProblem."""
    try:
        told = json.loads(text)
        files = {one["name"]: (int(one["size"]), str(one["sha256"])) for one in told["files"]}
        manifest = Manifest(str(told["version"]), str(told["board"]), files)
    except (ValueError, KeyError, TypeError):
        raise SlotProblem("the update's list cannot be read") from None
    for name in files:
        plain = name == ROOT or (name.startswith("boot/") and name.count("/") == 1)
        if not plain or ".." in name:
            raise SlotProblem(f"the update has a file that no update has: {name!r}")
    return manifest


def open_bundle(file: IO[bytes], key: Path, scratch: Path) -> tuple[Manifest, tarfile.TarFile]:
    """The list, once it is verified, and the tar after it. Raises SlotProblem."""
    try:
        tar = tarfile.open(fileobj=file, mode="r|")  # noqa: SIM115 - the caller reads on
        text, signature = _small(tar, MANIFEST), _small(tar, SIGNATURE)
    except tarfile.TarError:
        raise SlotProblem("this is no update") from None
    verify(text, signature, key, scratch)
    return parse(text), tar


def contents(tar: tarfile.TarFile, manifest: Manifest) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each file's name and content. Raises SlotProblem for one that is not as the list says.

    A content is only right once it was read to its end.
    """
    left = dict(manifest.files)
    try:
        # Iterating over the tar would begin again with the list.
        while (member := tar.next()) is not None:
            if member.name not in left or not member.isreg():
                raise SlotProblem(f"the update has {member.name!r}, which its list has not")
            size, digest = left.pop(member.name)
            source = tar.extractfile(member)
            if source is None or member.size != size:
                raise SlotProblem(f"the update's {member.name} has not the size that its list says")
            yield member.name, _checked(source, member.name, digest)
    except tarfile.TarError:
        raise SlotProblem("the update breaks off") from None
    if left:
        raise SlotProblem(f"the update lacks {min(left)}")


def _checked(source: IO[bytes], name: str, digest: str) -> Iterator[bytes]:
    hashed = hashlib.sha256()
    while block := _read(source):
        hashed.update(block)
        yield block
    if hashed.hexdigest() != digest:
        raise SlotProblem(f"the update's {name} is not the file of its list")


def _read(source: IO[bytes]) -> bytes:
    try:
        return source.read(_CHUNK)
    except tarfile.TarError:
        raise SlotProblem("the update breaks off") from None


def _small(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.next()
    if member is None or member.name != name or member.size > _MOST:
        raise SlotProblem("this is no update")
    source = tar.extractfile(member)
    return b"" if source is None else source.read()
