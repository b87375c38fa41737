"""A simulated bridge: trucks are weighed right, and a bad cell stops it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from weighing_kit import START, TRUCK, Rig

from steelyard.loadcell.physics import Platform, Traffic
from steelyard.smartbox.models import Sample
from steelyard.smartbox.weighing.align import Aligner
from steelyard.smartbox.weighing.degraded import grid, shares
from steelyard.smartbox.weighing.errors import CannotTare, CannotZero
from steelyard.smartbox.weighing.shown import show

MPE = 20.0  # kg: 30 t on 60 t by 20 kg are 1,500 intervals, Table 6 gives one


@pytest.mark.parametrize(("cells", "kelvin"), [(4, 0.0), (4, -15.0), (8, 12.0)])
def test_trucks_are_weighed_within_the_permissible_error(cells: int, kelvin: float) -> None:
    """Real cells, calibrated; noise, sway, creep, another temperature: one ticket a truck."""
    rig = Rig(count=cells, seed=7, kelvin=kelvin)
    rig.rest(4)
    assert rig.bridge.indication is not None
    assert rig.bridge.indication.zero
    traffic = Traffic(3, Platform(cells))
    for slot in range(3):
        truck = traffic.truck(slot)
        (weighed,) = rig.drive(truck)
        allowed = rig.bridge.plan.scale.permissible_error(truck.kilograms * 1000)
        assert abs(weighed.exact - truck.kilograms * 1000) <= allowed
        assert abs(weighed.gross - truck.kilograms * 1000) <= allowed + 10_000
        assert weighed.status == "ok"
        assert len(weighed.samples) == cells
        assert sum(grams for _, grams in weighed.cells) == pytest.approx(weighed.exact, abs=cells)
        rig.rest(4)
    assert set(rig.steps) == {"empty", "loading", "settling", "stable", "ticket", "unloading"}


def test_an_uncorrected_bridge_is_not_right() -> None:
    """The same cells without their calibration: what the corrections are for."""
    calibrated = Rig(seed=7)
    plain = Rig(seed=7, factors=tuple(replace(one, span=1.0) for one in calibrated.factors or ()))
    plain.rest(4)
    (weighed,) = plain.drive(TRUCK)
    assert abs(weighed.exact / 1000 - TRUCK.kilograms) > 5 * MPE


def late(offset: int) -> Any:
    """Changes the times of the second cell's samples."""

    def spoil(number: int, sample: Sample) -> Sample:
        return replace(sample, time=sample.time + offset) if number == 1 else sample

    return spoil


def value(change: Any) -> Any:
    """Changes the second cell's values."""

    def spoil(number: int, sample: Sample) -> Sample:
        return replace(sample, raw=change(sample)) if number == 1 else sample

    return spoil


class Sticks:
    """Shows what it showed first for ever."""

    def __init__(self) -> None:
        self.first: Decimal | None = None

    def __call__(self, number: int, sample: Sample) -> Sample:
        if number != 1:
            return sample
        self.first = self.first or sample.raw
        return replace(sample, raw=self.first)


class Repeats:
    """Sends the sequence number of its first sample for ever."""

    def __init__(self) -> None:
        self.first: int | None = None

    def __call__(self, number: int, sample: Sample) -> Sample:
        if number != 1:
            return sample
        self.first = self.first or sample.sequence
        return replace(sample, sequence=self.first)


class Packs:
    """Keeps what the cells said."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Sample]] = []

    def __call__(self, number: int, sample: Sample) -> Sample:
        self.kept.append((number, sample))
        return sample

    def of(self, number: int) -> list[Sample]:
        return [sample for one, sample in self.kept if one == number]


def silent() -> Any:
    """Loses the second cell's samples."""
    return lambda number, sample: None if number == 1 else sample


FAULTS: list[tuple[str, Callable[[], Any], str]] = [
    ("silent", silent, "has sent nothing"),
    ("stuck", Sticks, "shows the same value"),
    ("drifting", lambda: value(lambda sample: sample.raw + 300), "has left its zero"),
    ("repeating", Repeats, "repeats sequence numbers"),
    ("absurd", lambda: value(lambda _: Decimal(9_000_000)), "shows values that no load"),
    ("absurd", lambda: value(lambda _: Decimal("NaN")), "shows values that no load"),
    ("clock", lambda: late(3_600_000), "sends samples of the future or the past"),
    ("clock", lambda: late(-3_600_000), "sends samples of the future or the past"),
]


@pytest.mark.parametrize(("fault", "make_spoil", "sentence"), FAULTS)
def test_a_faulty_cell_is_named_and_stops_the_bridge(
    fault: str, make_spoil: Callable[[], Any], sentence: str
) -> None:
    """Before a truck comes and while it stands there: no ticket, and the reason names it."""
    rig, spoil = Rig(seed=5), make_spoil()
    rig.rest(4)
    rig.rest(8, spoil=spoil)
    assert list(rig.drive(TRUCK, spoil)) == []
    assert rig.bridge.watch.faults() == {"C1": fault}
    assert rig.bridge.indication is not None
    assert rig.bridge.indication.state == "fault"
    assert f"cell C1 {sentence}" in rig.bridge.indication.fault
    assert show(rig.bridge)["gross"] is None


@pytest.mark.parametrize(("fault", "make_spoil", "sentence"), FAULTS)
def test_a_cell_that_is_well_again_is_trusted_again(
    fault: str, make_spoil: Callable[[], Any], sentence: str
) -> None:
    """Once it has behaved for a while, or has come back to its zero; then trucks are weighed."""
    rig, spoil = Rig(seed=5), make_spoil()
    rig.rest(4)
    rig.rest(8, spoil=spoil)
    list(rig.drive(TRUCK, spoil))
    if fault == "repeating":
        rig.sequence += 100
    rig.rest(10)
    assert rig.bridge.watch.faults() == {}
    (weighed,) = rig.drive(TRUCK)
    assert abs(weighed.exact / 1000 - TRUCK.kilograms) <= MPE


@pytest.mark.parametrize(("fault", "make_spoil", "sentence"), FAULTS)
def test_a_degraded_bridge_says_so(
    fault: str, make_spoil: Callable[[], Any], sentence: str
) -> None:
    """Where it is allowed, the lost cell's force is estimated, and the ticket's status tells."""
    rig, spoil = Rig(seed=5, weighing={"degraded": True}), make_spoil()
    rig.rest(4)
    rig.rest(8, spoil=spoil)
    (weighed,) = rig.drive(TRUCK, spoil)
    if fault == "stuck":  # found out only as the truck rolled on
        assert rig.bridge.watch.faults() == {"C1": "stuck"}
    assert weighed.status == "degraded"
    assert abs(weighed.exact / 1000 - TRUCK.kilograms) <= 0.05 * TRUCK.kilograms
    assert {sample.cell for sample in weighed.samples} == {"C0", "C2", "C3"}


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_cell_s_partner_is_not_called_drifting(lost: int) -> None:
    """A slow truck's first axle moves the partner alone, for longer than a drift takes."""
    rig = Rig(seed=5, weighing={"degraded": True})
    rig.rest(4)

    def spoil(number: int, sample: Sample) -> Sample | None:
        return None if number == lost else sample

    rig.rest(8, spoil=spoil)
    (weighed,) = rig.drive(replace(TRUCK, rolls=25.0), spoil)
    assert weighed.status == "degraded"
    assert rig.bridge.watch.faults() == {f"C{lost}": "silent"}


def test_two_lost_cells_are_too_many() -> None:
    """Then a degraded bridge stops too."""
    rig = Rig(seed=5, weighing={"degraded": True})
    rig.rest(4)

    def spoil(number: int, sample: Sample) -> Sample | None:
        return None if number in (1, 2) else sample

    rig.rest(8, spoil=spoil)
    assert list(rig.drive(TRUCK, spoil)) == []
    assert rig.bridge.watch.faults() == {"C1": "silent", "C2": "silent"}


def test_single_bad_samples_are_left_out_without_a_fault() -> None:
    """One in ten absurd, one in ten sent twice: the truck is weighed all the same."""
    rig = Rig(seed=5)

    def spoil(number: int, sample: Sample) -> Sample:
        bad = number == 1 and sample.sequence % 10 == 0
        return replace(sample, raw=Decimal(9_000_000)) if bad else sample

    rig.rest(4, spoil=spoil)
    (weighed,) = rig.drive(TRUCK, spoil)
    assert abs(weighed.exact / 1000 - TRUCK.kilograms) <= MPE
    assert rig.bridge.watch.ignored > 10
    assert rig.bridge.watch.faults() == {}


def test_cells_whose_clocks_differ_are_aligned() -> None:
    """Seconds behind and ahead: by the SmartBox's clock they speak of the same moment."""
    rig = Rig(seed=5)
    offsets = (0, 1_700, -2_300, 40)

    def spoil(number: int, sample: Sample) -> Sample:
        return replace(sample, time=sample.time + offsets[number])

    rig.rest(4, spoil=spoil)
    (weighed,) = rig.drive(TRUCK, spoil)
    assert abs(weighed.exact / 1000 - TRUCK.kilograms) <= MPE


def test_without_its_initial_zero_a_bridge_weighs_nothing() -> None:
    """A truck stood on it at the start: beyond 20 % of Max in all (4.5.1); empty, it is zero."""
    rig = Rig(ideal=True)
    assert rig.rest(6, [4_000.0, 3_000.0, 3_000.0, 2_000.0]) == []
    assert rig.bridge.indication is not None
    assert "the initial zero must be within 6000 kg" in rig.bridge.indication.fault
    with pytest.raises(CannotZero):
        rig.bridge.set_zero()
    rig.rest(4)
    assert rig.bridge.indication.state == "zero"
    assert len(list(rig.drive(TRUCK))) == 1


def test_dirt_is_zeroed_and_a_slow_drift_is_tracked() -> None:
    """By the operator within 4 % of Max, by itself at 0.5 d a second; a jump is not tracked."""
    rig = Rig(ideal=True)
    rig.rest(4)
    rig.rest(4, [20.0] * 4)
    assert show(rig.bridge)["gross"] == 80_000
    rig.bridge.set_zero()
    assert show(rig.bridge)["gross"] == 0
    for kilograms in range(200):
        rig.rest(1, [20.0 + kilograms / 20] * 4)
    assert show(rig.bridge)["gross"] == 0
    assert rig.bridge.zero.offset == pytest.approx(4 * 29_950, abs=6_000)
    rig.rest(4, [400.0] * 4)
    with pytest.raises(CannotZero, match="zero must be within 1200 kg"):
        rig.bridge.set_zero()


def test_a_container_is_tared() -> None:
    """Weighed or preset: the net is what was loaded since; the tare goes with the truck."""
    rig = Rig(ideal=True, weighing={"mode": "operator"})
    rig.rest(4)
    with pytest.raises(CannotTare):
        rig.bridge.weigh_tare()
    rig.rest(4, [2_000.0] * 4)
    rig.bridge.weigh_tare()
    assert (rig.bridge.tare.grams, show(rig.bridge)["net"]) == (8_000_000, 0)
    rig.rest(6, [5_000.0] * 4)
    rig.bridge.cycle.ask(rig.bridge.indication)
    (weighed,) = rig.rest(1, [5_000.0] * 4)
    assert (weighed.gross, weighed.tare, weighed.net) == (20_000_000, 8_000_000, 12_000_000)
    assert weighed.tare_kind == "weighed"
    rig.rest(4)
    assert rig.bridge.tare.grams == 0
    rig.rest(4, [2_002.0] * 4)
    rig.bridge.weigh_tare()
    rig.rest(1, [2_000.5] * 4)
    # 8,008 kg are 8,000 on the ticket, but zero is zero after taring (4.6.3).
    assert (rig.bridge.tare.grams, show(rig.bridge)["net"]) == (8_000_000, 0)
    rig.rest(5, [2_003.5] * 4)
    assert (show(rig.bridge)["gross"], show(rig.bridge)["net"]) == (8_020_000, 0)


@pytest.mark.parametrize(
    ("kilograms", "status"),
    [
        (300.0, "below-min"),
        (399.0, "ok"),
        (59_990.0, "ok"),
        (60_100.0, "overload"),
        (60_300.0, None),
    ],
)
def test_the_status_tells_of_min_and_max(kilograms: float, status: str | None) -> None:
    """Below Min, above Max; above Max and 9 e nothing is shown and there is no ticket (4.2.3)."""
    rig = Rig(ideal=True, weighing={"load_grams": 200_000})
    rig.rest(4)
    tickets = rig.rest(6, [kilograms / 4] * 4)
    assert [one.status for one in tickets] == ([status] if status else [])
    shown = show(rig.bridge)
    assert (shown["gross"] is None) == (status is None)
    assert shown["state"] == ("overload" if status is None else "stable")


def test_a_multi_interval_scale_rounds_by_the_net_load() -> None:
    """3.3.4: with a tare the finer interval holds for the net; the gross is net and tare."""
    rig = Rig(
        ideal=True,
        weighing={"ranges": [[30_000_000, 10_000]], "mode": "operator"},
    )
    rig.rest(4)
    rig.rest(4, [5_000.0] * 4)
    rig.bridge.weigh_tare()
    rig.rest(5, [11_252.5] * 4)
    rig.bridge.cycle.ask(rig.bridge.indication)
    (weighed,) = rig.rest(1, [11_252.5] * 4)
    assert (weighed.net, weighed.gross) == (25_010_000, 45_010_000)


@budget(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 2**16))
def test_frames_come_in_order_and_once(order: list[int], seed: int) -> None:
    """Whatever order the cells' samples come in: rising times on the grid, values in between."""
    aligner = Aligner(4, 100)
    sent = [0, 0, 0, 0]
    times: list[int] = []
    for cell in order * 3:
        sent[cell] += 1
        time = START + sent[cell] * 70
        sample = Sample(f"C{cell}", time, sent[cell], Decimal(sent[cell] * 70))
        aligner.push(cell, sample, time)
        for frame in aligner.frames():
            times.append(frame.time)
            assert frame.time % 100 == 0
            for found in frame.values:
                assert found is None or found == pytest.approx(frame.time - START)
    assert times == sorted(set(times))
    reached = min(sent) * 70
    assert not times or times[-1] <= START + reached


def test_a_plane_gives_the_missing_force() -> None:
    """Exactly, where the load twists nothing; not where too few cells are left."""
    for count in (4, 6, 8):
        places = grid(count)
        for missing in range(count):
            weights = shares(places, missing)
            assert weights is not None
            plane = [3.0 + 2.0 * x - 1.0 * y for x, y in places]
            estimate = sum(w * one for w, one in zip(weights, plane, strict=True))
            assert estimate == pytest.approx(plane[missing])
    assert shares(grid(3), 0) is None
    assert shares(((0, 0), (1, 0), (2, 0), (3, 0)), 1) is None


def test_a_pack_that_comes_again_as_it_was_is_no_fault() -> None:
    """Its answer was lost: a cell repeats it, on a new session too (the storm's tests found it)."""
    rig, packs = Rig(seed=5), Packs()
    rig.rest(4, spoil=packs)
    watch = rig.bridge.watch
    again = packs.of(1)[-10:]
    now = again[-1].time
    assert [watch.accept(1, sample, now) for sample in again * 3] == [False] * 30
    assert watch.faults() == {}
    (weighed,) = rig.drive(TRUCK)
    assert abs(weighed.exact / 1000 - TRUCK.kilograms) <= MPE


def test_a_cell_that_only_repeats_its_last_pack_is_silent() -> None:
    """What it said before is no sign of life."""
    rig, packs = Rig(seed=5), Packs()
    rig.rest(4, spoil=packs)
    last = packs.of(1)[-1]
    rig.rest(8, spoil=lambda number, sample: last if number == 1 else sample)
    assert rig.bridge.watch.faults() == {"C1": "silent"}
    assert list(rig.drive(TRUCK, lambda n, s: last if n == 1 else s)) == []


def test_a_number_that_comes_again_with_another_value_is_repeating() -> None:
    """Two cells under one key, or one that forgot where it was."""
    rig, packs = Rig(seed=5), Packs()
    rig.rest(4, spoil=packs)
    again = [replace(sample, raw=sample.raw + 1) for sample in packs.of(1)[-3:]]
    assert not any(rig.bridge.watch.accept(1, sample, again[-1].time) for sample in again)
    assert rig.bridge.watch.faults() == {"C1": "repeating"}
