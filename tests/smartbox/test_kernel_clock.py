"""Who may set the kernel's clock finds the time in a file."""

from pathlib import Path

from structlog.testing import capture_logs

from steelyard.smartbox.kernel_clock import KernelClock
from steelyard.smartbox.station_clock import KERNEL, PLATFORM
from steelyard.smartbox.timing import KnownTime


def test_the_time_is_left_where_the_kernel_has_another(tmp_path: Path) -> None:
    """With the uptime that goes with it, once a minute, and no more once the kernel has it."""
    path = tmp_path / "time"
    wall = 1_000_000
    clock = KernelClock(path, lambda: wall)
    clock.compare(KnownTime(1_002_000, "b", 500, PLATFORM))
    assert not path.exists()
    clock.compare(KnownTime(1_002_001, "b", 501, PLATFORM))
    assert path.read_text() == "1002001 501\n"
    clock.compare(KnownTime(1_062_000, "b", 60_500, PLATFORM))
    assert path.read_text() == "1002001 501\n"
    clock.compare(KnownTime(1_062_001, "b", 60_501, PLATFORM))
    assert path.read_text() == "1062001 60501\n"
    assert [one.name for one in tmp_path.iterdir()] == ["time"]
    path.unlink()
    wall = 1_200_000
    clock.compare(KnownTime(1_200_000, "b", 300_000, PLATFORM))
    assert not path.exists()


def test_a_clock_that_is_ahead_is_wrong_too(tmp_path: Path) -> None:
    """By hand, or from a battery."""
    path = tmp_path / "time"
    KernelClock(path, lambda: 9_000_000).compare(KnownTime(1000, "b", 7, PLATFORM))
    assert path.read_text() == "1000 7\n"


def test_a_time_server_and_a_machine_that_keeps_its_own_are_left_alone(tmp_path: Path) -> None:
    """The kernel knows it better where a time server told it."""
    KernelClock(tmp_path / "time", lambda: 0).compare(KnownTime(10**12, "b", 7, KERNEL))
    KernelClock(None, lambda: 0).compare(KnownTime(10**12, "b", 7, PLATFORM))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """It is said, once a minute."""
    clock = KernelClock(tmp_path / "none/time", lambda: 0)
    with capture_logs() as lines:
        clock.compare(KnownTime(10**12, "b", 0, PLATFORM))
        clock.compare(KnownTime(10**12, "b", 5000, PLATFORM))
    (line,) = lines
    assert (line["event"], line["problem"]) == (
        "the time cannot be left",
        "No such file or directory",
    )
