"""Forks SmartBoxes and load cells from one process that has imported everything.

Reads JSON lines on standard input and forks one child each; answers with the child's pid. A child
ends with `<exit_file>` holding its exit status, or dies.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path

import smartbox_kit  # noqa: F401 - imported here once, for the children
import structlog

from steelyard.loadcell.communicator import run_forked
from steelyard.loadcell.config import LoadCellConfig
from steelyard.smartbox.recorder import Storage
from steelyard.smartbox.service import SmartBox
from steelyard.smartbox.settings import SmartBoxSettings

PR_SET_PDEATHSIG = 1


def run_smartbox(command: dict) -> int:
    """A SmartBox that writes where it listens to its ready file, until it is killed."""
    from steelyard.smartbox.cli import run_smartbox as run

    log = Path(command["log"]).open("a")  # noqa: SIM115 - open as long as the process
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    if (number := command.get("die_at_fsync")) is not None:
        die_at_fsync(number)
    box = SmartBox(SmartBoxSettings(**command["settings"]), Path(command["replay"]))
    asyncio.run(run(box, lambda _: None))
    return 0


def die_at_fsync(number: int) -> None:
    """SIGKILL oneself right before the n-th fsync of the alibi memory."""
    real, left = os.fsync, [number]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    # It took os.fsync as its default when it was imported, before the fork.
    defaults = Storage.open.__func__.__kwdefaults__
    assert defaults["sync"] is real
    defaults["sync"] = fsync


def run_cell(command: dict) -> int:
    """A load cell until its file is sent."""
    values = command["config"]
    for name, value in values.items():
        if name.endswith("_file") and value is not None:
            values[name] = Path(value)
    sys.stderr = Path(command["log"]).open("a")  # noqa: SIM115 - open as long as the process
    return run_forked(LoadCellConfig(**values))


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    roles = {"smartbox": run_smartbox, "cell": run_cell}
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing outlives the test
            os.close(0)
            try:
                status = roles[command["role"]](command)
            except BaseException as error:  # noqa: BLE001 - the child must not go on as the parent
                with Path(command["log"]).open("a") as log:
                    log.write(f"{type(error).__name__}: {error}\n")
                status = 70
            Path(command["exit_file"]).write_text(str(status))
            os._exit(status)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
