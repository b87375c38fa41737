"""What the contract's calls cost on a station with few and with many tickets, side by side.

    python bench/contract.py [--sizes 1000,100000,1000000]

One station grows through the sizes. Gas is what a node counts (Berlin, nothing touched before);
milliseconds are those of the in-process EVM, best of five, with the storage in memory. Ends with
exit status 1 when an indexed query costs more on the largest station than on the smallest by more
than the stated factor, or when an answer is not what was registered.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "contracts"))

from contract_bed import (
    CALL_GAS,
    INTERFACE,
    Station,
    cold_node,
    filter_tuple,
    ticket_tuple,
)

from steelyard.ledger.packing import pack
from steelyard.ticket import Ticket, TicketFilter
from traffic import MONTH, START, WEIGHBRIDGES, Traffic

BATCH = 100
STATE_SAMPLE = 20_000  # the dump of more would not fit into memory
# The most that an indexed call's gas may grow by, from the smallest station to the largest.
PAGE_FACTOR = 1.10
COUNT_FACTOR = 2.0


def packed(tickets: Sequence[Ticket]) -> bytes:
    """A batch as the platform sends it."""
    return INTERFACE.encode_call("registerPacked", pack(tickets))


def by_abi(tickets: Sequence[Ticket]) -> bytes:
    """The same batch as any ABI codec sends it."""
    return INTERFACE.encode_call("registerMany", [ticket_tuple(ticket) for ticket in tickets])


@dataclass
class Measured:
    """The figures of one size of station: gas and milliseconds by name."""

    tickets: int
    gas: dict[str, float] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)


def grow(station: Station, traffic: Traffic, size: int) -> float:
    """Register up to `size` tickets; seconds in the EVM."""
    spent = 0.0
    while (missing := size - station.total()) > 0:
        data = packed(traffic.tickets(min(200, missing)))
        started = time.perf_counter()
        station.send(data)
        spent += time.perf_counter() - started
    return spent


def views(traffic: Traffic) -> Iterator[tuple[str, str, tuple]]:
    """The calls that are measured: what they are called, the function, its arguments."""
    middle = (START + traffic.timestamp) // 2
    month = {"timestamp_from": middle, "timestamp_to": middle + MONTH}
    bridge = {"scale_serial": traffic.last.scale_serial}
    for name, conditions in (
        ("month", month),
        ("weighbridge", bridge),
        ("month and weighbridge", month | bridge),
    ):
        wanted = TicketFilter(**conditions)
        yield f"page of 100: {name}", "query", (filter_tuple(wanted), 0, 100)
        yield f"count: {name}", "count", (filter_tuple(wanted), 0)
    newest = filter_tuple(TicketFilter(**bridge), newest_first=True)
    yield "page of 100: weighbridge, newest first", "query", (newest, 0, 100)
    yield "get by id", "get", (traffic.last.id,)
    nothing = TicketFilter(gross_from=1, gross_to=2)
    yield "unindexed filter, one call", "query", (filter_tuple(nothing), 0, 100)


def measure(station: Station, traffic: Traffic) -> Measured:
    result = Measured(station.total())
    calls = list(views(traffic))
    ahead = Traffic()
    ahead.timestamp = traffic.timestamp
    batch = ahead.tickets(BATCH)
    single = INTERFACE.encode_call("register", ticket_tuple(batch[0]))
    with cold_node(station) as node:
        for name, function, arguments in calls:
            result.gas[name] = node.gas(function, *arguments, gas=CALL_GAS)
        result.gas["register one"] = node.registering_gas(single)
        for name, encode in (("", packed), (", by the ABI", by_abi)):
            gas = node.registering_gas(encode(batch))
            result.gas[f"a ticket of a batch of {BATCH}{name}"] = gas / BATCH
    for name, function, arguments in calls:
        data = INTERFACE.encode_call(function, *arguments)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            station.send(data, gas=CALL_GAS, static=True)
            times.append(time.perf_counter() - started)
        result.milliseconds[name] = 1000 * min(times)
    return result


def check_answers(station: Station, traffic: Traffic) -> None:
    """What is measured is right: the last ticket, a page's order and filter, the counts."""
    assert station.get(traffic.last.id).ticket == traffic.last
    everything = station.count(TicketFilter())
    assert everything == (station.total(), 0)
    parts = [
        station.count(TicketFilter(scale_serial=f"WB11201{bridge:02}"))[0]
        for bridge in range(1, WEIGHBRIDGES + 1)
    ]
    assert sum(parts) == station.total()
    middle = (START + traffic.timestamp) // 2
    wanted = TicketFilter(
        scale_serial=traffic.last.scale_serial, timestamp_from=middle, timestamp_to=middle + MONTH
    )
    page, _ = station.query(wanted)
    keys = [entry.key for entry in page]
    assert len(page) == 100
    assert keys == sorted(set(keys))
    assert all(wanted.matches(entry.ticket) for entry in page)


def report_state() -> None:
    """Print the words of storage a ticket, counted in the EVM's own dump of a smaller station."""
    station, traffic = Station(), Traffic()
    grow(station, traffic, STATE_SAMPLE)
    dump = station.evm.journal_str
    words = dump.count("previous_or_original_value") - dump.count("present_value: 0 }")
    each = words / STATE_SAMPLE
    print(f"state: {each:.2f} words, {32 * each:.0f} bytes a ticket (at {STATE_SAMPLE:,})")


def report(results: list[Measured]) -> bool:
    """Print the table; whether the indexed calls stay within their factors."""
    first, last = results[0], results[-1]
    width = max(map(len, first.gas)) + 2
    print(
        f"{'gas, tickets:':{width}}"
        + "".join(f"{r.tickets:>14,}" for r in results)
        + "     ratio  allowed"
    )
    held = True
    for name in first.gas:
        ratio = last.gas[name] / first.gas[name]
        allowed = (
            PAGE_FACTOR
            if name.startswith("page")
            else COUNT_FACTOR
            if name.startswith("count")
            else None
        )
        held = held and (allowed is None or ratio <= allowed)
        figures = "".join(f"{r.gas[name]:>14,.0f}" for r in results)
        print(f"{name:{width}}{figures}{ratio:>10.3f}{allowed or '':>9}")
    print(f"\n{'milliseconds, tickets:':{width}}" + "".join(f"{r.tickets:>14,}" for r in results))
    for name in first.milliseconds:
        figures = "".join(f"{r.milliseconds[name]:>14.2f}" for r in results)
        print(f"{name:{width}}{figures}{last.milliseconds[name] / first.milliseconds[name]:>10.3f}")
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--sizes", default="1000,100000,1000000", help="tickets, ascending, by commas"
    )
    sizes = sorted(int(size) for size in parser.parse_args().sizes.split(","))
    if sizes[0] < 300:
        parser.error("the smallest size must be at least 300, so that a page of 100 is full")
    station, traffic = Station(), Traffic()
    report_state()
    results, spent = [], 0.0
    for size in sizes:
        spent += grow(station, traffic, size)
        check_answers(station, traffic)
        results.append(measure(station, traffic))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        speed = f"{size / spent:,.0f} a second in the EVM"
        print(f"{size:,} tickets registered: {speed}; {memory:.1f} GB in this process", flush=True)
    print()
    if not report(results):
        print(
            "\nan indexed call costs more on the largest station than is allowed", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
