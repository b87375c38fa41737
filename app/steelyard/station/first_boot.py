"""The first boot's way to a certificate: it tries until it succeeds, and says what it waits for.

Nothing here needs root. Every attempt may be the last before a power cut: what `enrol` leaves
behind is whole or nothing, and the same claim code is good for the same key.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from structlog import get_logger

from steelyard.errors import ConfigurationError, Problem
from steelyard.pki.claims import ClaimCode
from steelyard.smartbox.enrolment.enrol import Enrolled, Wanted, enrol
from steelyard.smartbox.errors import PlatformUnreached, PlatformUntrusted
from steelyard.smartbox.station_clock import kernel_is_disciplined
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.station.addresses import read_addresses
from steelyard.station.boot_partition import CA_FILE
from steelyard.station.card import Card
from steelyard.station.cycles import read_cycles
from steelyard.station.failures import AGAIN, CORRECT, state_of
from steelyard.station.places import Places
from steelyard.station.state import Phase, Shown, State, Watcher
from steelyard.station.told import Told

log = get_logger(__name__)

_CLOCK = "It goes on once a time server is reached (UDP port 123), or the clock is set by hand."
# First and longest pause after an attempt, in seconds: a cable or a clock is noticed soon, and a
# platform that refuses is asked now and then, for somebody may register what it misses.
_SOON, _LATER, _SELDOM = (3.0, 5.0), (5.0, 60.0), (60.0, 600.0)
_PAUSES = {
    Phase.NO_NETWORK: _SOON,
    Phase.CLOCK: _SOON,
    Phase.UNREACHED: _LATER,
    Phase.UNTRUSTED: _LATER,
    Phase.MACHINE: _LATER,
    Phase.REFUSED: _SELDOM,
}

Enrol = Callable[[Wanted, ClaimCode], Awaitable[Enrolled]]


@dataclass(frozen=True, slots=True)
class World:
    """What the first boot asks of its surroundings."""

    enrol: Enrol = enrol
    addresses: Callable[[], list[tuple[str, bool]]] = read_addresses
    disciplined: Callable[[], bool] = kernel_is_disciplined
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(slots=True)
class FirstBoot:
    """Enrols the SmartBox; `watchers` are told each change."""

    places: Places
    told: Told
    host_name: str
    world: World = field(default_factory=World)
    watchers: list[Watcher] = field(default_factory=list)
    _shown: Shown | None = None

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Go on until the SmartBox is enrolled."""
        phase, backoff = Phase.STARTING, Backoff(*_SOON, random.SystemRandom().random)
        while True:
            state = await self.attempt()
            if state.phase is Phase.ENROLLED:
                return
            if state.phase is not phase:
                phase = state.phase
                pauses = _PAUSES.get(phase, _LATER)
                backoff = Backoff(*pauses, random.SystemRandom().random)
            await sleep(backoff.pause())

    async def attempt(self) -> State:
        """One attempt, and how it ended."""
        try:
            state = await self._attempt()
        except Exception as error:  # noqa: BLE001 - whoever stands there is told, and it goes on
            state = State(Phase.MACHINE, f"internal error ({type(error).__name__})", AGAIN)
        self._show(state)
        return state

    async def _attempt(self) -> State:
        if self.places.is_enrolled():
            return _enrolled(self.told.card)
        try:
            card, authority, code = _complete(self.told)
            if (early := self._before(authority)) is not None:
                return early
            return await self._enrol(card, authority, code)
        except _Incomplete as incomplete:
            return incomplete.state
        except Problem as problem:
            return self._why(problem)
        except OSError as error:
            return State(Phase.MACHINE, f"{error.filename}: {error.strerror}", AGAIN)

    def _before(self, authority: str) -> State | None:
        """A clock that is certainly wrong: nothing is asked under it. Raises ConfigurationError."""
        try:
            found = x509.load_pem_x509_certificates(authority.encode())
        except ValueError:
            raise ConfigurationError(f"{CA_FILE} is no authority in PEM") from None
        born, now = min(one.not_valid_before_utc for one in found), self.world.now()
        if now >= born or self.world.disciplined():
            return None
        if not self._has_network():
            return self._no_network()
        return State(Phase.CLOCK, f"the clock is not set: it says {now:%Y-%m-%d %H:%M} UTC", _CLOCK)

    async def _enrol(self, card: Card, authority: str, code: ClaimCode) -> State:
        cycles = read_cycles(card)
        with TemporaryDirectory(prefix="first-boot-") as directory:
            ca_file = Path(directory) / CA_FILE
            ca_file.write_text(authority, "utf-8")
            wanted = Wanted(
                card.platform_url,
                ca_file,
                self.places.enrolment,
                self.places.smartbox_data,
                card.serial,
                station=card.station,
                proxy=card.network.proxy,
                time_zone=card.time_zone,
                weighing=cycles,
            )
            done = await self.world.enrol(wanted, code)
        if done.fault is not None:
            log.warning("enrolled, but its configuration needs a correction", fault=done.fault)
        return _enrolled(card)

    def _why(self, problem: Problem) -> State:
        """What an attempt failed by."""
        if isinstance(problem, PlatformUntrusted) and problem.by_time:
            if not self.world.disciplined():
                return State(Phase.CLOCK, f"the clock is not set: {problem.detail}", _CLOCK)
        elif isinstance(problem, PlatformUnreached) and not self._has_network():
            return self._no_network()
        return state_of(problem)

    def _has_network(self) -> bool:
        return any(beyond for _, beyond in self.world.addresses())

    def _no_network(self) -> State:
        return State(
            Phase.NO_NETWORK,
            "no network yet",
            "Look at cable, Wi-Fi and DHCP. It goes on by itself.",
        )

    def _show(self, state: State) -> None:
        card = self.told.card
        code = card.code() if card is not None else None
        shown = Shown(
            device_code=self.told.device_code,
            station=card.station if card is not None else None,
            host_name=self.host_name,
            # The part of the code that is no secret: an administrator sees which one it was.
            claim=code.locator if code is not None else None,
            addresses=tuple(address for address, _ in self.world.addresses()),
            state=state,
        )
        if shown == self._shown:
            return
        if self._shown is None or self._shown.state != state:
            log.info("first boot", phase=state.phase.value, sentence=state.sentence)
        self._shown = shown
        for watcher in self.watchers:
            watcher(shown)


def _enrolled(card: Card | None) -> State:
    name = f" of {card.station}" if card is not None else ""
    return State(Phase.ENROLLED, f"the SmartBox{name} is enrolled, and starts")


class _Incomplete(Exception):
    """The card does not say what is needed."""

    def __init__(self, phase: Phase, sentence: str) -> None:
        super().__init__(sentence)
        self.state = State(phase, sentence, CORRECT)


def _complete(told: Told) -> tuple[Card, str, ClaimCode]:
    if told.fault is not None:
        raise _Incomplete(Phase.CARD_WRONG, told.fault)
    if told.card is None or told.authority is None:
        raise _Incomplete(Phase.NO_CARD, "there is no steelyard/station.json on the card")
    code = told.card.code()
    if code is None:
        raise _Incomplete(Phase.NO_CLAIM, "station.json has no claim code (claim)")
    return told.card, told.authority, code
