"""Which Java there is, and which one a Tessera needs."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.network.errors import WrongJava

_VERSION = re.compile(r'version "(?P<first>\d+)(?:\.(?P<second>\d+))?')
_CLASS_MAGIC = b"\xca\xfe\xba\xbe"
_CLASS_OFFSET = 44  # a class file's major version is Java's plus this, since 1.1
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Java:
    """A Java program and its feature release (8, 11, 17, …)."""

    path: Path
    release: int


def parse_version(output: str) -> int | None:
    """The feature release in what `java -version` prints; 1.8 is 8."""
    found = _VERSION.search(output)
    if found is None:
        return None
    first, second = int(found["first"]), found["second"]
    return int(second) if first == 1 and second else first


def find_java(configured: Path | None, environment: Mapping[str, str] = os.environ) -> Java:
    """The configured Java, else that of JAVA_HOME, else that of the path. Raises WrongJava."""
    path = _located(configured, environment)
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own program
            [path, "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WrongJava(f"{path} cannot be run: {_reason(error)}") from None
    output = done.stderr + done.stdout
    release = parse_version(output)
    if done.returncode != 0 or release is None:
        first = output.strip().splitlines()[:1] or ["nothing"]
        raise WrongJava(f"{path} -version does not say which Java it is, but: {first[0]}")
    return Java(path, release)


def _located(configured: Path | None, environment: Mapping[str, str]) -> Path:
    if configured is not None:
        return configured
    home = environment.get("JAVA_HOME")
    if home:
        return Path(home) / "bin" / "java"
    found = shutil.which("java", path=environment.get("PATH"))
    if found is None:
        raise WrongJava(
            "Tessera needs Java, and there is none on the path: install one, or name it by "
            "STEELYARD_NETWORK_JAVA or JAVA_HOME"
        )
    return Path(found)


def _reason(error: OSError | subprocess.TimeoutExpired) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"no answer in {_ANSWER_SECONDS:g} s"


def needed_release(jar: zipfile.ZipFile, name: str) -> int | None:
    """The oldest Java that can load a class of the jar; None for what is no class."""
    try:
        with jar.open(name) as file:
            head = file.read(8)
    except (KeyError, zipfile.BadZipFile):
        return None
    if len(head) < 8 or not head.startswith(_CLASS_MAGIC):
        return None
    return int.from_bytes(head[6:8], "big") - _CLASS_OFFSET
