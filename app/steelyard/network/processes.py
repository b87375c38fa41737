"""Processes that outlive their starter, known by id and start time together.

A process id alone may belong to another process by now. Signals go through a pidfd that is opened
before the start time is compared, so that even between the two nobody else can be hit.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from steelyard.network.errors import NetworkProblem
from steelyard.network.state import ProcessRecord

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PR_SET_PDEATHSIG = 1
_KILLED_SECONDS = 10.0
_LOG_LINES = 8
_LOG_BYTES = 65_536
_LINE_LENGTH = 300


class _Outliving(subprocess.Popen[bytes]):
    """A child that is meant to go on without this object."""

    def __del__(self) -> None:
        """Say nothing about a child that still runs."""


def spawn(
    command: Sequence[str],
    log: Path,
    *,
    directory: Path,
    environment: Mapping[str, str],
    tethered: bool = False,
) -> ProcessRecord:
    """Start a process in a session of its own, its output behind what the log has.

    A tethered one gets SIGTERM when the thread that started it ends. Raises NetworkProblem when the
    program cannot be run.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        offset = os.fstat(descriptor).st_size
        child = _Outliving(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=directory,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=_tether if tethered else None,
        )
    except OSError as error:
        raise NetworkProblem(f"{command[0]} cannot be run: {error.strerror}") from None
    finally:
        os.close(descriptor)
    record = record_of(child.pid)
    if record is None:  # not even a zombie of ours can vanish before it is waited for
        raise NetworkProblem(f"{command[0]}: process {child.pid} cannot be seen in /proc")
    return record.model_copy(update={"log_offset": offset})


def record_of(pid: int) -> ProcessRecord | None:
    """The process that has this id now, or None."""
    fields = _stat(pid)
    if fields is None:
        return None
    return ProcessRecord(pid=pid, started=int(fields[19]), boot=_boot())


def _tether() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def alive(record: ProcessRecord) -> bool:
    """Whether this very process runs, or is held by SIGSTOP."""
    fields = _stat_of(record)
    return fields is not None and fields[0] not in "ZX"


def send(record: ProcessRecord, number: signal.Signals) -> bool:
    """Signal this very process; False when it is gone."""
    with _opened(record) as descriptor:
        if descriptor is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
            return True
        return False


def end(records: Sequence[ProcessRecord], seconds: float) -> int:
    """SIGTERM to all, SIGKILL to those that are there after so long. Gives how many were killed."""
    for record in records:
        if send(record, signal.SIGTERM):
            send(record, signal.SIGCONT)  # a process held by SIGSTOP would not hear it
    left = wait_for_ends(records, seconds)
    for record in left:
        send(record, signal.SIGKILL)
    if still := wait_for_ends(left, _KILLED_SECONDS):
        names = ", ".join(str(record.pid) for record in still)
        raise NetworkProblem(f"processes {names} do not end, not even by SIGKILL")
    return len(left)


def kill(record: ProcessRecord) -> None:
    """SIGKILL, and wait until it is gone."""
    send(record, signal.SIGKILL)
    if wait_for_ends([record], _KILLED_SECONDS):
        raise NetworkProblem(f"process {record.pid} does not end, not even by SIGKILL")


def fate(record: ProcessRecord) -> str:
    """How a process ended, as far as its starter can know; it is waited for."""
    try:
        pid, status = os.waitpid(record.pid, os.WNOHANG)
    except ChildProcessError:
        return "ended"
    if pid == 0:
        return "runs"
    if os.WIFSIGNALED(status):
        return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with status {os.waitstatus_to_exitcode(status)}"


def log_end(log: Path, offset: int = 0) -> list[str]:
    """The last lines that a log got after a position."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(offset, size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line[:_LINE_LENGTH] for line in lines[-_LOG_LINES:]]


def wait_for_ends(records: Sequence[ProcessRecord], seconds: float) -> list[ProcessRecord]:
    """Wait for their ends; gives those that are still there."""
    deadline = time.monotonic() + seconds
    left = []
    for record in records:
        with _opened(record) as descriptor:
            if descriptor is None:
                continue
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                left.append(record)
                continue
        fate(record)
    return left


@contextmanager
def _opened(record: ProcessRecord) -> Iterator[int | None]:
    """A pidfd of this very process, or None when it is gone.

    One whose first thread has ended is still there: its other threads may hold its ports.
    """
    try:
        descriptor = os.pidfd_open(record.pid)
    except (ProcessLookupError, OSError):
        yield None
        return
    try:
        yield descriptor if _stat_of(record) else None
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (the state) on; proc(5)."""
    try:
        # The command's name, in parentheses, may hold blanks.
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def _stat_of(record: ProcessRecord) -> list[str] | None:
    """The fields of this very process, and of no other that got its id."""
    fields = _stat(record.pid)
    if fields is None or int(fields[19]) != record.started or record.boot != _boot():
        return None
    return fields


def _boot() -> str:
    return _BOOT_ID.read_text("ascii").strip()
