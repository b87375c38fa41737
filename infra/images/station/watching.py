"""A root's first minutes: it is kept once the station is well, or the other one is started."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from .errors import SlotProblem
from .health import Health
from .slot_file import SlotFile, is_on_trial, other, read, write

PAUSE = 3.0
# So long a root on trial must have been well without a break: what starts, answers and dies is not.
STEADY = 60.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What watches the root of a slot.

    `look` says whether the station is well, and is told whether the root is on trial. `writable`
    mounts the boot partition for writing, `say` prints a line, and `reboot` does not wait for
    anything. A root on trial has `patience` seconds to become well, and is kept once it was well
    for STEADY seconds on end.
    """

    slot: str
    boot: Path
    patience: float
    look: Callable[[bool], Health]
    writable: Callable[[], AbstractContextManager[None]]
    say: Callable[[str], None]
    reboot: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def run(self) -> bool:
        """Whether this root stays. Where it does not, the other one was asked for."""
        ends = self.clock() + self.patience
        trial, said = self._is_on_trial(), ""
        since: float | None = None
        while True:
            health, now = self._look(trial), self.clock()
            if health.well:
                since = now if since is None else since
                if not trial or now - since >= STEADY:
                    break
            else:
                since = None
                if health.reason != said:
                    said = health.reason
                    self.say(f"not well yet: {said}")
                if trial and now > ends:
                    self._go_back(said)
                    return False
            self.pause(PAUSE)
        if trial:
            self._keep()
        return True

    def _is_on_trial(self) -> bool:
        try:
            return is_on_trial(read(self.boot), self.slot)
        except SlotProblem as problem:
            # Whether it is on trial is not known, and to start again and again would help nobody.
            self.say(f"<4>steelyard: {problem}")
            return False

    def _look(self, trial: bool) -> Health:
        try:
            return self.look(trial)
        except (OSError, ValueError) as error:
            return Health(False, str(error))

    def _keep(self) -> None:
        try:
            with self.writable():
                write(self.boot, SlotFile(self.slot))
        except OSError as error:
            raise SlotProblem(f"root-{self.slot} is well and cannot be kept: {error}") from None

    def _go_back(self, reason: str) -> None:
        # A warning, by systemd's prefix: such is kept on the data partition.
        self.say(f"<4>steelyard: root-{self.slot} is not well, the other is started: {reason}")
        try:
            with self.writable():
                write(self.boot, SlotFile(other(self.slot), f"tried {self.slot}"))
        except OSError as error:
            # The initramfs has written it already, where it could.
            self.say(f"<4>steelyard: slot.txt cannot be written: {error}")
        self.reboot()
