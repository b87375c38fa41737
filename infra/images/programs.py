"""How the programs that make an image are called."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.images.errors import ImageProblem

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of what a program that failed said: the last line alone often is only where it gave up.
_LAST_LINES = 4


def run(
    command: Sequence[str | Path],
    *,
    seconds: float = 600,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    given: bytes | None = None,
) -> str:
    """The standard output of a program that must succeed; ImageProblem with its last words."""
    words = [str(word) for word in command]
    # A fixed zone and language: dates and sorting go into the image.
    fixed = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    try:
        done = subprocess.run(  # noqa: S603 - the callers' own arguments
            words,
            capture_output=True,
            timeout=seconds,
            env={**os.environ, **fixed, **(environment or {})},
            cwd=directory,
            input=given,
            check=False,
        )
    except FileNotFoundError:
        raise ImageProblem(f"{words[0]} is not installed: scripts/system-packages image") from None
    except subprocess.TimeoutExpired:
        raise ImageProblem(f"{words[0]} did not end within {seconds:g} s") from None
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip() or output.strip() or "it said nothing"
        last = " | ".join(said.splitlines()[-_LAST_LINES:])
        raise ImageProblem(f"{' '.join(words[:3])} … failed ({done.returncode}): {last}")
    return output
