"""Copy one SQLite database while it is in use: `python -m steelyard.backup.sqlite_copy FROM TO`.

A process of its own, because it runs as the database's owner: a reader of a database that is in
use writes beside it, and what it makes there must be the owner's.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy a database, and check the copy. Raises sqlite3.Error."""
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=30)) as original,
        closing(sqlite3.connect(target)) as made,
    ):
        original.backup(made)
        made.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = made.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))


def main(arguments: list[str]) -> int:
    """Exit status 1 with one line."""
    source, target = map(Path, arguments)
    try:
        copy(source, target)
    except sqlite3.Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
