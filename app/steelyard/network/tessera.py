"""The two forms of Tessera: one uber jar (to 21.4), or an unpacked distribution (from 21.7)."""

import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.network.errors import MissingProgram, WrongJava
from steelyard.network.java import Java, needed_release

MAIN_CLASS = "com/quorum/tessera/launcher/Main.class"
_CLOSED_JAVA = 16  # from here on Java refuses reflection into packages that are not opened
_OPENED = ("lang", "util", "net", "io")
_SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_VERSION = re.compile(r"^(?:Tessera|Implementation|Specification)-Version: *(\S+)", re.MULTILINE)
_H2_SETTINGS = "org/h2/command/dml/SetTypes.class"
# Java has the first until 10. A Tessera that is built for an older one may rely on that.
_BINDINGS = {"javax/xml/bind/JAXBContext.class", "jakarta/xml/bind/JAXBContext.class"}
_LAST_BINDING_JAVA = 10


@dataclass(frozen=True, slots=True)
class Tessera:
    """A Tessera that can be run. `version` is None where its jars do not tell it.

    `needed_java` is the oldest Java that can load its main class, `last_java` the newest that has
    what it does not bring itself (None: it brings all). `reserves_value` says whether its H2 (2.0
    and newer) takes VALUE for a keyword unless it is told not to.
    """

    program: Path
    uber_jar: bool
    version: str | None
    needed_java: int | None
    reserves_value: bool
    last_java: int | None = None

    def check_java(self, java: Java) -> None:
        """Raises WrongJava when this Java is too old, or too new."""
        name = f"Tessera {self.version or ''} ({self.program})"
        if self.needed_java is not None and java.release < self.needed_java:
            raise WrongJava(
                f"{name} needs Java {self.needed_java} or newer; {java.path} is Java {java.release}"
            )
        if self.last_java is not None and java.release > self.last_java:
            raise WrongJava(
                f"{name} has no javax.xml.bind, which Java itself has until {self.last_java}; "
                f"{java.path} is Java {java.release}"
            )

    def java_options(self, java: Java, heap: int) -> list[str]:
        """Options of the virtual machine; `heap` in megabytes."""
        options = [f"-Xmx{heap}m", *_SMALL]
        # A distribution may do so itself; to open what is open does no harm.
        if java.release >= _CLOSED_JAVA:
            options += [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED]
        return options

    def command(self, java: Java, heap: int, configuration: Path) -> list[str]:
        """The command line."""
        if not self.uber_jar:
            return [str(self.program), "-configfile", str(configuration)]
        options = self.java_options(java, heap)
        jar = ["-jar", str(self.program)]
        return [str(java.path), *options, *jar, "-configfile", str(configuration)]

    def environment(self, java: Java, heap: int) -> dict[str, str]:
        """What the distribution's start script reads: it finds Java by JAVA_HOME or the path."""
        if self.uber_jar:
            return {}
        options = " ".join(self.java_options(java, heap))
        found = java.path.resolve()
        if found.parent.name == "bin" and found.name == "java":
            return {"JAVA_OPTS": options, "JAVA_HOME": str(found.parent.parent)}
        path = os.pathsep.join([str(java.path.parent), os.environ.get("PATH", "")])
        return {"JAVA_OPTS": options, "PATH": path, "JAVA_HOME": ""}


def read_tessera(path: Path, origin: str) -> Tessera:
    """Look at a jar, a distribution's directory or its bin/tessera. Raises MissingProgram."""
    if path.is_dir():
        return read_tessera(_inside(path, origin), origin)
    if not path.is_file():
        raise MissingProgram(f"Tessera: {path} is not there ({origin})")
    if zipfile.is_zipfile(path):
        return _described(path, [path], origin, uber_jar=True)
    if not os.access(path, os.X_OK):
        raise MissingProgram(
            f"Tessera: {path} is neither a jar nor a program that can be run ({origin})"
        )
    # The script of a distribution stands in bin, beside lib; a wrapper of the operator's may not.
    jars = sorted((path.resolve().parent.parent / "lib").glob("*.jar"))
    return _described(path, jars, origin, uber_jar=False)


def _inside(directory: Path, origin: str) -> Path:
    """The program in an unpacked distribution, or in the one directory that an archive holds."""
    for base in (directory, *sorted(one for one in directory.iterdir() if one.is_dir())):
        script = base / "bin" / "tessera"
        if script.is_file():
            return script
    jars = sorted(one for one in directory.glob("*.jar") if _has_main(one))
    if len(jars) == 1:
        return jars[0]
    raise MissingProgram(
        f"Tessera: {directory} holds neither bin/tessera nor one uber jar ({origin})"
    )


def _has_main(jar: Path) -> bool:
    if not zipfile.is_zipfile(jar):
        return False
    with zipfile.ZipFile(jar) as archive:
        return MAIN_CLASS in archive.namelist()


def _described(program: Path, jars: Sequence[Path], origin: str, *, uber_jar: bool) -> Tessera:
    version, needed, reserves, binds = None, None, False, False
    try:
        for jar in jars:
            with zipfile.ZipFile(jar) as archive:
                names = set(archive.namelist())
                if MAIN_CLASS in names:
                    version = _version(archive, jar)
                    needed = needed_release(archive, MAIN_CLASS)
                if _H2_SETTINGS in names:
                    reserves = b"NON_KEYWORDS" in archive.read(_H2_SETTINGS)
                binds = binds or not _BINDINGS.isdisjoint(names)
    except (zipfile.BadZipFile, OSError) as error:
        raise MissingProgram(f"Tessera: a jar of {program} cannot be read: {error}") from None
    if uber_jar and needed is None:
        raise MissingProgram(
            f"Tessera: {program} has no {MAIN_CLASS}: it is no uber jar of Tessera ({origin}); "
            "a newer Tessera is a distribution, to be named by its directory or bin/tessera"
        )
    relies = needed is not None and needed <= _LAST_BINDING_JAVA and not binds
    last = _LAST_BINDING_JAVA if relies else None
    return Tessera(program, uber_jar, version, needed, reserves, last)


def _version(archive: zipfile.ZipFile, jar: Path) -> str | None:
    try:
        manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
    except KeyError:
        manifest = ""
    found = _VERSION.search(manifest) or re.search(r"-(\d+(?:\.\d+)+)", jar.name)
    return found[1] if found else None
