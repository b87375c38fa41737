"""A clock that was wrong until the network came back: tickets wait, are corrected, and say so."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_kit import draft, open_storage, record, weighing

from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.care import CLOCK_ALARM, Care
from steelyard.smartbox.errors import PlatformUnreached, StorageFull
from steelyard.smartbox.kernel_clock import KernelClock
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Recorder, Storage
from steelyard.smartbox.station_clock import (
    CLOCK_FILE,
    StationClock,
    kernel_is_disciplined,
    read_boot_id,
)
from steelyard.smartbox.status import Status
from steelyard.smartbox.timing import KnownTime
from steelyard.ticket import Ticket, format_timestamp

TRUE = 1_790_000_000_000
BEHIND = 86_400_000 * 40  # the machine was off for forty days
DATE = "Mon, 21 Sep 2026 14:26:40 GMT"  # TRUE + 800 s


class World:
    """True time goes on; the machine's clock is behind until someone sets it."""

    def __init__(self, *, disciplined: bool = False, behind: int = BEHIND) -> None:
        self.elapsed = 0
        self.behind = behind
        self.disciplined = disciplined
        self.boot = "boot-1"
        self.up_at = -5000

    def clock(self, keep: Path | None = None) -> StationClock:
        return StationClock(
            lambda: TRUE + self.elapsed - self.behind,
            lambda: self.elapsed - self.up_at,
            lambda: self.disciplined,
            self.boot,
            keep,
        )

    def set_by_time_server(self) -> None:
        self.behind, self.disciplined = 0, True


def test_a_clock_that_the_kernel_knows_is_known_at_once() -> None:
    """Tickets are not marked, and do not wait."""
    world = World(disciplined=True, behind=0)
    clock = world.clock()
    assert (clock.known, clock.source, clock.steps) == (True, "kernel", 0)
    world.elapsed = 1234
    assert clock.now() == TRUE + 1234
    assert clock.stamp(clock.now()).mark() is None


def test_a_step_of_the_kernel_s_clock_alone_changes_nothing() -> None:
    """Time is counted by the boot's clock: who sets the time of day makes no ticket older."""
    world = World(behind=0)
    clock = world.clock()
    world.behind = 3_600_000
    world.elapsed = 1000
    assert clock.now() == TRUE + 1000
    clock.look()
    assert clock.now() == TRUE + 1000
    world.set_by_time_server()
    world.behind = 400
    clock.look()
    assert clock.now() == TRUE + 600, "a disciplined clock is followed the first time"
    world.behind = 0
    clock.look()
    assert clock.now() == TRUE + 600, "and then only where it is far off"
    world.behind = 3000
    clock.look()
    assert (clock.now(), clock.steps) == (TRUE - 2000, 2)


def test_the_platform_tells_the_time_where_no_time_server_does() -> None:
    """By the Date of an answer, to within the second that it has."""
    world = World()
    clock = world.clock()
    asked = clock.uptime()
    world.elapsed = 800_000
    assert clock.now() == TRUE + 800_000 - BEHIND
    asked = clock.uptime() - 400
    clock.learn(DATE, asked)
    assert clock.source == "platform"
    assert abs(clock.now() - (TRUE + 800_000)) <= 1000
    steps = clock.steps
    world.elapsed += 1500
    clock.learn(DATE, clock.uptime())
    assert clock.steps == steps, "a second or two is no reason to set it"
    world.set_by_time_server()
    clock.look()
    assert clock.source == "kernel"
    clock.learn("Mon, 21 Sep 2020 14:26:40 GMT", clock.uptime())
    assert clock.now() == TRUE + world.elapsed


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Sep 2026 14:26:40 GMT", "x" * 9999])
def test_an_answer_without_a_date_tells_nothing(date: str | None) -> None:
    """Nor does one that came too late to say when it was written."""
    world = World()
    clock = world.clock()
    clock.learn(date, clock.uptime())
    clock.learn(DATE, clock.uptime() - 11_000)
    clock.learn(DATE, clock.uptime() + 1)
    assert not clock.known


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    """What a platform writes never raises."""
    clock = World().clock()
    clock.learn(text, clock.uptime())


def test_who_goes_by_the_clock_hears_of_a_step_before_anything_has_the_new_time() -> None:
    """A ticket between the two would have the old time as one that is known."""
    world = World()
    clock = world.clock()
    heard: list[tuple[int, bool]] = []
    clock.on_step = lambda step: heard.append((clock.now() - step, clock.known))
    world.elapsed = 800_000
    before = clock.now()
    clock.learn(DATE, clock.uptime() - 400)
    assert heard == [(before, True)]
    assert abs(clock.now() - (TRUE + 800_000)) <= 1000


def test_a_time_at_which_the_platform_s_certificate_is_not_valid_is_wrong() -> None:
    """Who went by it would reach no platform any more that could tell the right one."""
    told = TRUE + 800_000
    for first, last, known in (
        (told + 1, told + 9, False),
        (told - 9, told - 1, False),
        (told, told, True),
    ):
        clock = World().clock()
        clock.learn(DATE, clock.uptime(), (first, last))
        assert clock.known is known


def test_what_a_process_learnt_holds_for_the_next_one_of_the_boot(tmp_path: Path) -> None:
    """A SmartBox that is started again without a network knows the time; another boot does not."""
    world = World()
    path = tmp_path / CLOCK_FILE
    clock = world.clock(path)
    assert not clock.known
    world.elapsed = 800_000
    clock.learn(DATE, clock.uptime() - 400)
    learnt = clock.now()
    world.elapsed += 60_000
    again = world.clock(path)
    assert (again.now(), again.source) == (learnt + 60_000, "platform")
    world.boot = "boot-2"
    assert not world.clock(path).known
    world.set_by_time_server()
    kept = world.clock(path)
    assert (kept.source, kept.now()) == ("kernel", TRUE + world.elapsed)
    # No time server keeps the kernel's any more: what it told holds, and may be told better.
    world.disciplined = False
    last = world.clock(path)
    assert (last.source, last.now()) == ("kernel", TRUE + world.elapsed)
    world.elapsed += 50_000_000
    last.learn(DATE, last.uptime() - 400)
    assert (last.source, last.steps) == ("platform", 1)
    assert [one.name for one in tmp_path.iterdir()] == [CLOCK_FILE]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '"\u00e9"', "[" * 1000, '{"boot": "boot-1"}', '{"offset": 1}'),
        '{"boot": "boot-1", "offset": 1, "source": "me"}',
        '{"boot": "boot-1", "offset": true, "source": "kernel"}',
        '{"boot": "boot-1", "offset": -9999999, "source": "kernel"}',
        '{"boot": "boot-1", "offset": 9' + "9" * 40 + ', "source": "kernel"}',
    ],
)
def test_a_damaged_file_of_the_clock_is_none(tmp_path: Path, text: str) -> None:
    """The platform is asked, as without it; nor is a directory that is not there a fault."""
    path = tmp_path / CLOCK_FILE
    path.write_text(text)
    assert not World().clock(path).known
    clock = World().clock(tmp_path / "none/clock.json")
    clock.learn(DATE, clock.uptime())
    assert clock.known


def test_the_kernel_is_asked() -> None:
    """It answers, whatever it is here; a boot has a name."""
    assert kernel_is_disciplined() in (True, False)
    assert len(read_boot_id()) == 36
    assert read_boot_id() == read_boot_id()


def test_a_boot_without_a_name_is_no_other_one(tmp_path: Path) -> None:
    """Where /proc does not say it, two processes are not taken for those of one boot."""
    first, second = (read_boot_id(tmp_path / "none") for _ in range(2))
    assert first != second


def weigh(storage: Storage, clock: StationClock, number: int) -> str:
    """A weighing that is stamped now."""
    now = clock.now()
    mark = clock.stamp(now).mark()
    details = {"calibration": None} | ({"clock": mark} if mark else {})
    joined = weighing(number, time=now)
    return storage.record(joined, draft(joined), details)


def tickets(storage: Storage) -> list[Ticket]:
    return [Ticket.model_validate_json(one.body) for one in storage.outbox.waiting(100)]


def known(clock: StationClock) -> KnownTime:
    time = clock.known_time()
    assert time is not None
    return time


def test_tickets_wait_for_the_time_and_are_corrected(tmp_path: Path) -> None:
    """The scenario: weighed offline with a clock forty days behind; then the network comes back."""
    world = World()
    clock = world.clock()
    storage = open_storage(tmp_path)
    given = []
    for number in range(3):
        world.elapsed = 60_000 * (number + 1)
        given.append(weigh(storage, clock, number))
    assert storage.outbox.waiting(100) == []
    counts = storage.outbox.counts()
    assert (counts["queued"], counts["untimed"]) == (3, 3)
    # The SmartBox's process is started again, in the same boot; nothing is forgotten.
    storage.close()
    storage, clock = open_storage(tmp_path), world.clock()
    world.set_by_time_server()
    world.elapsed = 300_000
    clock.look()
    assert storage.set_times(known(clock)) == 3
    sent = tickets(storage)
    assert [one.id for one in sent] == given
    assert [one.timestamp for one in sent] == [TRUE + 60_000 * n for n in (1, 2, 3)]
    # Marked: the id has the time that was stamped first, and the memory says what was done.
    for number, one in enumerate(sent, 1):
        stamped = TRUE + 60_000 * number - BEHIND
        assert one.id.endswith(f"_{stamped}")
        correction = storage.outbox.corrections()[one.id]
        assert correction == {
            "of": number,
            "stamped": format_timestamp(stamped),
            "source": "kernel",
            "offset_ms": BEHIND,
            "changes": ["timestamp"],
        }
    fresh = weigh(storage, clock, 9)
    assert storage.outbox.waiting(100)[-1].id == fresh
    storage.close()
    finding = verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE)
    assert (finding.holds, finding.records) == (True, 7)


def test_another_boot_s_tickets_say_that_their_time_is_not_sure(tmp_path: Path) -> None:
    """Nobody knows how long the machine was off between."""
    world = World()
    storage = open_storage(tmp_path)
    first = weigh(storage, world.clock(), 1)
    world.boot, world.up_at, world.elapsed = "boot-2", 900_000, 1_000_000
    clock = world.clock()
    second = weigh(storage, clock, 2)
    world.set_by_time_server()
    clock.look()
    assert storage.set_times(known(clock)) == 2
    unsure, right = tickets(storage)
    assert (unsure.id, unsure.status, unsure.timestamp) == (first, "time-unsure", TRUE - BEHIND)
    assert (right.id, right.status, right.timestamp) == (second, "ok", TRUE + 1_000_000)
    assert storage.outbox.corrections()[first]["was"] == {"scaleStatus": "ok"}
    storage.close()


def test_a_time_that_was_right_stays(tmp_path: Path) -> None:
    """It only was not known to be; the ticket goes as it was weighed, and the memory says so."""
    world = World(behind=1500)
    clock = world.clock()
    storage = open_storage(tmp_path)
    given = weigh(storage, clock, 1)
    world.set_by_time_server()
    clock.look()
    assert storage.set_times(known(clock)) == 0
    (one,) = tickets(storage)
    assert (one.id, one.timestamp) == (given, TRUE - 1500)
    assert storage.outbox.corrections()[given]["changes"] == []
    storage.close()


@pytest.mark.parametrize("lose_outbox", [False, True])
def test_a_crash_between_correcting_and_queueing_is_mended(
    tmp_path: Path, lose_outbox: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The correction stands in the alibi memory: the next start takes it over, once."""
    world = World()
    clock = world.clock()
    storage = open_storage(tmp_path)
    given = weigh(storage, clock, 1)
    world.set_by_time_server()
    clock.look()

    class Crash(BaseException):
        pass

    def die(_: object) -> None:
        raise Crash

    monkeypatch.setattr(storage.outbox, "add", die)
    with pytest.raises(Crash):
        storage.set_times(known(clock))
    storage.close()
    if lose_outbox:
        for path in tmp_path.glob("outbox*"):
            path.unlink()
    storage = open_storage(tmp_path)
    (one,) = tickets(storage)
    assert (one.id, one.timestamp) == (given, TRUE)
    assert storage.set_times(known(clock)) == 0
    storage.close()
    assert len(list(read_all(tmp_path / ALIBI_FILE))) == 2


class Looks:
    """A care whose every look is asked for."""

    def __init__(self, recorder: Recorder, clock: StationClock, *, reached: bool = False) -> None:
        self.clock = clock
        self.reached = reached
        self.status = Status(clock.now)
        self.called: list[str] = []
        clock.on_step = lambda _: self.called.append("step")
        self.care = Care(
            recorder,
            self._greet,
            self.status,
            clock,
            KernelClock(None),
            years=10,
            on_times=lambda: self.called.append("times"),
            on_failure=lambda error: self.called.append(str(error)),
        )

    async def _greet(self) -> None:
        if not self.reached:
            raise PlatformUnreached("no connection")
        self.clock.learn(DATE, self.clock.uptime() - 100)


async def test_the_station_asks_for_the_time_until_it_knows(tmp_path: Path) -> None:
    """An alarm while it does not; once the platform answers, tickets go, without a time server."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    world = World()
    clock = world.clock()
    looks = Looks(recorder, clock)
    await recorder.run(weigh, recorder.storage, clock, 1)
    world.elapsed = 800_000
    await looks.care.look()
    assert "wait for it" in looks.status.alarms()[CLOCK_ALARM]
    assert looks.called == []
    looks.reached = True
    await looks.care.look()
    assert looks.status.alarms() == {}
    assert looks.called == ["step", "times"]
    (waiting,) = await recorder.run(recorder.storage.outbox.waiting, 10)
    assert abs(Ticket.model_validate_json(waiting.body).timestamp - TRUE) <= 1000
    await looks.care.look()
    assert looks.called == ["step", "times"]
    await recorder.close()


async def test_a_known_time_tidies_once_an_hour(tmp_path: Path) -> None:
    """And never before it is known."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    asked: list[Any] = []
    real = recorder.storage.tidy

    def tidy(now: int, years: int) -> object:
        asked.append((now, years))
        return real(now, years)

    recorder.storage.tidy = tidy  # type: ignore[method-assign, assignment]
    world = World()
    clock = world.clock()
    looks = Looks(recorder, clock)
    await recorder.run(record, recorder.storage, 1)
    await looks.care.look()
    assert asked == []
    world.set_by_time_server()
    for minutes in (1, 2, 59, 61, 62, 121):
        world.elapsed = minutes * 60_000
        await looks.care.look()
    assert asked == [(TRUE + minutes * 60_000, 10) for minutes in (1, 61, 121)]
    await recorder.close()


async def test_a_ticket_that_found_no_room_is_queued_without_another_one(tmp_path: Path) -> None:
    """Care looks for it, also while the time is not known."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    storage = recorder.storage
    real = storage.outbox.add

    def full(found: object) -> None:
        raise StorageFull("the outbox: database or disk is full")

    storage.outbox.add = full  # type: ignore[method-assign, assignment]
    given = await recorder.run(record, storage, 1)
    looks = Looks(recorder, World().clock())
    with pytest.raises(StorageFull):
        await looks.care.look()
    storage.outbox.add = real  # type: ignore[method-assign]
    await looks.care.look()
    await looks.care.look()
    assert looks.called == ["times"]
    waiting = await recorder.run(storage.outbox.waiting, 10)
    assert [one.id for one in waiting] == [given]
    await recorder.close()


def test_an_alibi_record_says_which_boot(tmp_path: Path) -> None:
    """Whoever reads the memory can do the sum: since when that boot ran, and when it was."""
    world = World()
    storage = open_storage(tmp_path)
    world.elapsed = 7000
    weigh(storage, world.clock(), 1)
    storage.close()
    (found,) = read_all(tmp_path / ALIBI_FILE)
    assert json.loads(json.dumps(found.body["weighing"]["clock"])) == {
        "boot": "boot-1",
        "uptime": 12_000,
    }
