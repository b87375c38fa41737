"""The command line: one line for what went wrong, and nothing that it must not say."""

import sys

import click
import pytest

from steelyard import cli
from steelyard.errors import ConfigurationError


def run(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, *arguments: str) -> int:
    """Run the command with a subcommand that raises; the exit status."""

    @click.command()
    def broken() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(cli.steelyard, "get_command", lambda *_: broken)
    monkeypatch.setattr(sys, "argv", ["steelyard", "broken", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_problem_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The problem's sentence on standard error, exit status 1."""
    assert run(monkeypatch, ConfigurationError("store.url: must be set")) == 1
    assert capsys.readouterr().err == "steelyard: store.url: must be set\n"


def test_a_fault_of_ours_shows_neither_text_nor_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception's text may hold a secret: only its kind is shown."""
    monkeypatch.delenv("STEELYARD_DEBUG", raising=False)
    assert run(monkeypatch, ValueError("s3cret")) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ValueError" in said
    assert "s3cret" not in said
    assert "Traceback" not in said


def test_debugging_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """With STEELYARD_DEBUG the exception goes through."""
    monkeypatch.setenv("STEELYARD_DEBUG", "1")
    with pytest.raises(ValueError, match="s3cret"):
        run(monkeypatch, ValueError("s3cret"))


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help(name: str) -> None:
    """Every command of the table can be imported and explains itself."""
    context = click.Context(cli.steelyard)
    command = cli.steelyard.get_command(context, name)
    assert command is not None
    assert command.get_short_help_str()
