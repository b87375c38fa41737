"""Debian's archive, as an apt of its own for another architecture sees it."""

import hashlib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from infra.images.definition import Definition
from infra.images.errors import ImageProblem
from infra.images.lock import Lock, Package
from infra.images.programs import run
from infra.images.trees import remove

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INDEX = "$(SUITE) $(LABEL) $(REPO_URI)"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where packages come from: the archive, and the security archive."""

    debian: str
    security: str


def own_mirror() -> Mirror:
    """What this machine's apt is configured with. Raises ImageProblem where that has no Debian."""
    found: dict[str, str] = {}
    for line in run(["apt-get", "indextargets", f"--format={_INDEX}"]).splitlines():
        _, label, uri = [*line.split(" "), "", ""][:3]
        found.setdefault(label, uri)
    if "Debian" not in found:
        raise ImageProblem("apt has no lists of Debian: run apt-get update, or name image_snapshot")
    return Mirror(found["Debian"], found.get("Debian-Security", found["Debian"]))


class Archive:
    """A private apt in a directory: its own lists, nothing installed."""

    def __init__(
        self, directory: Path, definition: Definition, mirror: Mirror, architecture: str = "arm64"
    ) -> None:
        self._directory = directory / architecture
        self._definition = definition
        self._mirror = mirror
        self.architecture = architecture

    def update(self) -> None:
        """Fetch the lists. A snapshot's are older than they say they are good for."""
        for name in ("lists/partial", "archives/partial", "etc"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        (self._directory / "status").touch()
        (self._directory / "sources.list").write_text(self._sources(), "utf-8")
        (self._directory / "apt.conf").write_text(self._configuration(), "utf-8")
        self._apt("update", "-qq", "-o", "Acquire::Check-Valid-Until=false")

    def resolve(self) -> dict[str, str]:
        """`name=version` of every package of the image, with its use."""
        names = self._definition.packages
        found = dict.fromkeys(self._closure("?essential", *names.root), "root")
        for one in self._closure(*names.payload, single=True):
            found[one] = "payload"
        backports = ("-t", f"{self._definition.suite}-backports")
        for one in self._closure(*backports, names.kernel):
            if one.startswith(tuple(names.kernel_parts)):
                found[one] = "payload"
        return found

    def resolve_tools(self) -> dict[str, str]:
        """`name=version` of every package whose programs stand in for the root's."""
        return dict.fromkeys(self._closure("?essential", *self._definition.packages.root), "tool")

    def fetch(self, specifications: list[str], directory: Path) -> None:
        """Download packages by name and version, those that are there already excepted."""
        directory.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in directory.glob("*.deb")}
        missing = [one for one in specifications if not there & _files(one, self.architecture)]
        if missing:
            self._apt("download", "-q", *missing, directory=directory)

    def _closure(self, *arguments: str, single: bool = False) -> list[str]:
        verb = ("download",) if single else ("install", "-y", "--no-install-recommends")
        lines = self._apt(*verb, "--print-uris", "-qq", *arguments).splitlines()
        files = [shlex.split(line)[1] for line in lines if line.startswith("'")]
        return [_specification(one) for one in files]

    def _apt(self, *arguments: str, directory: Path | None = None) -> str:
        conf = str(self._directory / "apt.conf")
        # Root's own directories are closed to apt's user; what comes is checked by its hash.
        options = ["-o", "APT::Sandbox::User=root"]
        command = ["apt-get", *options, *arguments]
        return run(command, environment={"APT_CONFIG": conf}, directory=directory, seconds=1800)

    def _sources(self) -> str:
        suite, parts = self._definition.suite, " ".join(self._definition.components)
        line = f"deb [signed-by={_KEYRING}]"
        suites = [suite, f"{suite}-updates", f"{suite}-backports"]
        lines = [f"{line} {self._mirror.debian} {one} {parts}\n" for one in suites]
        lines.append(f"{line} {self._mirror.security} {suite}-security {parts}\n")
        return "".join(lines)

    def _configuration(self) -> str:
        own, architecture = self._directory, self.architecture
        return (
            f'APT::Architecture "{architecture}";\nAPT::Architectures {{"{architecture}";}};\n'
            f'Dir::State "{own}";\nDir::State::status "{own}/status";\n'
            f'Dir::State::Lists "{own}/lists";\nDir::Cache "{own}";\n'
            f'Dir::Cache::archives "{own}/archives";\nDir::Etc::sourcelist "{own}/sources.list";\n'
            'Dir::Etc::sourceparts "/dev/null";\nDir::Etc::preferences "/dev/null";\n'
            f'Dir::Etc::preferencesparts "{own}/etc";\nDir::Etc::parts "{own}/etc";\n'
        )


def resolved(archive: Archive, cache: Path, wanted: dict[str, str]) -> list[Package]:
    """Download what is new, and note the hashes; apt has checked the files itself."""
    archive.fetch(list(wanted), cache)
    packages = []
    for specification, use in wanted.items():
        name, _, version = specification.partition("=")
        kinds = (archive.architecture, "all")
        made = [Package(name, version, kind, "", use) for kind in kinds]
        found = next((one for one in made if (cache / one.file).exists()), None)
        if found is None:
            raise ImageProblem(f"{name} {version}: apt did not download it")
        packages.append(replace(found, sha256=file_sha256(cache / found.file)))
    return packages


def fetch_locked(archives: Sequence[Archive], lock: Lock, cache: Path) -> None:
    """Have every package of the lock in the cache. Raises ImageProblem for one that differs."""
    for archive in archives:
        tools = archive.architecture == "amd64"
        missing = [
            one
            for one in lock.packages
            if not (cache / one.file).exists() and (one.use == "tool") == tools
        ]
        if missing:
            archive.update()
            try:
                archive.fetch([f"{one.name}={one.version}" for one in missing], cache)
            except ImageProblem as problem:
                raise ImageProblem(
                    f"not all locked packages could be downloaded: {problem}. Where the mirror has "
                    "one no more, name a snapshot (image_snapshot)"
                ) from None
    for one in lock.packages:
        path = cache / one.file
        if not path.exists():
            raise ImageProblem(f"{one.name} {one.version} is no longer there: name a snapshot")
        _check_locked(path, one)


def unpack_locked(packages: Iterable[Package], cache: Path, directory: Path) -> None:
    """Unpack packages of the lock into a fresh directory, without installing them.

    Raises ImageProblem.
    """
    remove(directory)
    directory.mkdir(parents=True)
    for one in packages:
        _check_locked(cache / one.file, one)
        run(["dpkg-deb", "-x", cache / one.file, directory])


def _check_locked(path: Path, one: Package) -> None:
    if (found := file_sha256(path)) != one.sha256:
        raise ImageProblem(f"{path.name} is not the locked file, its SHA-256 is {found}")


def file_sha256(path: Path) -> str:
    """Of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _specification(file: str) -> str:
    name, version, _ = re.fullmatch(r"([^_]+)_([^_]+)_([^_]+)\.deb", file).groups()  # type: ignore[union-attr]
    return f"{name}={unquote(version)}"


def _files(specification: str, architecture: str) -> set[str]:
    name, _, version = specification.partition("=")
    kinds = (architecture, "all")
    return {Package(name, version, kind, "", "root").file for kind in kinds}
