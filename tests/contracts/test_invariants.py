"""What holds whatever is called, in whatever order."""

from typing import Any

import pytest
from contract_bed import (
    INTERFACE,
    STATION,
    STRANGER,
    ContractError,
    Entry,
    Station,
    seeded,
    ticket_tuple,
)
from contract_tickets import TIMES, filters, random_ticket
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from steelyard.ticket import Ticket, TicketFilter


class TicketsStay(RuleBasedStateMachine):
    """Registering, refusals and calldata of any kind: what is registered stays as it was."""

    @initialize()
    def deploy(self) -> None:
        self.station = Station()
        self.block = 1
        self.held: list[Entry] = []
        self.source = seeded(0)

    def _new(self, count: int, times: list[int]) -> list[Ticket]:
        start = len(self.held)
        return [random_ticket(self.source, start + i, times[i % len(times)]) for i in range(count)]

    def _hold(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            self.held.append(Entry(ticket, len(self.held) + 1, self.block))

    @rule(step=st.integers(0, 10_000), seed=st.integers(0, 2**32))
    def pass_time(self, step: int, seed: int) -> None:
        self.block += step
        self.station.mine(self.block)
        self.source = seeded(seed)

    @rule(count=st.integers(1, 80), times=st.lists(st.sampled_from(TIMES), min_size=1, max_size=4))
    def register(self, count: int, times: list[int]) -> None:
        new = self._new(count, times)
        self.station.register(*new)
        self._hold(new)

    @rule(count=st.integers(1, 80), times=st.lists(st.sampled_from(TIMES), min_size=1, max_size=4))
    def register_packed(self, count: int, times: list[int]) -> None:
        new = self._new(count, times)
        self.station.register_packed(*new)
        self._hold(new)

    @rule(data=st.data(), other_content=st.booleans())
    def register_again(self, data: st.DataObject, other_content: bool) -> None:
        if not self.held:
            return
        known = data.draw(st.sampled_from(self.held)).ticket
        again = known.model_copy(update={"timestamp": 5}) if other_content else known
        batch = [*self._new(2, [3]), again]
        for attempt in ([again], batch):
            with pytest.raises(ContractError) as caught:
                self.station.register(*attempt)
            assert (caught.value.name, caught.value.arguments) == ("TicketKnown", (known.id,))
            with pytest.raises(ContractError) as caught:
                self.station.register_packed(*attempt)
            assert (caught.value.name, caught.value.arguments) == ("TicketKnown", (known.id,))

    @rule(count=st.integers(1, 3))
    def register_as_a_stranger(self, count: int) -> None:
        with pytest.raises(ContractError, match="NotTheStation"):
            self.station.register(*self._new(count, [9]), caller=STRANGER)

    @rule(name=st.sampled_from(sorted(INTERFACE.selectors)), junk=st.binary(max_size=600))
    def call_with_junk(self, name: str, junk: bytes) -> None:
        """As the station itself, and not in a static call: any function, any bytes."""
        if name in ("register", "registerMany", "registerPacked"):
            junk = junk[:31]  # too short for a ticket, whatever it says
        for data in (INTERFACE.selectors[name] + junk, junk):
            try:
                self.station.send(data, gas=30_000_000, caller=STATION)
            except ContractError:
                continue

    @rule(data=st.data(), newest_first=st.booleans(), limit=st.integers(1, 500))
    def query(self, data: st.DataObject, newest_first: bool, limit: int) -> None:
        wanted = data.draw(filters(tuple(e.ticket.id for e in self.held[:50]) or ("nobody",)))
        model = [entry for entry in self.held if wanted.matches(entry.ticket)]
        model.sort(key=lambda entry: entry.key, reverse=newest_first)
        page, following = self.station.query(wanted, 0, limit, newest_first=newest_first)
        assert page == model[:limit]
        assert following != 0 or len(model) == len(page)
        assert self.station.count(wanted)[0] == len(model)

    @invariant()
    def all_is_there(self) -> None:
        assert self.station.total() == len(self.held)
        assert self.station.count(TicketFilter()) == (len(self.held), 0)
        for entry in self.held[-3:] + self.held[:3] + self.held[:: max(1, len(self.held) // 10)]:
            assert self.station.get(entry.ticket.id) == entry

    def teardown(self) -> None:
        for entry in self.held:
            assert self.station.get(entry.ticket.id) == entry


TestTicketsStay = TicketsStay.TestCase
TestTicketsStay.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_nothing_but_registering_can_change_the_state() -> None:
    """In the ABI every function but the two that register is a view; there is no fallback."""
    changing = {
        n
        for n, item in INTERFACE.functions.items()
        if item["stateMutability"] not in ("view", "pure")
    }
    assert changing == {"register", "registerMany", "registerPacked"}


def test_the_contract_takes_no_money(station: Station) -> None:
    """No function is payable and there is nothing that receives."""
    station.evm.set_balance(STATION, 10**18)
    data = INTERFACE.encode_call("register", ticket_tuple(random_ticket(seeded(1), 1)))
    for calldata in (data, b""):
        with pytest.raises(RuntimeError, match="Revert"):
            station.evm.message_call(STATION, station.address, calldata=calldata, value=1)


def test_a_static_call_cannot_register(station: Station) -> None:
    """Even the station's own eth_call leaves nothing behind."""
    arguments: Any = ticket_tuple(random_ticket(seeded(1), 1))
    with pytest.raises(ContractError):
        station.send(INTERFACE.encode_call("register", arguments), static=True)
    assert station.total() == 0
