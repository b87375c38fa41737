"""systemd's units around a copy: stopped in order, and started again whatever happens."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from steelyard.backup.errors import BackupFailed

_FILE = "stopped.json"


class Units:
    """Stops and starts. What is stopped is noted in a file, for whoever cleans up after a crash."""

    def __init__(self, systemctl: str, directory: Path) -> None:
        self._systemctl = systemctl
        self._file = directory / _FILE

    def is_active(self, unit: str) -> bool:
        """Whether it runs, or is about to."""
        return self._run("is-active", unit).stdout.strip() in {"active", "activating", "reloading"}

    def is_enabled(self, unit: str) -> bool:
        """Whether it starts with the machine."""
        return self._run("is-enabled", "--quiet", unit).returncode == 0

    @contextlib.contextmanager
    def stopped(self, units: Sequence[str]) -> Iterator[None]:
        """Stop those that run, in order; start them again in the reverse order."""
        try:
            self.stop(units)
            yield
        finally:
            self.resume()

    def stop(self, units: Sequence[str]) -> None:
        """Stop those that run, and note them first."""
        running = [unit for unit in units if self.is_active(unit)]
        if not running:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        noted = self._noted()
        self._file.write_text(json.dumps([*noted, *running]), "utf-8")
        for unit in running:
            self._must("stop", unit)

    def resume(self) -> None:
        """Start what is noted, in the reverse order; every one is tried."""
        failed: list[BackupFailed] = []
        for unit in reversed(self._noted()):
            try:
                self._must("start", unit)
            except BackupFailed as failure:
                failed.append(failure)
        self._file.unlink(missing_ok=True)
        if failed:
            raise failed[0]

    def start(self, units: Sequence[str]) -> None:
        """Start units in the given order."""
        for unit in units:
            self._must("start", unit)

    def forget(self) -> None:
        """Leave what is stopped as it is."""
        self._file.unlink(missing_ok=True)

    def _noted(self) -> list[str]:
        try:
            return list(json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return []

    def _must(self, verb: str, unit: str) -> None:
        done = self._run(verb, unit)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise BackupFailed(f"{unit}: systemctl {verb} failed: {lines[0]}")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own arguments
            [self._systemctl, *arguments], capture_output=True, text=True, check=False
        )
