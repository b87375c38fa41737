"""The program steelyard-slot: status, install, watch, health."""

import argparse
import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .before import Before
from .errors import SlotProblem
from .health import Health, has_network, look
from .install import Station, install
from .slot_file import is_on_trial, read
from .watching import Watch

BOOT = Path("/boot/firmware")
KEY = Path("/usr/share/steelyard/update-key.pem")
RELEASE = Path("/usr/share/steelyard/release.json")
CONFIGURATION = Path("/data/steelyard/smartbox/enrolment/smartbox.toml")
KEEP_LOG = Path("/usr/local/sbin/steelyard-keep-log")
TRIAL = Path("/run/steelyard-trial")  # the initramfs's, for steelyard-slot-end
BEFORE = Path("/data/before-trial.json")
PROGRAM = Path("/opt/steelyard/station/current/venv/bin/steelyard")
_PATIENCE = 600.0  # seconds that a root on trial has; an emulated board is slow
_KEEPING = 60.0


def main() -> int:
    """Exit status 0, or 1 with a sentence."""
    parser = argparse.ArgumentParser(prog="steelyard-slot", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("status", help="which root runs, and which is next, as JSON")
    verbs.add_parser("health", help="whether the station is well")
    verbs.add_parser("watch", help="keep a root on trial once the station is well")
    verbs.add_parser("settled", help="whether no root is on trial: exit status 1 while one is")
    given = verbs.add_parser(
        "install", help="write an update into the other slot; it is tried next"
    )
    given.add_argument("bundle", type=Path)
    options = parser.parse_args()
    try:
        return {
            "status": _status,
            "health": _health,
            "watch": _watch,
            "settled": _settled,
            "install": _install,
        }[options.verb](options)
    except (SlotProblem, OSError) as problem:
        sys.stderr.write(f"steelyard-slot: {_sentence(problem)}\n")
        return 1


def _sentence(problem: Exception) -> str:
    """Without the number that the system has for it."""
    if not isinstance(problem, OSError) or problem.strerror is None:
        return str(problem)
    return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror


def running(words: str) -> str:
    """The slot that a kernel's command line names. Raises SlotProblem."""
    for word in words.split():
        if word in ("steelyard.slot=a", "steelyard.slot=b"):
            return word[-1]
    raise SlotProblem("the kernel was not told which slot it is of")


def _status(options: argparse.Namespace) -> int:
    _ = options
    slots = read(BOOT)
    told = {"running": _running(), "next": slots.next, "state": slots.state, **_release()}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def _health(options: argparse.Namespace) -> int:
    _ = options
    health = look(CONFIGURATION, PROGRAM)
    sys.stdout.write("well\n" if health.well else f"{health.reason}\n")
    return 0 if health.well else 1


def _watch(options: argparse.Namespace) -> int:
    _ = options
    slot = _running()
    watch = Watch(
        slot=slot,
        boot=BOOT,
        patience=_PATIENCE,
        look=_look,
        writable=lambda: _writable(BOOT),
        say=_say,
        reboot=_reboot,
    )
    if not watch.run():
        return 0
    TRIAL.unlink(missing_ok=True)
    uptime = Path("/proc/uptime").read_text("ascii").split()[0]
    _say(f"steelyard: ready after {uptime} s, root-{slot} is well, version {_release()['version']}")
    return 0


def _look(trial: bool) -> Health:
    # For a cable that is out only an update is to answer: a root that was kept stays.
    return look(CONFIGURATION, PROGRAM, network=trial and Before.read(BEFORE).network)


def _settled(options: argparse.Namespace) -> int:
    _ = options
    trial = is_on_trial(read(BOOT), _running())
    _say("on trial" if trial else "settled")
    return 1 if trial else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _reboot() -> None:
    """At once: what stops in an orderly way may hang in a root that is not well."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([KEEP_LOG], check=False, timeout=_KEEPING)  # noqa: S603 - our own program
    subprocess.run(["systemctl", "--force", "reboot"], check=False)  # noqa: S607 - on the station's path


def _install(options: argparse.Namespace) -> int:
    slot = _running()
    card = str(_partition(BOOT))[:-1]
    roots = {"a": Path(f"{card}2"), "b": Path(f"{card}3")}
    station = Station(slot, BOOT, roots, KEY, _release()["board"])
    before = Before(network=has_network())
    with options.bundle.open("rb") as file, _writable(BOOT):
        version = install(station, file, lambda: before.write(BEFORE))
    sys.stdout.write(f"version {version} is tried at the next start\n")
    return 0


def _release() -> dict[str, str]:
    found: dict[str, str] = json.loads(RELEASE.read_text("utf-8"))
    return found


def _running() -> str:
    return running(Path("/proc/cmdline").read_text("ascii"))


def _partition(mounted: Path) -> Path:
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        device, where = line.split(" ")[:2]
        partition = Path(device).resolve()
        if where == str(mounted) and device.startswith("/dev/") and partition.name.endswith("1"):
            return partition
    raise SlotProblem(f"{mounted} is not the card's first partition")


@contextmanager
def _writable(mounted: Path) -> Iterator[None]:
    remount = ["mount", "-o"]
    done = subprocess.run([*remount, "remount,rw", str(mounted)], check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        raise OSError(errno.EROFS, f"{mounted} cannot be mounted for writing")
    try:
        yield
    finally:
        # What was written was brought to the card: that it stays writable is no failure.
        subprocess.run([*remount, "remount,ro", str(mounted)], check=False)  # noqa: S603 - our own arguments
