"""A run's figures as tables for a person, as JSON for a program, and as goals."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bed import Result
from contest import (
    NAIVE_MANY,
    NAIVE_ONE,
    NOW_AND_THEN,
    ONE_BY_ONE,
    OURS,
    OURS_LISTS,
)
from figures import Rate, table
from goals import Goal
from options import WEEK, Options
from queries import GET, MONTH_COUNT, MONTH_PAGE, NEWEST_PAGE, VEHICLE_PAGE
from steelyard.ledger.settings import LedgerSettings
from steelyard.network.programs import Programs

MIB = 2**20
RATIO, TICKETS_A_SECOND = 30, 1_500
PERIODS = 1.1
PAGE_MILLISECONDS = 30
WEEK_SECONDS = 15
_QUERIES = (MONTH_PAGE, NEWEST_PAGE, MONTH_COUNT, GET, VEHICLE_PAGE)


def goals(result: Result, sizes: Sequence[int]) -> list[Goal]:
    """What the run must show; a figure that is missing is a goal that is missed."""
    rates, largest = result.rates, result.queries.get(sizes[-1], {})
    batched = rates.get(OURS_LISTS, Rate()).per_second
    found = [
        Goal(f"batches / {name}", "times", _ratio(rates, OURS_LISTS, name), least=RATIO)
        for name in (NAIVE_ONE, NAIVE_MANY)
    ]
    found.append(Goal("batches", "tickets/s", batched or None, least=TICKETS_A_SECOND))
    for manner in (ONE_BY_ONE, NOW_AND_THEN):
        spread = result.latencies.get(f"{OURS}, {manner}")
        periods = spread.p50 / result.period if spread else None
        found.append(Goal(f"single ticket, {manner}, p50", "block periods", periods, most=PERIODS))
    page = 1000 * largest[MONTH_PAGE].spread.p50 if MONTH_PAGE in largest else None
    name = f"{MONTH_PAGE}, {sizes[-1]:,} tickets, p50"
    found.append(Goal(name, "ms", page, most=PAGE_MILLISECONDS))
    found.append(Goal(f"a week, {WEEK:,} tickets", "s", result.week, most=WEEK_SECONDS))
    return found


def print_figures(result: Result) -> None:
    """Print every table, the goals excepted."""
    for title, text in (
        ("A single ticket, from the call to its receipt", _latencies(result)),
        ("Tickets a second", _rates(result)),
        ("Queries at the customer's node, milliseconds", _queries(result)),
        ("The naive contract's queries at the same node, milliseconds", _scans(result)),
        ("Growth on disk, bytes a ticket", _disk(result)),
        ("Processor time, milliseconds a ticket; memory (PSS) afterwards, MiB", _usage(result)),
    ):
        print(f"\n{title}\n\n{text}")


def _latencies(result: Result) -> str:
    header = ["", "tickets", "p50 s", "p95 s", "p99 s", "p50 periods", "p95", "p99"]
    rows = []
    for name, one in result.latencies.items():
        seconds = (one.p50, one.p95, one.p99)
        rows.append(
            [name, str(one.count)]
            + [f"{value:.2f}" for value in seconds]
            + [f"{value / result.period:.2f}" for value in seconds]
        )
    real = f"{result.measured_period:.3f}" if result.measured_period else "not measured"
    return f"{table(header, rows)}\n\nblock period: {result.period:g} s; measured: {real} s"


def _rates(result: Result) -> str:
    header = ["", "tickets", "a second", "by round", "/ naive, one", "/ naive, 16"]
    rows = []
    for name, rate in result.rates.items():
        by_round = " ".join(_short(one) for one in rate.by_round)
        ratios = [_times(_ratio(result.rates, name, other)) for other in (NAIVE_ONE, NAIVE_MANY)]
        rows.append([name, f"{rate.tickets:,}", f"{rate.per_second:,.1f}", by_round, *ratios])
    for size, rate in result.growth.items():
        grown = f"ours, growing to {size:,}"
        rows.append([grown, f"{rate.tickets:,}", f"{rate.per_second:,.1f}", "", "", ""])
    caught_up = "not measured" if result.week is None else f"{result.week:.1f} s"
    return f"{table(header, rows)}\n\na week of {WEEK:,} tickets caught up in: {caught_up}"


def _queries(result: Result) -> str:
    header = ["", *(f"{size:,} {what}" for size in result.queries for what in ("p50", "p95"))]
    rows = []
    for name in _QUERIES:
        spreads = [answers[name].spread for answers in result.queries.values()]
        rows.append([name, *(_ms(value) for one in spreads for value in (one.p50, one.p95))])
    return table(header, rows)


def _scans(result: Result) -> str:
    header = ["", *(f"{size:,} {what}" for size in result.scans for what in ("p50", "p95"))]
    rows, failures = [], []
    for name in (MONTH_PAGE, NEWEST_PAGE):
        row = [name]
        for size, answers in result.scans.items():
            one = answers[name]
            if one.spread is None:
                row += ["no answer", ""]
                failures.append(f"{name} at {size:,}: {one.failure}")
            else:
                row += [_ms(one.spread.p50), _ms(one.spread.p95)]
        rows.append(row)
    return "\n".join([table(header, rows), *failures])


def _disk(result: Result) -> str:
    names = list(next(iter(result.disk.values())).after) if result.disk else []
    rows = []
    for way, growth in result.disk.items():
        each = growth.bytes_a_ticket()
        figures = [f"{round(each[name]):,}" for name in names]
        rows.append([way, f"{growth.tickets:,}", f"{growth.blocks:,}", *figures])
    note = "Whole blocks of files, LevelDB and H2 compacted; while they run they hold more."
    return f"{table(['', 'tickets', 'blocks', *names], rows)}\n\n{note}"


def _usage(result: Result) -> str:
    used = {way: usage for way, usage in result.usage.items() if usage.tickets}
    weighed = [way for way in used if way == OURS_LISTS or way == list(used)[-1]]
    names = list(next(iter(used.values())).cpu_seconds) if used else []
    rows = []
    for process in names:
        times = [1000 * usage.cpu_seconds[process] / usage.tickets for usage in used.values()]
        memory = [used[way].memory_bytes[process] / MIB for way in weighed]
        rows.append([process, *(f"{one:.2f}" for one in times), *(f"{one:,.0f}" for one in memory)])
    together = [1000 * sum(usage.cpu_seconds.values()) / usage.tickets for usage in used.values()]
    rows.append(["together", *(f"{one:.2f}" for one in together), *("" for _ in weighed)])
    return table(["", *used, *(f"MiB, {way}" for way in weighed)], rows)


def machine(programs: Programs) -> dict[str, Any]:
    """What was measured on, and with: nothing that names the machine."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "goquorum": programs.geth_version,
        "tessera": programs.tessera.version,
        "java": programs.java.release,
    }


def headline(about: dict[str, Any], settings: LedgerSettings) -> str:
    """The same in one line, with what of our client was tuned."""
    load = about["load_average"][0]
    engines = f"GoQuorum {about['goquorum']}, Tessera {about['tessera']}, Java {about['java']}"
    tuned = f"max_batch {settings.max_batch}, max_in_flight {settings.max_in_flight}"
    return f"{about['cores']} cores, load {load:.1f} before the run; {engines}; {tuned}"


def as_dict(result: Result, options: Options, found: Sequence[Goal]) -> dict[str, Any]:
    """Everything, for a program."""
    document = asdict(result)
    document["rates"] = {name: rate.as_dict() for name, rate in result.rates.items()}
    document["growth"] = {size: rate.as_dict() for size, rate in result.growth.items()}
    for way, growth in result.disk.items():
        document["disk"][way]["bytes_a_ticket"] = growth.bytes_a_ticket()
    document["goals"] = [asdict(goal) | {"held": goal.held} for goal in found]
    settings = options.settings
    document["extent"] = asdict(options.extent)
    document["settings"] = {
        "max_batch": settings.max_batch,
        "max_in_flight": settings.max_in_flight,
    }
    return document


def _ratio(rates: Mapping[str, Rate], ours: str, naive: str) -> float | None:
    below = rates.get(naive, Rate()).per_second
    return rates.get(ours, Rate()).per_second / below if below else None


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:,.1f}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f}"
