"""Power cuts at every write: what was told is there, once, and the chain holds."""

import shutil
from pathlib import Path

import pytest
from power_cut import Call, cuts, trace
from storage_kit import START, open_storage, record

from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Storage

SCRIPT = Path(__file__).with_name("power_cut_script.py")
WEIGHINGS = 6


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_cut_at_every_write_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """A first start, weighings, receipts, a refusal, a new file, a corrected time, a restart, old
    records dropped: cut before and after each call that writes, names or syncs anything.
    """
    data = tmp_path / "data"
    calls = trace(SCRIPT, data, tmp_path / "strace.log")
    # What is not synced is lost: the check would see it.
    careless = [one for one in calls if not (one.name == "fsync" and "616c696269" in _hex(one))]
    assert len(careless) < len(calls)
    with pytest.raises(AssertionError, match="cut at"):
        check_all(careless, data, tmp_path / "careless")
    disks = check_all(calls, data, tmp_path)
    print(f"{len(calls)} calls, {sum(disks.values())} different disks: {disks}")
    assert disks["kill"] > 150
    assert disks["torn"] > 100


def _hex(call: Call) -> str:
    return call.arguments[0].replace("\\x", "")


def check_all(calls: list[Call], data: Path, directory: Path) -> dict[str, int]:
    """How many disks of each kind there were, all of which hold what was told."""
    disks: dict[str, int] = {"kill": 0, "cut": 0, "torn": 0}
    for number, (what, told, state) in enumerate(cuts(calls, data)):
        disk = directory / f"disk-{number}"
        disk.mkdir(parents=True)
        for name, held in state.items():
            (disk / name).write_bytes(held)
        try:
            check(disk, told)
        except BaseException as error:
            raise AssertionError(f"cut at {what}, {len(told)} things told: {error}") from error
        shutil.rmtree(disk)
        disks[what.split()[-1]] += 1
    return disks


def check(disk: Path, told: list[str]) -> None:
    """Start on this disk, compare with what was told, weigh everything again."""
    storage = open_storage(disk)
    try:
        _check_told(storage, told)
        # The cells repeat what was not acknowledged, and some that was: nothing doubles.
        dropped = storage.outbox.kept_from()
        again = [record(storage, number) for number in range(WEIGHINGS)]
        assert len(set(again)) == WEIGHINGS
        for one in told:
            kind, *rest = one.split()
            if kind == "ticket" and (int(rest[0]) >= 3 or dropped == 1):
                assert again[int(rest[0])] == rest[1]
    finally:
        storage.close()
    finding = verify_alibi(disk / ALIBI_FILE, disk / OUTBOX_FILE)
    assert finding.holds, finding.sentence
    first = {}
    for found in read_all(disk / ALIBI_FILE):
        if found.sequence < dropped:
            continue  # the outbox has forgotten it, and its file was about to go
        ticket = found.body["ticket"]["ticketID"]
        assert ("correction" in found.body) == (ticket in first), f"{ticket} stands there twice"
        first[ticket] = found


def _check_told(storage: Storage, told: list[str]) -> None:
    outbox = storage.outbox
    if "tidied" in told or outbox.kept_from() > 1:
        assert outbox.kept_from() == 4
        told = [one for one in told if not one.endswith(("00", "01", "02"))]
    for one in told:
        kind, *rest = one.split()
        if kind == "ticket":
            assert outbox.has(rest[1])
        elif kind == "receipt":
            assert outbox.state_of(rest[0]) == "registered"
        elif kind in ("refused", "dismissed"):
            assert outbox.state_of(rest[0]) == "refused"
        elif kind == "time":
            assert outbox.corrections()[rest[0]]["changes"] == ["timestamp"]
        elif kind == "aside":
            # It may be a ticket by now, of which nobody has been told yet.
            assert outbox.counts()["set_aside"] == 1 or outbox.has(f"s-1_wb-1_{START + 3}")
    dismissed = any(one.startswith("dismissed") for one in told)
    assert not dismissed or outbox.counts()["dismissed"] == 1
