"""Alibi memory and outbox together: a crash at any step loses nothing and doubles nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from storage_kit import START, draft, open_storage, receipt, record, weighing

from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.errors import AlibiDamaged, StorageUnavailable
from steelyard.smartbox.models import Moment, Sample
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Storage
from steelyard.ticket import Ticket


class Crash(BaseException):
    """The power goes."""


def ids(storage: Storage) -> list[str]:
    return [ticket.id for ticket in storage.outbox.waiting(1000)]


def test_a_weighing_recorded_again_is_the_same_ticket(tmp_path: Path) -> None:
    """Cells repeat what was not acknowledged: the second time changes nothing."""
    storage = open_storage(tmp_path)
    first = record(storage, 1)
    assert record(storage, 1) == first
    assert ids(storage) == [first]
    assert storage.alibi.head.sequence == 1
    assert storage.look_up(*_first_sample(1)) == (True, ())
    storage.close()


def _first_sample(number: int) -> tuple[Moment, Sample]:
    joined = weighing(number)
    return joined.moment, joined.samples[0]


def test_a_clock_set_back_gives_another_id(tmp_path: Path) -> None:
    """The same time twice with other samples: the id's number grows, the time stays."""
    storage = open_storage(tmp_path)
    given = [record(storage, n, time=START, sequence=n) for n in range(4)]
    given.append(record(storage, 9, time=START + 2, sequence=9))
    assert [int(one.rsplit("_", 1)[1]) - START for one in given] == [0, 1, 2, 3, 4]
    storage.close()
    storage = open_storage(tmp_path)
    assert record(storage, 11, time=START, sequence=11) == f"s-1_wb-1_{START + 5}"
    bodies = [ticket.body for ticket in storage.outbox.waiting(9)]
    assert [Ticket.model_validate_json(body).timestamp for body in bodies] == [
        START, START, START, START, START + 2, START,
    ]  # fmt: skip
    storage.close()


def test_in_a_replay_the_time_alone_names_the_weighing(tmp_path: Path) -> None:
    """A cell that lost its position begins again with other numbers: no second ticket."""
    storage = open_storage(tmp_path, replay=True)
    first = record(storage, 1)
    assert record(storage, 1, sequence=77) == first
    storage.close()


def test_set_aside_samples_come_back_for_the_late_cell(tmp_path: Path) -> None:
    """They survive a restart, and are gone once the weighing is a ticket."""
    storage = open_storage(tmp_path)
    joined = weighing(1)
    storage.outbox.set_aside(joined.moment, joined.samples[:1], "silent-cells", "no C2")
    storage.close()
    storage = open_storage(tmp_path)
    assert storage.look_up(joined.moment, joined.samples[0]) == (True, joined.samples[:1])
    assert storage.look_up(joined.moment, joined.samples[1]) == (False, joined.samples[:1])
    assert storage.outbox.counts()["set_aside"] == 1
    storage.record(joined, draft(joined))
    assert storage.outbox.counts()["set_aside"] == 0
    assert storage.outbox.samples_set_aside(joined.moment) == ()
    storage.close()


def test_a_receipt_is_never_replaced(tmp_path: Path) -> None:
    """What was stored first stays; a refusal cannot undo it, nor can a second receipt."""
    storage = open_storage(tmp_path)
    ticket_id = record(storage, 1)
    storage.outbox.settle([receipt(ticket_id, 1)], [])
    storage.outbox.settle([receipt(ticket_id, 2)], [(ticket_id, {"status": 409})])
    assert list(storage.outbox.receipts()) == [receipt(ticket_id, 1)]
    assert storage.outbox.counts()["refused"] == 0
    storage.close()


def test_refused_tickets_can_be_sent_again(tmp_path: Path) -> None:
    """With their reason kept until then."""
    storage = open_storage(tmp_path)
    ticket_id = record(storage, 1)
    storage.outbox.settle([], [(ticket_id, {"status": 422, "title": "no"})])
    (refusal,) = storage.outbox.refusals()
    assert (refusal.id, refusal.problem["title"]) == (ticket_id, "no")
    assert refusal.ticket["ticketID"] == ticket_id
    assert ids(storage) == []
    assert storage.outbox.requeue([ticket_id, "unknown"]) == 1
    assert ids(storage) == [ticket_id]
    storage.close()


def test_a_lost_outbox_is_made_again_from_the_alibi_memory(tmp_path: Path) -> None:
    """All its tickets are queued: the platform knows which of them it has."""
    storage = open_storage(tmp_path)
    expected = [record(storage, number) for number in range(5)]
    storage.close()
    for path in tmp_path.glob("outbox*"):
        path.unlink()
    storage = open_storage(tmp_path)
    assert ids(storage) == expected
    assert record(storage, 3) == expected[3]
    storage.close()


def test_a_lost_alibi_memory_is_noticed(tmp_path: Path) -> None:
    """The outbox knows that there was one."""
    storage = open_storage(tmp_path)
    record(storage, 1)
    storage.close()
    (tmp_path / ALIBI_FILE).unlink()
    with pytest.raises(AlibiDamaged, match="is missing"):
        open_storage(tmp_path)


def test_an_outbox_rewritten_beside_its_alibi_is_noticed(tmp_path: Path) -> None:
    """A memory made anew with a chain of its own does not have the hashes that the outbox has."""
    for name in ("a", "b"):
        storage = open_storage(tmp_path / name)
        for number in range(3):
            record(storage, number)
        storage.close()
    finding = verify_alibi(tmp_path / "a" / ALIBI_FILE, tmp_path / "b" / OUTBOX_FILE)
    assert (finding.holds, finding.record) == (False, 1)
    cut = (tmp_path / "a" / ALIBI_FILE).read_bytes()
    storage = open_storage(tmp_path / "a")
    storage.alibi.append({"ticket": {}})
    storage.close()
    (tmp_path / "a" / ALIBI_FILE).write_bytes(cut[:-900])
    assert not verify_alibi(tmp_path / "a" / ALIBI_FILE, tmp_path / "a" / OUTBOX_FILE).holds


def crash_at(number: int) -> tuple[Callable[[int], None], list[int]]:
    """An fsync that dies at its n-th call, before or after doing its work by turns."""
    calls = [0]

    def sync(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == (number + 1) // 2 and number % 2:
            raise Crash
        os.fsync(descriptor)
        if calls[0] == number // 2 and number % 2 == 0:
            raise Crash

    return sync, calls


def snapshots(directory: Path, copies: Path) -> list[Path]:
    """What the disk may hold after a power cut: all of the last alibi write, or a part of it."""
    made = []
    alibi = directory / ALIBI_FILE
    size = alibi.stat().st_size if alibi.exists() else 0
    for index, lost in enumerate((0, 1, 33, 200, 400)):
        copy = copies / str(index)
        # SQLite's shared memory comes and goes, and is no part of what a disk must hold.
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*-shm"))
        if lost and size > 1200:
            os.truncate(copy / ALIBI_FILE, size - lost)
        made.append(copy)
    return made


@pytest.mark.parametrize("number", range(1, 31))
def test_a_crash_at_every_fsync_loses_and_doubles_nothing(tmp_path: Path, number: int) -> None:
    """Start, record, crash before or after the n-th fsync, start again: the cells repeat what was
    not acknowledged, and every weighing is one ticket in both books.
    """
    sync, _ = crash_at(number)
    acknowledged: list[str] = []
    storage = None
    try:
        storage = open_storage(tmp_path / "data", sync=sync)
        acknowledged += [record(storage, weight) for weight in range(12)]
    except Crash:
        pass
    if storage is not None:
        storage.close()
    known = len(acknowledged)
    for copy in snapshots(tmp_path / "data", tmp_path / "copies") if known < 12 else []:
        if (copy / ALIBI_FILE).exists() and known:
            head = Outbox.open_for_reading(copy / OUTBOX_FILE).head()
            assert head is not None
            assert head.sequence == known
            if (copy / ALIBI_FILE).stat().st_size < head.offset:
                continue  # cut deeper than a power cut can: that was on the disk already
        again = open_storage(copy)
        final = [record(again, weight) for weight in range(12)]
        assert final[:known] == acknowledged
        assert ids(again) == final == [f"s-1_wb-1_{START + n}" for n in range(12)]
        assert again.alibi.head.sequence == 12
        again.close()
        finding = verify_alibi(copy / ALIBI_FILE, copy / OUTBOX_FILE)
        assert finding.holds, finding.sentence


def test_a_crash_between_alibi_and_outbox_is_mended_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ticket stands in the alibi memory: it is queued, and the repeated weighing is its."""
    storage = open_storage(tmp_path)
    first = record(storage, 1)

    def die(_: object) -> None:
        raise Crash

    monkeypatch.setattr(storage.outbox, "add", die)
    with pytest.raises(Crash):
        record(storage, 2)
    storage.close()
    storage = open_storage(tmp_path)
    assert ids(storage) == [first, f"s-1_wb-1_{START + 2}"]
    assert record(storage, 2) == ids(storage)[1]
    assert len(ids(storage)) == 2
    storage.close()


def test_a_full_disk_is_a_problem_not_a_loss(tmp_path: Path) -> None:
    """Nothing is acknowledged; after a restart the weighing is recorded."""
    failing = [False]

    def sync(descriptor: int) -> None:
        if failing[0]:
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)

    storage = open_storage(tmp_path, sync=sync)
    record(storage, 1)
    failing[0] = True
    with pytest.raises(StorageUnavailable):
        record(storage, 2)
    storage.close()
    storage = open_storage(tmp_path)
    record(storage, 2)
    assert len(ids(storage)) == 2
    storage.close()


class Books(RuleBasedStateMachine):
    """Random weighings, receipts, refusals, crashes: both books agree with a plain model."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.directory = Path(tempfile.mkdtemp())
        self.states: dict[str, str] = {}
        self.by_number: dict[int, str] = {}
        self.storage: Storage

    @initialize()
    def start(self) -> None:
        self.storage = open_storage(self.directory)

    def teardown(self) -> None:
        self.storage.close()
        shutil.rmtree(self.directory)

    @rule(number=st.integers(0, 12), time=st.integers(0, 3))
    def weigh(self, number: int, time: int) -> None:
        ticket_id = record(self.storage, number, time=START + time + number // 4, sequence=number)
        known = self.by_number.setdefault((number, time), ticket_id)  # type: ignore[call-overload]
        assert known == ticket_id
        self.states.setdefault(ticket_id, "waiting")

    @rule(count=st.integers(1, 3), outcome=st.sampled_from(["registered", "refused", "lost"]))
    def send(self, count: int, outcome: str) -> None:
        batch = [ticket.id for ticket in self.storage.outbox.waiting(count)]
        self.storage.outbox.mark_sending(batch)
        if outcome == "registered":
            self.storage.outbox.settle([receipt(one) for one in batch], [])
        elif outcome == "refused":
            self.storage.outbox.settle([], [(one, {"status": 422}) for one in batch])
        if outcome != "lost":
            self.states.update(dict.fromkeys(batch, outcome))

    @rule()
    def requeue(self) -> None:
        refused = [one for one, state in self.states.items() if state == "refused"]
        assert self.storage.outbox.requeue(refused) == len(refused)
        self.states.update(dict.fromkeys(refused, "waiting"))

    @rule()
    def restart(self) -> None:
        self.storage.close()
        self.storage = open_storage(self.directory)

    @rule(number=st.integers(13, 40), cut=st.integers(1, 700))
    def crash_while_writing(self, number: int, cut: int) -> None:
        """The alibi memory's last write is torn; nothing was told of it."""
        size = (self.directory / ALIBI_FILE).stat().st_size
        joined = weighing(number, sequence=10_000 + number)
        self.storage.alibi.append(
            {"ticket": draft(joined).as_json(), "weighbridge": "wb-1", "time": 1, "samples": []}
        )
        self.storage.close()
        written = (self.directory / ALIBI_FILE).stat().st_size
        os.truncate(self.directory / ALIBI_FILE, max(size, written - cut))
        self.storage = open_storage(self.directory)

    @precondition(lambda self: all(state != "registered" for state in self.states.values()))
    @rule()
    def lose_the_outbox(self) -> None:
        self.storage.close()
        for path in self.directory.glob("outbox*"):
            path.unlink()
        self.storage = open_storage(self.directory)
        self.states = dict.fromkeys(self.states, "waiting")

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "storage"):
            return
        waiting = [one for one, state in self.states.items() if state == "waiting"]
        assert sorted(ids(self.storage)) == sorted(waiting)
        counts = self.storage.outbox.counts()
        for state in ("registered", "refused"):
            assert counts[state] == sum(one == state for one in self.states.values())
        assert self.storage.alibi.head.sequence == len(self.states)
        finding = verify_alibi(self.directory / ALIBI_FILE, self.directory / OUTBOX_FILE)
        assert finding.holds, finding.sentence


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
