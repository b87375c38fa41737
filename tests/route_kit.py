"""Weighings and routes for the tests of routes: stations are letters, weights plain numbers."""

from typing import Any

from fakes import FakeContract, FakeLedger
from steelyard.ledger.protocol import ContractView, Entry, NodeRef
from steelyard.route_plan import RoutePlan
from steelyard.ticket import CellWeight, Ticket
from steelyard.tickets.judge import ActiveRoute, Deviation
from steelyard.tickets.search import Found, Source
from steelyard.vehicles import VehiclePattern

NODE = NodeRef("admin", "http://127.0.0.1:1", "http://127.0.0.1:2", "admin-key")
STATIONS = "ABCD"


def station_id(letter: str) -> str:
    return letter * 26


def source(letter: str) -> Source:
    return Source(station_id(letter), letter, ContractView(f"0x{ord(letter):040x}", NODE))


def weighing(
    letter: str, time: int, gross: int = 100, vehicle: str | None = "AA-1", scale: str = "W1"
) -> tuple[str, Ticket]:
    """A station's letter and its ticket; `time` is in seconds."""
    return letter, Ticket(
        id=f"{letter}_{scale}_{time * 1000}",
        terminal_serial="T1",
        terminal_restart=1,
        timestamp=time * 1000,
        scale_serial=scale,
        status="ok",
        gross=gross,
        tare=0,
        net=gross,
        vehicle=vehicle,
        cells=(CellWeight(serial="L1", weight=gross),),
    )


def found(letter: str, ticket: Ticket, index: int = 1) -> Found:
    return Found(source(letter), Entry(ticket, index, 1))


def ledger_of(arrived: list[tuple[str, Ticket]], scan: int = 1000) -> FakeLedger:
    """A ledger on which the tickets were registered in this order."""
    ledger = FakeLedger(scan=scan)
    for letter in STATIONS:
        ledger.contracts[source(letter).view.address] = FakeContract({NODE.tessera_key})
    for letter, ticket in arrived:
        entries = ledger.contracts[source(letter).view.address].entries
        entries.append(Entry(ticket, len(entries) + 1, 1))
    return ledger


def route(stops: str, *expectations: dict[str, Any], within: int = 100, **more: Any) -> ActiveRoute:
    """A route over stations by their letters; a stop may be `A:W2`, one weighbridge of A."""
    parts = stops.split() if " " in stops else list(stops)
    plan = RoutePlan.model_validate(
        {
            "vehicle": "*",
            "stops": [
                {"station_id": station_id(name), "scale_serial": scale or None}
                for name, _, scale in (part.partition(":") for part in parts)
            ],
            "expectations": list(expectations),
            "within_seconds": within,
            **more,
        },
        strict=False,
    )
    return ActiveRoute(f"route {stops}", stops, plan, VehiclePattern(plan.vehicle))


def short(one: Deviation) -> str:
    """A deviation in one word: `A10>B20 order` or `A10>B20 +5`, by stations and seconds."""

    def place(found: Found | None) -> str:
        if found is None:
            return ""
        return f"{found.source.station_name}{found.entry.ticket.timestamp // 1000}"

    what = f"{one.weight.difference:+d}" if one.weight else one.kind.value
    return f"{place(one.earlier)}>{place(one.later)} {what}"
