"""Settings: the environment wins over the file, and a mistake is named with where it came from."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from steelyard.errors import ConfigurationError
from steelyard.settings import Section


class ExampleSettings(Section):
    """A room's settings."""

    section: ClassVar[str] = "example"
    port: int = Field(default=8443, ge=0, le=65535)
    name: str
    key_file: Path | None = None


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "EXAMPLE_PORT", "EXAMPLE_NAME"):
        monkeypatch.delenv(f"STEELYARD_{name}", raising=False)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "steelyard.toml"
    path.write_text('[example]\nname = "from the file"\nport = 1\n')
    return path


def test_the_environment_wins_over_the_file(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable overrides its line in the file; the rest of the file stands."""
    monkeypatch.setenv("STEELYARD_EXAMPLE_PORT", "2")
    settings = ExampleSettings.load(toml)
    assert (settings.port, settings.name) == (2, "from the file")


def test_the_file_may_be_named_by_a_variable(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STEELYARD_CONFIG names the file where no option does."""
    monkeypatch.setenv("STEELYARD_CONFIG", str(toml))
    assert ExampleSettings.load().port == 1


def refused(path: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ExampleSettings.load(path)
    return str(caught.value)


def test_a_wrong_variable_is_named(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has the setting, what is allowed, and the variable."""
    monkeypatch.setenv("STEELYARD_EXAMPLE_PORT", "70000")
    sentence = refused(toml)
    assert "example.port" in sentence
    assert "65535" in sentence
    assert "the environment variable STEELYARD_EXAMPLE_PORT" in sentence


def test_a_wrong_line_in_the_file_is_named(toml: Path) -> None:
    """The sentence has the file's name, and an unknown setting is a mistake too."""
    toml.write_text('[example]\nname = "x"\nprot = 1\n')
    sentence = refused(toml)
    assert "example.prot" in sentence
    assert str(toml) in sentence


def test_a_missing_setting_says_how_to_give_it() -> None:
    """What is nowhere is named with both ways to say it."""
    sentence = refused()
    assert "STEELYARD_EXAMPLE_NAME" in sentence
    assert "[example] name" in sentence


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"[example\n", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        (b"example = 3\n", "must be a table"),
    ],
)
def test_a_broken_file_is_named(toml: Path, content: bytes, part: str) -> None:
    """No traceback for a file that is not TOML."""
    toml.write_bytes(content)
    assert part in refused(toml)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path is in the sentence."""
    assert "none.toml: cannot be read" in refused(tmp_path / "none.toml")
