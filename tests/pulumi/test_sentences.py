"""A known error of a dynamic provider is one sentence in the process that serves it."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.sentences import in_a_sentence

ROOT = Path(__file__).parents[2]
# What pulumi.dynamic does with an error, in a process that is called as its own is.
PROGRAM = """
import sys, traceback, types
sys.modules["__main__"].__spec__ = types.SimpleNamespace(name="pulumi.dynamic.__main__")
from infra.sentences import in_a_sentence
try:
    with in_a_sentence(KeyError):
        raise {error}("the reason")
except Exception:
    print(traceback.format_exc())
"""


def told(error: str) -> str:
    """What such a process tells of an error."""
    command = [sys.executable, "-c", PROGRAM.format(error=error)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_known_error_has_no_traceback():
    """And a bug keeps its own."""
    assert told("KeyError").strip() == "KeyError: 'the reason'"
    assert told("ValueError").startswith("Traceback")


def test_elsewhere_nothing_is_changed():
    """The limit is the interpreter's, and tests want their tracebacks."""
    with pytest.raises(KeyError), in_a_sentence(KeyError):
        raise KeyError
    assert not hasattr(sys, "tracebacklimit")
