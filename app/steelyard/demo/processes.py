"""The demo's processes: each runs one `steelyard` command, forked from one preloaded parent.

Forking shares the pages of the imported packages, as the 21 processes of the experiment would
otherwise hold 21 copies of them; each still is a process of its own with its own sockets and files.
"""

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import set_forkserver_preload
from pathlib import Path
from typing import Self

from steelyard.errors import Problem

PRELOAD = "steelyard.demo.preload"
_PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0
_LOG_LINES = 8


class ProcessFailed(Problem):
    """A process of the demo ended by itself; the message has the end of its log."""

    slug = "demo-process-failed"
    title = "A process of the demo failed"


@dataclass(frozen=True, slots=True)
class Command:
    """What a process is to run: `steelyard ARGUMENTS` with these variables."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    stop_seconds: float = STOP_SECONDS


class Processes:
    """Starts, watches and stops the demo's processes; used as a context manager."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[Command, ForkServerProcess]] = {}

    def __enter__(self) -> Self:
        set_forkserver_preload([PRELOAD])
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def start(self, command: Command) -> None:
        """Start a process; its output goes to the command's log."""
        process = ForkServerProcess(
            target=run_command, args=(command,), name=command.name, daemon=False
        )
        try:
            process.start()
        except OSError as error:
            # The fork server's socket lies in the temporary directory; unix(7) allows 107 bytes.
            raise ProcessFailed(
                f"{command.name} cannot be started: {error}; TMPDIR is {tempfile.gettempdir()}"
            ) from None
        self._running[command.name] = (command, process)

    def check(self) -> None:
        """Raise ProcessFailed if any process ended with an error that nobody asked for."""
        for command, process in self._running.values():
            if process.exitcode:
                raise ProcessFailed(
                    f"{command.name} ended with status {process.exitcode}: {log_end(command.log)}"
                )

    def ended(self, name: str) -> bool:
        """Whether a process has ended by itself, with success."""
        return self._running[name][1].exitcode == 0

    def names(self) -> list[str]:
        """The processes that were started and not stopped."""
        return list(self._running)

    def stop(self, name: str) -> None:
        """Ask one process to end, wait, and make it end if it does not."""
        _end([self._running.pop(name)])

    def stop_all(self) -> None:
        """Stop the processes, the last started first, those that talk before those they talk to."""
        processes = list(reversed(self._running.values()))
        self._running.clear()
        _end(processes)

    def memory(self) -> int:
        """The bytes that all processes, what they started and the demo itself hold.

        Shared pages are counted once.
        """
        pids = [os.getpid(), *(p.pid for _, p in self._running.values() if p.pid)]
        pids += {parent for pid in pids[1:] if (parent := _parent(pid)) and parent not in pids}
        pids += self._children()
        return sum(proportional_set_size(pid) for pid in pids)

    def count(self) -> int:
        """How many processes there are, with those that they started themselves."""
        return len(self._running) + len(self._children())

    def _children(self) -> list[int]:
        """Processes of processes: the engines that a network's process runs."""
        pids = [process.pid for _, process in self._running.values() if process.pid]
        return [child for pid in pids for child in _children(pid)]


def run_command(command: Command) -> None:
    """In the child: become `steelyard ARGUMENTS`."""
    # When the demo goes, even by SIGKILL, the fork server sees the end of a pipe and goes, and with
    # it, by this signal, all processes. They must not hold that pipe's other end open themselves.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.setsid()
    _redirect(command.log)
    os.environ.update(command.environment)
    sys.argv = ["steelyard", *command.arguments]
    from steelyard.cli import main

    main()


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.close(null)


def _end(processes: Sequence[tuple[Command, ForkServerProcess]]) -> None:
    for _, process in processes:
        if process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
    asked = time.monotonic()
    for command, process in processes:
        process.join(max(0.1, asked + command.stop_seconds - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


def log_end(log: Path) -> str:
    """The last lines of a process's log, on one line."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return " | ".join(lines[-_LOG_LINES:]) or "it wrote nothing"


def proportional_set_size(pid: int) -> int:
    """Bytes in memory, each shared page divided by the number of its sharers (proc(5), Pss)."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
    return int(fields["Pss"].split()[0]) * 1024


def _children(pid: int) -> list[int]:
    try:
        # One file a thread (proc(5)): any of them may have started a process.
        files = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for file in files for child in file.read_text("ascii").split()]
    except OSError:
        return []


def _parent(pid: int) -> int | None:
    try:
        # The command's name, in parentheses, may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1])
