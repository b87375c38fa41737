"""Finds the engines' programs: named by the operator, at the mirror, or in the release."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.network.download import Archive, fetched
from steelyard.network.errors import MissingProgram
from steelyard.network.java import Java, find_java
from steelyard.network.settings import NetworkSettings
from steelyard.network.tessera import Tessera, read_tessera

GETH_VARIABLE = "STEELYARD_GETH"
TESSERA_VARIABLE = "STEELYARD_TESSERA"
_QUORUM_VERSION = re.compile(r"^Quorum Version: *(\S+)", re.MULTILINE)
_ANSWER_SECONDS = 60.0
# GoQuorum's makers build for these only; the checksums are of the release's archives.
_GETH_CHECKSUMS = {
    ("24.4.1", "linux_amd64"): "2a200c8c51f406b176450fb8f48f6840cf66708e59d8b639011438e9e2593be9",
}


@dataclass(frozen=True, slots=True)
class Programs:
    """What a network runs."""

    geth: Path
    geth_version: str
    tessera: Tessera
    java: Java


def find_programs(
    settings: NetworkSettings, environment: Mapping[str, str] = os.environ
) -> Programs:
    """Raises MissingProgram, DownloadFailed and WrongJava, one sentence each.

    Nothing is fetched as long as it is known that something else is missing.
    """
    java = find_java(settings.java, environment)
    tessera_archive = _tessera_archive(settings, environment)
    geth = _geth(settings, environment)
    version = _quorum_version(geth)
    tessera = _tessera(settings, environment, tessera_archive)
    tessera.check_java(java)
    return Programs(geth, version, tessera, java)


def _geth(settings: NetworkSettings, environment: Mapping[str, str]) -> Path:
    named = environment.get(GETH_VARIABLE)
    if named:
        path = Path(named).absolute()
        if not path.is_file():
            raise MissingProgram(f"GoQuorum: {path} is not a file ({GETH_VARIABLE})")
        return path
    system = _system()
    checksum = settings.geth_checksum or _GETH_CHECKSUMS.get((settings.geth_version, system))
    if checksum is None:
        raise MissingProgram(
            f"GoQuorum {settings.geth_version} has no known checksum for {system}, and is not "
            f"downloaded without one: set {GETH_VARIABLE} to a geth, or geth_checksum"
        )
    release = settings.geth_release_url.replace("{version}", settings.geth_version)
    name = f"geth_v{settings.geth_version}_{system}.tar.gz"
    archive = Archive(f"{(settings.mirror_url or release).rstrip('/')}/{name}", checksum)
    directory = fetched(archive, _cached(settings, environment, "geth", checksum))
    path = directory / "geth"
    if not path.is_file():
        raise MissingProgram(f"GoQuorum: {archive.url} holds no geth")
    return path


def _quorum_version(geth: Path) -> str:
    """What the program says of itself; that it is GoQuorum and not another geth."""
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own program
            [geth, "version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MissingProgram(
            f"GoQuorum: {geth} version gives no answer in {_ANSWER_SECONDS:g} s"
        ) from None
    except OSError as error:
        raise MissingProgram(f"GoQuorum: {geth} cannot be run: {error.strerror}") from None
    found = _QUORUM_VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise MissingProgram(
            f"GoQuorum: {geth} does not name a 'Quorum Version': it is not GoQuorum's geth"
        )
    return found[1]


def _tessera_archive(settings: NetworkSettings, environment: Mapping[str, str]) -> Archive | None:
    """What to fetch, or None when the operator names a program. Raises MissingProgram."""
    if environment.get(TESSERA_VARIABLE):
        return None
    if settings.mirror_url is None or settings.tessera_checksum is None:
        missing = "mirror_url" if settings.mirror_url is None else "tessera_checksum"
        raise MissingProgram(
            f"Tessera: set {TESSERA_VARIABLE} to its uber jar, its unpacked distribution or its "
            "bin/tessera; or both mirror_url and tessera_checksum, as it is not downloaded from "
            f"elsewhere nor without a checksum ({missing} is not set)"
        )
    url = f"{settings.mirror_url.rstrip('/')}/{settings.tessera_archive}"
    return Archive(url, settings.tessera_checksum)


def _tessera(
    settings: NetworkSettings, environment: Mapping[str, str], archive: Archive | None
) -> Tessera:
    if archive is None:
        return read_tessera(Path(environment[TESSERA_VARIABLE]).absolute(), TESSERA_VARIABLE)
    directory = _cached(settings, environment, "tessera", archive.checksum)
    return read_tessera(fetched(archive, directory), archive.url)


def _cached(
    settings: NetworkSettings, environment: Mapping[str, str], name: str, checksum: str
) -> Path:
    """A directory that is named by the checksum: another archive never passes for this one."""
    base = settings.cache_directory
    if base is None:
        home = environment.get("XDG_CACHE_HOME")
        base = (Path(home) if home else Path.home() / ".cache") / "steelyard"
    return base.absolute() / f"{name}-{checksum[:16]}"


def _system() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"
