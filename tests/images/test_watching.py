"""A root on trial is kept once the station is well; else the other one is next."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from infra.images.station.errors import SlotProblem
from infra.images.station.health import Health
from infra.images.station.slot_file import SlotFile, read, write
from infra.images.station.watching import Watch

WELL, ILL = Health(True), Health(False, "failed: x.service")


@dataclass
class Machine:
    """A station's machine: what it looks like from time to time, and what was done to it."""

    boot: object
    looks: list[object]
    writable: bool = True
    said: list[str] = field(default_factory=list)
    reboots: int = 0
    seconds: float = 0.0
    trials: set[bool] = field(default_factory=set)

    def look(self, trial):
        """The next of the looks; the last one stays."""
        self.trials.add(trial)
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def mounted(self):
        """The boot partition for writing, if its card lets that happen."""
        if not self.writable:
            raise OSError(30, "Read-only file system")
        yield

    def reboot(self):
        """Counted."""
        self.reboots += 1

    def pause(self, seconds):
        """No time is spent."""
        self.seconds += seconds

    def watch(self, slot="b", patience=60.0):
        """The watch of a slot's root on this machine."""
        return Watch(
            slot=slot,
            boot=self.boot,
            patience=patience,
            look=self.look,
            writable=self.mounted,
            say=self.said.append,
            reboot=self.reboot,
            clock=lambda: self.seconds,
            pause=self.pause,
        )


@pytest.fixture
def boot(tmp_path):
    """A boot partition on which b is tried, as its initramfs has noted."""
    (tmp_path / "slot.txt").write_bytes(SlotFile("a", "tried b").text())
    return tmp_path


def test_a_root_that_becomes_well_is_kept(boot):
    """Also after a time in which it was not; each reason is said once."""
    machine = Machine(boot, [ILL, ILL, OSError(5, "Input/output error"), WELL])
    assert machine.watch().run()
    assert read(boot) == SlotFile("b")
    assert machine.said == [
        "not well yet: failed: x.service",
        "not well yet: [Errno 5] Input/output error",
    ]
    assert machine.reboots == 0
    assert 60 < machine.seconds < 80
    assert machine.trials == {True}


def test_a_root_that_is_well_in_between_is_left(boot):
    """What starts, answers and dies again is not well, however often it answers."""
    machine = Machine(boot, [WELL, WELL, ILL] * 50 + [ILL])
    assert not machine.watch().run()
    assert read(boot) == SlotFile("a", "tried b")
    assert machine.reboots == 1
    assert 60 < machine.seconds < 80


def test_a_root_that_was_kept_is_ready_at_once(boot):
    """Nothing is at stake there."""
    write(boot, SlotFile("b"))
    machine = Machine(boot, [WELL])
    assert machine.watch().run()
    assert machine.seconds == 0
    assert machine.trials == {False}


@pytest.mark.parametrize("state", [SlotFile("a", "tried b"), SlotFile("b", "try b")])
@pytest.mark.parametrize("found", [ILL, OSError(5, "Input/output error")])
def test_a_root_that_is_not_well_in_time_is_left(boot, state, found):
    """The other is next, also where the initramfs could not write that."""
    write(boot, state)
    machine = Machine(boot, [found])
    assert not machine.watch().run()
    assert read(boot) == SlotFile("a", "tried b")
    assert machine.reboots == 1
    assert 60 < machine.seconds < 70
    assert machine.said[-1].startswith("<4>steelyard: root-b is not well, the other is started: ")


def test_a_card_that_cannot_be_written_keeps_nobody_from_starting_again(boot):
    """The initramfs has written what is next."""
    machine = Machine(boot, [ILL], writable=False)
    assert not machine.watch().run()
    assert machine.reboots == 1
    assert "slot.txt cannot be written" in machine.said[-1]


def test_a_well_root_that_cannot_be_kept_is_a_failure(boot):
    """It is told, and the unit tries again."""
    with pytest.raises(SlotProblem, match="root-b is well and cannot be kept"):
        Machine(boot, [WELL], writable=False).watch().run()


def test_a_root_that_was_kept_is_never_left(boot):
    """However long something is not well: there is nothing better to start."""
    write(boot, SlotFile("b"))
    machine = Machine(boot, [ILL] * 100 + [WELL])
    assert machine.watch().run()
    assert (machine.reboots, read(boot)) == (0, SlotFile("b"))


def test_a_slot_file_that_cannot_be_read_is_told(boot):
    """Nobody knows whether it is on trial: the station goes on."""
    (boot / "slot.txt").write_bytes(b"?" * 512)
    machine = Machine(boot, [ILL, WELL])
    assert machine.watch().run()
    assert machine.said[0].startswith("<4>steelyard: slot.txt is not what it should be")
    assert machine.reboots == 0
