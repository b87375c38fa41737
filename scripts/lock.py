"""Resolve every extra into requirements/<extra>.txt: one version each, hashed, for all platforms.

The `dev` lock is made first and holds the others to its versions. No index address is written.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
# What `pip install --no-build-isolation -e .` needs beside the extras.
BUILD = LOCKS / "build.in"


def lock(extra: str, constraint: Path | None) -> None:
    """Write one lock; `constraint` holds it to the versions of another."""
    target = LOCKS / f"{extra}.txt"
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"),
        *("--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"),
        *("--no-emit-find-links", "--no-header", "--no-annotate"),
        *("pyproject.toml", str(BUILD.relative_to(ROOT)), "--extra", extra, "-o", str(target)),
    ]
    if constraint is not None:
        command += ["--constraint", str(constraint)]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own arguments


def main(extras: list[str]) -> None:
    """Lock `dev` first, then the rest under its versions."""
    lock("dev", None)
    for extra in extras:
        if extra != "dev":
            lock(extra, LOCKS / "dev.txt")


if __name__ == "__main__":
    main(sys.argv[1:])
