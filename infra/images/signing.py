"""Signatures by Ed25519, made and verified by openssl: a station has nothing else for it."""

from pathlib import Path

from infra.images.errors import ImageProblem
from infra.images.programs import run


def make_key(path: Path) -> None:
    """A new private key, readable by its owner alone. Raises ImageProblem where there is one."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise ImageProblem(
            f"{path} is there already: a key that stations trust is not replaced"
        ) from None
    try:
        run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path])
    except BaseException:
        path.unlink()
        raise


def public_key(key: Path, path: Path) -> None:
    """Write the public half of a private key."""
    run(["openssl", "pkey", "-in", key, "-pubout", "-out", path])


def sign(key: Path, text: Path, signature: Path) -> None:
    """Write the signature of a small file: 64 bytes, the same each time."""
    run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", text, "-out", signature])


def verify(key: Path, text: Path, signature: Path) -> None:
    """With the public key. Raises ImageProblem."""
    command: list[str | Path] = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin"]
    try:
        run([*command, "-in", text, "-sigfile", signature])
    except ImageProblem:
        raise ImageProblem(
            f"{signature.name} is no signature of {text.name} by {key.name}"
        ) from None
