"""Files that appear whole or not at all."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from steelyard.pki.errors import FileExists

PRIVATE = 0o600
PUBLIC = 0o644


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet; FileExists when it does, whoever wrote it meanwhile."""
    temporary = _write_beside(path, content, mode)
    try:
        # A link, unlike a rename, fails when the name is taken.
        os.link(temporary, path)
    except FileExistsError:
        raise FileExists(f"{path} exists and is not overwritten") from None
    finally:
        temporary.unlink()
    sync_directory(path.parent)


def replace(path: Path, content: bytes, mode: int = PUBLIC) -> None:
    """Write or replace a file; a reader sees the old content or the new."""
    temporary = _write_beside(path, content, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise
    sync_directory(path.parent)


def update(path: Path, content: bytes, mode: int = PUBLIC) -> None:
    """The same, for what is seldom another: a file that has the content is not written again."""
    if not path.exists() or path.read_bytes() != content:
        replace(path, content, mode)


def move(source: Path, target: Path) -> None:
    """Give a file another's name within a directory, for good."""
    source.replace(target)
    sync_directory(target.parent)


def stem(name: str) -> str:
    """A file name for a serial or a name: what a path must not hold becomes %xx."""
    kept = "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):02x}" for c in name)
    return kept if not kept.startswith(".") else f"%2e{kept[1:]}"


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    # The mode is given at creation: there is no moment at which others could read a key.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            # Also under a umask such as a unit's 0077: what is public is another service's to read.
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
    except OSError:
        temporary.unlink()
        raise
    return temporary


def sync_directory(directory: Path) -> None:
    """Let what was named or renamed within a directory outlast a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
