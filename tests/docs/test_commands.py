"""What a page tells its reader to type is there: each command of ours, and each of its options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from steelyard.cli import steelyard

ROOT = Path(__file__).parent.parent.parent
# The reference is made of the commands themselves.
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")})
PAGES.remove(ROOT / "docs/reference/commands.md")
NAME = re.compile(r"[a-z][a-z-]*")


def told(page: str) -> Iterator[str]:
    """What follows `steelyard`, in a line's code and in code blocks."""
    blocks = re.findall(r"^ *```[a-z]*\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^ *```[a-z]*\n.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for text in [*re.findall(r"`([^`]+)`", rest), *lines]:
        for part in re.split(r"[|;]|&&", text):
            command = re.match(r"\s*(?:\$ |# )?(?:sudo )?(?:\S*/)?steelyard\s+(\S.*)", part)
            if command:
                yield " ".join(command[1].split())


def faults(words: str) -> list[str]:
    """What these words name that is not there."""
    command: click.Command = steelyard
    found = []
    try:
        parts = shlex.split(words, comments=True)
    except ValueError:
        parts = words.split()
    for word in parts:
        if isinstance(command, click.Group) and NAME.fullmatch(word):
            child = command.get_command(click.Context(command), word)
            if child is None:
                return [f"no command {word!r} in `steelyard {words}`"]
            command = child
        elif word.startswith("--") and len(word) > len("--"):
            option = word.partition("=")[0].rstrip(",.")
            own = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if option not in own | {"--help", "--version"}:
                found.append(f"no option {option} in `steelyard {words}`")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_tells_to_type_is_there(page: Path) -> None:
    """Every word that names a command of ours, and every option after it."""
    assert [fault for words in told(page.read_text("utf-8")) for fault in faults(words)] == []


def test_faults_are_found() -> None:
    """The pages have commands in both forms, and what is wrong in them is named."""
    page = "`steelyard alibi verify --tickets`\n```sh\nsudo steelyard smartbox \\\n  alibi x\n```\n"
    assert list(told(page)) == ["alibi verify --tickets", "smartbox alibi x"]
    assert faults("alibi verify --tickets") == []
    assert faults("smartbox alibi x") == ["no command 'alibi' in `steelyard smartbox alibi x`"]
    assert faults("alibi verify --other F") == [
        "no option --other in `steelyard alibi verify --other F`"
    ]
    assert sum(len(list(told(path.read_text("utf-8")))) for path in PAGES) > 50
