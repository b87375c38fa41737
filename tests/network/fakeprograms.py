"""Writes programs and jars that pass for the engines'."""

import sys
import zipfile
from pathlib import Path

from steelyard.network.tessera import MAIN_CLASS

FAKE = Path(__file__).with_name("fakeengines.py")


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_java(path: Path, answer: str = 'openjdk version "17.0.2" 2022-01-18') -> Path:
    """A Java that says its version, and runs any jar as the fake Tessera."""
    return write_program(
        path,
        f"""#!/bin/sh
if [ "$1" = -version ]; then echo '{answer}' >&2; exit 0; fi
exec {sys.executable} {FAKE} tessera "$@"
""",
    )


def write_jar(
    path: Path, *, java: int = 8, version: str = "20.10.1", binding: str = "javax", **more: bytes
) -> Path:
    """An uber jar as far as one looks into it; without XML binding when `binding` is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nTessera-Version: {version}\n")
        jar.writestr(MAIN_CLASS, b"\xca\xfe\xba\xbe\x00\x00" + (44 + java).to_bytes(2, "big"))
        if binding:
            jar.writestr(f"{binding}/xml/bind/JAXBContext.class", b"")
        for name, content in more.items():
            jar.writestr(name, content)
    return path
