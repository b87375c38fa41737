"""Make a bundle: the application, what it needs, and their hashes, in one tar for role `service`.

    python scripts/bundle.py NAME [--python 3.11] [--architecture x86_64] [-o DIRECTORY]

NAME is one of the bundles below. Prints the file and its SHA-256. The same inputs give the same
bytes. Wheels only: nothing is compiled for a host that may have another processor.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLES = {
    "server": ("platform", "node"),
    "station": ("smartbox", "loadcell"),
    "sandbox": ("platform", "node", "sandbox"),
}
PYTHONS = ("3.11", "3.12", "3.13")
ARCHITECTURES = ("x86_64", "aarch64")
# The oldest C library that the wheels may ask for: Debian 12 has 2.36.
_GLIBC_MINORS = range(36, 16, -1)
_FIXED_TIME = 315_532_800  # 1980-01-01, the oldest that a zip can tell


def main() -> int:
    """Exit status 0, or what pip ended with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(BUNDLES))
    parser.add_argument("--python", default="3.11", choices=PYTHONS)
    parser.add_argument("--architecture", default="x86_64", choices=ARCHITECTURES)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    try:
        path = make_bundle(options.name, options.python, options.architecture, options.output)
    except subprocess.CalledProcessError as error:
        print(f"bundle {options.name}: {error.cmd[3]} failed", file=sys.stderr)
        return int(error.returncode)
    print(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return 0


def make_bundle(name: str, python: str, architecture: str, output: Path) -> Path:
    """Write the bundle into a directory; its path."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        wheels = directory / "wheels"
        wheels.mkdir()
        own = _own_wheel(wheels)
        lock = merged_lock([ROOT / "requirements" / f"{one}.txt" for one in BUNDLES[name]])
        locked = directory / "requirements.txt"
        locked.write_text(lock, "utf-8")
        _download(locked, wheels, python, architecture)
        digest = hashlib.sha256(own.read_bytes()).hexdigest()
        locked.write_text(f"{lock}steelyard=={version()} --hash=sha256:{digest}\n", "utf-8")
        about = {"name": name, "version": version(), "python": python, "architecture": architecture}
        (directory / "bundle.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
        path = output / f"steelyard-{version()}-{name}-py{python}-{architecture}.tar"
        scratch_path = path.with_suffix(".new")
        _pack(directory, scratch_path)
        scratch_path.replace(path)
    return path


def version() -> str:
    """The application's version."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(document["project"]["version"])


def merged_lock(locks: list[Path]) -> str:
    """Locks as one, each requirement once. Raises ValueError where they disagree."""
    found: dict[str, str] = {}
    for path in locks:
        for block in re.split(r"\n(?=\S)", path.read_text("utf-8").strip()):
            key = block.split("==")[0] + block.partition(";")[2].split("\\")[0]
            if found.setdefault(key, block) != block:
                raise ValueError(f"{path.name} has another {block.split()[0]} than the others")
    return "".join(f"{found[key]}\n" for key in sorted(found))


def _own_wheel(wheels: Path) -> Path:
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    return next(wheels.glob("steelyard-*.whl"))


def _download(lock: Path, wheels: Path, python: str, architecture: str) -> None:
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in _GLIBC_MINORS]
    platforms.append(f"manylinux2014_{architecture}")
    _pip(
        *(
            "download",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            "--dest",
            str(wheels),
        ),
        *("--python-version", python, "--implementation", "cp"),
        *(f"--platform={one}" for one in platforms),
        *("--requirement", str(lock)),
    )


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", *arguments[1:]]
    subprocess.run(command, check=True)  # noqa: S603 - our own arguments


def _pack(directory: Path, path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for one in sorted(directory.rglob("*")):
            info = tar.gettarinfo(one, str(one.relative_to(directory)))
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = _FIXED_TIME
            info.mode = 0o755 if info.isdir() else 0o644
            with one.open("rb") if info.isfile() else io.BytesIO() as content:
                tar.addfile(info, content if info.isfile() else None)


if __name__ == "__main__":
    sys.exit(main())
