"""Both forms of Tessera are known by what is in them, and get the Java that they need."""

import os
import zipfile
from pathlib import Path

import pytest
from fakeprograms import write_jar, write_java, write_program

from steelyard.network.errors import MissingProgram, WrongJava
from steelyard.network.java import Java, find_java, parse_version
from steelyard.network.tessera import Tessera, read_tessera

CONFIG = Path("/config.json")


@pytest.mark.parametrize(
    ("output", "release"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "9"', 9),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "11.0.2" 2019', 11),
        ("command not found", None),
        ("", None),
    ],
)
def test_java_says_its_version_in_many_ways(output: str, release: int | None) -> None:
    assert parse_version(output) == release


def test_the_configured_java_comes_first_then_its_home_then_the_path(tmp_path) -> None:
    one = write_java(tmp_path / "one" / "java", 'openjdk version "11.0.1"')
    two = write_java(tmp_path / "two" / "bin" / "java", 'openjdk version "17.0.1"')
    three = write_java(tmp_path / "three" / "java", 'openjdk version "21.0.1"')
    path = {"PATH": f"{three.parent}:{os.environ['PATH']}"}
    home = path | {"JAVA_HOME": str(two.parent.parent)}
    assert find_java(one, home) == Java(one, 11)
    assert find_java(None, home) == Java(two, 17)
    assert find_java(None, path) == Java(three, 21)


def test_no_java_is_one_sentence(tmp_path) -> None:
    with pytest.raises(WrongJava, match=r"there is none on the path.*STEELYARD_NETWORK_JAVA"):
        find_java(None, {"PATH": str(tmp_path)})
    with pytest.raises(WrongJava, match="nowhere/java cannot be run: No such file"):
        find_java(Path("/nowhere/java"))
    broken = write_program(tmp_path / "java", "#!/bin/sh\necho no such thing; exit 1\n")
    with pytest.raises(WrongJava, match="does not say which Java it is, but: no such thing"):
        find_java(broken)


def test_a_java_too_old_is_named_with_what_is_needed(tmp_path) -> None:
    """The class file itself says which Java loads it."""
    tessera = read_tessera(write_jar(tmp_path / "t.jar", java=17, version="24.4.2"), "test")
    tessera.check_java(Java(Path("/java"), 17))
    with pytest.raises(
        WrongJava, match=r"Tessera 24\.4\.2 .* needs Java 17 or newer; /java is Java 11"
    ):
        tessera.check_java(Java(Path("/java"), 11))


@pytest.mark.parametrize("binding", ["", "javax", "jakarta"])
def test_a_tessera_that_was_built_for_java_8_says_so(tmp_path, binding: str) -> None:
    """It relies on what Java had until 10, and would end with the name of a class as its reason."""
    jar = write_jar(tmp_path / "t.jar", version="0.10.2", binding=binding)
    tessera = read_tessera(jar, "test")
    tessera.check_java(Java(Path("/java"), 8))
    tessera.check_java(Java(Path("/java"), 10))
    if binding:
        tessera.check_java(Java(Path("/java"), 11))
        return
    with pytest.raises(
        WrongJava, match=r"0\.10\.2 .* no javax\.xml\.bind.* until 10; /java is Java 17"
    ):
        tessera.check_java(Java(Path("/java"), 17))


def test_what_a_distribution_brings_may_be_in_any_of_its_jars(distribution: Path) -> None:
    """The binding is a jar of its own there."""
    write_jar(distribution / "lib" / "tessera-launcher-24.4.2.jar", java=8, binding="")
    assert read_tessera(distribution, "test").last_java == 10
    with zipfile.ZipFile(distribution / "lib" / "jakarta.xml.bind-api-3.0.1.jar", "w") as jar:
        jar.writestr("jakarta/xml/bind/JAXBContext.class", b"")
    assert read_tessera(distribution, "test").last_java is None


@pytest.mark.parametrize("version", ["0.10.6", "20.10.1", "21.4.1", "24.4.2", None])
@pytest.mark.parametrize(("release", "opened"), [(8, False), (15, False), (16, True), (21, True)])
def test_packages_are_opened_where_java_closed_them(version, release: int, opened: bool) -> None:
    """From Java 16 on, whatever the Tessera: an uber jar of 21 has no start script to do it."""
    tessera = Tessera(Path("/t.jar"), True, version, None, False)
    options = tessera.java_options(Java(Path("/java"), release), 256)
    assert ("--add-opens=java.base/java.lang=ALL-UNNAMED" in options) is opened
    assert "-Xmx256m" in options


def test_an_uber_jar_is_run_by_java(tmp_path) -> None:
    jar = write_jar(tmp_path / "tessera-app.jar", java=11, version="20.10.1")
    tessera = read_tessera(jar, "test")
    assert (tessera.version, tessera.needed_java, tessera.uber_jar) == ("20.10.1", 11, True)
    java = Java(Path("/jdk/bin/java"), 17)
    command = tessera.command(java, 100, CONFIG)
    assert command[0] == "/jdk/bin/java"
    assert command[-4:] == ["-jar", str(jar), "-configfile", "/config.json"]
    assert tessera.environment(java, 100) == {}


def test_a_distribution_is_found_by_any_of_its_names(distribution: Path) -> None:
    """Its directory, the directory around it, and its script; its jars tell the rest."""
    script = distribution / "bin" / "tessera"
    for name in (distribution, distribution.parent, script):
        tessera = read_tessera(name, "test")
        assert tessera.program == script
        assert (tessera.version, tessera.needed_java) == ("24.4.2", 17)
        assert not tessera.uber_jar
    java = Java(Path("/jdk/bin/java"), 17)
    assert tessera.command(java, 100, CONFIG) == [str(script), "-configfile", "/config.json"]
    environment = tessera.environment(java, 100)
    assert "-Xmx100m" in environment["JAVA_OPTS"]
    assert environment["JAVA_HOME"] == "/jdk"


def test_a_directory_with_one_uber_jar_is_that_jar(tmp_path) -> None:
    jar = write_jar(tmp_path / "content" / "tessera-app.jar")
    assert read_tessera(tmp_path / "content", "test").program == jar


def test_h2_says_whether_it_takes_value_for_a_keyword(tmp_path) -> None:
    settings = {"org/h2/command/dml/SetTypes.class": b"..NON_KEYWORDS.."}
    assert read_tessera(write_jar(tmp_path / "new.jar", **settings), "test").reserves_value
    settings = {"org/h2/command/dml/SetTypes.class": b"..MODE.."}
    assert not read_tessera(write_jar(tmp_path / "old.jar", **settings), "test").reserves_value


def test_what_is_no_tessera_is_one_sentence(tmp_path) -> None:
    with pytest.raises(MissingProgram, match=r"nothing is not there \(STEELYARD_TESSERA\)"):
        read_tessera(tmp_path / "nothing", "STEELYARD_TESSERA")
    with pytest.raises(MissingProgram, match="holds neither bin/tessera nor one uber jar"):
        read_tessera(tmp_path, "test")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(MissingProgram, match="neither a jar nor a program that can be run"):
        read_tessera(tmp_path / "text", "test")
    other = tmp_path / "other.jar"
    with zipfile.ZipFile(other, "w") as jar:
        jar.writestr("Other.class", b"")
    with pytest.raises(MissingProgram, match="no uber jar of Tessera"):
        read_tessera(other, "test")


@pytest.mark.parametrize("java", [11, 17])
def test_a_tessera_that_is_built_for_a_newer_java_never_relied_on_it(tmp_path, java: int) -> None:
    """Else no Java at all would be both new and old enough."""
    jar = write_jar(tmp_path / "t.jar", java=java, binding="")
    read_tessera(jar, "test").check_java(Java(Path("/java"), java))
