"""What became of each set: kept over runs, and told to the monitoring."""

import json
import time
from collections.abc import Callable
from typing import Any

from steelyard.backup.settings import BackupSettings
from steelyard.exposition import Exposition
from steelyard.secret_files import write_secret

STATE_FILE = "state.json"
METRICS_FILE = "steelyard_backup.prom"
# name of the metric -> (key in the record, what it tells)
_SETS = {
    "steelyard_backup_set_added_timestamp_seconds": ("added", "When the set was first known."),
    "steelyard_backup_last_run_timestamp_seconds": ("run", "When the set was last tried."),
    "steelyard_backup_last_run_success": ("ok", "1 when the last try succeeded, else 0."),
    "steelyard_backup_last_success_timestamp_seconds": (
        *("success", "When the set was last backed up."),
    ),
    "steelyard_backup_duration_seconds": ("seconds", "Time that the last backup took."),
    "steelyard_backup_stopped_seconds": ("stopped", "Time that units were stopped for it."),
    "steelyard_backup_processed_bytes": ("bytes", "Size of the set."),
    "steelyard_backup_added_bytes": ("added_bytes", "What it added to the repository."),
}
_CHECKS = {
    "steelyard_backup_check_success": ("ok", "1 when the last check succeeded, else 0."),
    "steelyard_backup_check_last_success_timestamp_seconds": (
        *("success", "When the repository was last checked and found well."),
    ),
}


class Record:
    """The file of what is known, and the text file that the node exporter reads."""

    def __init__(self, settings: BackupSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._file = settings.state_directory / STATE_FILE
        self._sets: dict[str, dict[str, Any]] = {}
        self._checks: dict[str, dict[str, Any]] = {}
        try:
            told = json.loads(self._file.read_text("utf-8"))
            self._sets, self._checks = told["sets"], told["checks"]
        except (FileNotFoundError, ValueError, KeyError):
            pass  # the first run, or a disk that was full: the times begin anew
        known = {one.name for one in settings.sets}
        self._sets = {name: told for name, told in self._sets.items() if name in known}
        for name in known - self._sets.keys():
            self._sets[name] = {"added": clock()}

    def note_set(self, name: str, told: dict[str, Any] | None) -> None:
        """What a try gave: None, it failed."""
        entry = self._sets[name]
        now = self._clock()
        entry.update(run=now, ok=int(told is not None))
        if told is not None:
            entry.update(told, success=now)
        self.write()

    def note_check(self, repository: str, *, good: bool) -> None:
        """What a check gave."""
        entry = self._checks.setdefault(repository, {})
        entry["ok"] = int(good)
        if good:
            entry["success"] = self._clock()
        self.write()

    def sets(self) -> dict[str, dict[str, Any]]:
        """What is known of each set."""
        return {name: dict(told) for name, told in sorted(self._sets.items())}

    def write(self) -> None:
        """Write both files, each in one step."""
        state = json.dumps({"sets": self._sets, "checks": self._checks})
        write_secret(self._file, state.encode())
        directory = self._settings.metrics_directory
        if directory is not None and directory.is_dir():
            write_secret(directory / METRICS_FILE, self.exposition().encode(), mode=0o644)

    def exposition(self) -> str:
        """The metrics in Prometheus' text format."""
        page = Exposition()
        for table, label, told in (
            (_SETS, "set", self._sets),
            (_CHECKS, "repository", self._checks),
        ):
            for metric, (key, meaning) in table.items():
                for name, one in sorted(told.items()):
                    if key in one:
                        page.set(metric, meaning, one[key], **{label: name})
        return page.text()
