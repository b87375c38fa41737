"""The first boot waits for what it misses, says so, and goes on by itself."""

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import aiohttp
import pytest
from cryptography import x509
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry_world import write_certificate
from station_kit import CODE, OTHER_CODE, PowerCut, StationMachine, make_card
from steelyard.pki.claims import ClaimCode
from steelyard.pki.errors import KeyUnusable, RequestRefused
from steelyard.smartbox.enrolment.enrol import Enrolled, Wanted
from steelyard.smartbox.errors import (
    EnrolmentRefused,
    PlatformProblem,
    PlatformUnreached,
    PlatformUntrusted,
)
from steelyard.station.addresses import parse_addresses
from steelyard.station.card import Card
from steelyard.station.console import Console, as_text
from steelyard.station.device_code import device_code, read_device_code
from steelyard.station.errors import CardUnusable
from steelyard.station.first_boot import FirstBoot, World
from steelyard.station.machine import Machine
from steelyard.station.page import Page, as_html, is_near
from steelyard.station.preparing import finish, prepare
from steelyard.station.state import Phase, Shown, State
from steelyard.station.told import Told

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
GOOD, EXPIRED = CODE, OTHER_CODE


def _make_authority() -> bytes:
    with TemporaryDirectory() as directory:
        return write_certificate(Path(directory))[0].read_bytes()


AUTHORITY = _make_authority()
CERTIFICATE = x509.load_pem_x509_certificate(AUTHORITY)


@dataclass
class Surroundings:
    """A network, a clock and a platform, of which each may be bad."""

    cable: bool = True
    clock: bool = True
    platform: bool = True
    trusted: bool = True
    registered: bool = True
    cut: str = ""
    enrolled_with: list[str] = field(default_factory=list)

    def world(self) -> World:
        return World(
            self.enrol,
            lambda: [("169.254.1.2", False), *([("10.0.0.2", True)] if self.cable else [])],
            lambda: self.clock and self.cable,
            lambda: datetime.now(UTC) if self.clock else LONG_AGO,
        )

    async def enrol(self, wanted: Wanted, code: ClaimCode) -> Enrolled:
        assert wanted.ca_file.read_bytes() == AUTHORITY
        if not self.cable or not self.platform:
            raise PlatformUnreached("https://platform.example: no route")
        if not self.clock:
            raise PlatformUntrusted("certificate is not yet valid", by_time=True)
        if not self.trusted:
            raise PlatformUntrusted("self-signed certificate")
        if code.shown() != GOOD or not self.registered:
            raise EnrolmentRefused("the management API answers 403: The claim is not accepted")
        if self.cut == "before":
            raise PowerCut
        self.enrolled_with.append(code.shown())
        wanted.into.mkdir()
        (wanted.into / "smartbox.toml").write_text("[smartbox]\n")
        if self.cut == "after":
            raise PowerCut
        return Enrolled(wanted.into / "smartbox.toml", "north", "S1", CERTIFICATE, None)


class FirstBootMachine(RuleBasedStateMachine):
    """Anything may happen in any order; at last everything is good, and it succeeds."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(mkdtemp(prefix="first-boot-"))
        self.machine = StationMachine(self.directory)
        # One ssh key for all examples: it is none of what is tried here.
        self.machine.places.ssh.mkdir()
        (self.machine.places.ssh / "ssh_host_ed25519_key").write_text("a key")
        self.around = Surroundings()
        self.boot: FirstBoot | None = None
        self.state: State | None = None
        self.written: Card | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @initialize(code=st.sampled_from([GOOD, EXPIRED, None]))
    def flash(self, code: str | None) -> None:
        self.write(code)
        self.start()

    def write(self, code: str | None) -> None:
        self.written = make_card(claim=code)
        self.machine.write_card(self.written, AUTHORITY)

    def start(self) -> None:
        told = prepare(self.machine.places, Machine(self.machine.places, lambda _: None)).told
        self.boot = FirstBoot(self.machine.places, told, "north-box", self.around.world())
        self.state = None

    @rule(what=st.sampled_from(["cable", "clock", "platform", "trusted", "registered"]))
    def toggle(self, what: str) -> None:
        setattr(self.around, what, not getattr(self.around, what))

    @rule(code=st.sampled_from([GOOD, EXPIRED, None]))
    def write_another_card_and_start_again(self, code: str | None) -> None:
        self.write(code)
        self.start()

    @rule()
    def scribble_on_the_card_and_start_again(self) -> None:
        (self.machine.places.card / "station.json").write_text('{"version": 1,')
        self.written = None
        self.start()

    @rule()
    def start_again(self) -> None:
        self.start()

    @rule()
    def attempt(self) -> None:
        assert self.boot is not None
        self.state = asyncio.run(self.boot.attempt())
        assert self.state.phase is self.expected()

    @precondition(lambda self: self.boot is not None)
    @rule(when=st.sampled_from(["before", "after"]))
    def lose_the_power_while_enrolling(self, when: str) -> None:
        assert self.boot is not None
        self.around.cut = when
        try:
            asyncio.run(self.boot.attempt())
        except PowerCut:
            pass
        finally:
            self.around.cut = ""
        self.start()

    @precondition(lambda self: self.machine.places.is_enrolled())
    @rule()
    def finish(self) -> None:
        if (self.machine.places.card / "station.json").exists() and self.written is None:
            return
        finish(self.machine.places)
        assert "station.json" not in self.machine.on_boot()

    def expected(self) -> Phase:
        """What a person would say who sees everything."""
        assert self.boot is not None
        told, around = self.boot.told, self.around
        if self.machine.places.is_enrolled():
            return Phase.ENROLLED
        for fails, phase in (
            (told.fault is not None, Phase.CARD_WRONG),
            (told.card is None, Phase.NO_CARD),
            (told.card is not None and told.card.claim is None, Phase.NO_CLAIM),
            (not around.cable, Phase.NO_NETWORK),
            (not around.clock, Phase.CLOCK),
            (not around.platform, Phase.UNREACHED),
            (not around.trusted, Phase.UNTRUSTED),
        ):
            if fails:
                return phase
        return Phase.REFUSED

    @invariant()
    def the_code_is_there_until_it_was_used(self) -> None:
        """And with it the card; nothing is wiped too early."""
        if self.written is not None and not self.machine.places.is_enrolled():
            assert self.machine.on_boot()["station.json"] == self.written.as_json()

    @invariant()
    def it_is_enrolled_once(self) -> None:
        """However often it starts again."""
        assert len(self.around.enrolled_with) <= 1
        assert self.machine.places.is_enrolled() == bool(self.around.enrolled_with)

    @rule()
    def let_all_be_well(self) -> None:
        """Whatever happened before, it succeeds, and no secret is left."""
        self.around.__init__(enrolled_with=self.around.enrolled_with)  # type: ignore[misc]
        self.write_another_card_and_start_again(GOOD)
        assert self.boot is not None
        assert asyncio.run(self.boot.attempt()).phase is Phase.ENROLLED
        if (self.machine.places.card / "station.json").exists():
            finish(self.machine.places)
        assert GOOD.encode() not in b"".join(self.machine.on_boot().values())
        assert not (self.machine.places.card / "station.json").exists()
        assert self.machine.kept().claim is None


TestFirstBootMachine = FirstBootMachine.TestCase
TestFirstBootMachine.settings = hypothesis_settings(
    max_examples=15, stateful_step_count=20, deadline=None
)


def first_boot(tmp_path: Path, around: Surroundings, **card: object) -> FirstBoot:
    told = Told(
        device_code="7Q3M-PZ2C", card=make_card(**card), authority=AUTHORITY.decode(), fault=None
    )
    return FirstBoot(StationMachine(tmp_path).places, told, "north-box", around.world())


@pytest.mark.parametrize(
    ("problem", "phase", "begin"),
    [
        (EnrolmentRefused("403: used"), Phase.REFUSED, "the platform refuses the claim: 403"),
        (RequestRefused("not sealed"), Phase.UNTRUSTED, "the platform is not trusted: not sealed"),
        (PlatformProblem("502"), Phase.UNREACHED, "the platform cannot be reached: 502"),
        (KeyUnusable("no space left"), Phase.MACHINE, "no space left"),
        (OSError(28, "No space left", "/data/x"), Phase.MACHINE, "/data/x: No space left"),
        (CardUnusable("weighing: no"), Phase.CARD_WRONG, "weighing: no"),
        (ValueError("what stood there"), Phase.MACHINE, "internal error (ValueError)"),
    ],
)
async def test_what_fails_is_said(
    tmp_path: Path, problem: Exception, phase: Phase, begin: str
) -> None:
    """A phase for programs, a sentence for people."""

    class Failing(Surroundings):
        async def enrol(self, wanted: Wanted, code: ClaimCode) -> Enrolled:
            raise problem

    state = await first_boot(tmp_path, Failing()).attempt()
    assert state.phase is phase
    assert state.sentence.startswith(begin)
    assert state.remedy


async def test_it_goes_on_by_itself(tmp_path: Path) -> None:
    """Through every reason to wait; a platform that refuses is not asked all the time."""
    around = Surroundings(cable=False, clock=False, platform=False, registered=False)
    boot = first_boot(tmp_path, around)
    shown: list[Shown] = []
    boot.watchers.append(shown.append)
    pauses: list[tuple[Phase, float]] = []
    repairs = iter(["cable", "clock", "platform", "registered"])

    async def sleep(seconds: float) -> None:
        pauses.append((shown[-1].state.phase, seconds))
        if len(pauses) % 3 == 0:
            setattr(around, next(repairs), True)

    await boot.run(sleep)
    phases = [one.state.phase for one in shown]
    waits = [Phase.NO_NETWORK, Phase.CLOCK, Phase.UNREACHED, Phase.REFUSED]
    assert phases == [*waits, Phase.ENROLLED]
    assert [phase for phase, _ in pauses[::3]] == waits
    assert max(seconds for phase, seconds in pauses if phase in waits[:2]) <= 5
    assert min(seconds for phase, seconds in pauses if phase is Phase.REFUSED) >= 30
    assert shown[0].claim == CODE[:4] + CODE[5:9]
    assert CODE[10:] not in json.dumps([one.as_json() for one in shown])


def example(**changes: object) -> Shown:
    state = State(Phase.REFUSED, "the platform refuses <b>it</b>", "Do\x1b[2J this.")
    words = {
        "device_code": "7Q3M-PZ2C",
        "station": "north",
        "host_name": "north-box",
        "claim": "01234567",
        "addresses": ("169.254.1.2",),
        "state": state,
    }
    return Shown(**(words | changes))  # type: ignore[arg-type]


def test_what_the_platform_says_is_shown_as_text() -> None:
    """Neither as HTML, nor as orders to a terminal."""
    assert "&lt;b&gt;it&lt;/b&gt;" in as_html(example())
    assert "\x1b" not in as_text(example())
    assert "7Q3M-PZ2C" in as_text(example())
    assert "starts" in as_html(None)


def test_a_console_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    """A machine without a screen."""
    Console(tmp_path / "nothing" / "tty1").show(example())
    path = tmp_path / "tty1"
    path.write_text("")
    Console(path).show(example())
    assert "claim-refused: the platform refuses" in path.read_text()


async def test_the_page_is_the_displays() -> None:
    """At the display's own address, with its headers; for programs as JSON."""
    page = Page("127.0.0.1", 0)
    port = await page.start()
    page.show(example())
    try:
        async with aiohttp.ClientSession() as session:
            for path in ("/", "/display/"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    text = await answer.text()
                    assert answer.status == 200
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "7Q3M-PZ2C" in text
                assert 'http-equiv="refresh"' in text
            async with session.get(f"http://127.0.0.1:{port}/state.json") as answer:
                told = await answer.json()
            async with session.get(f"http://127.0.0.1:{port}/first-boot.css") as answer:
                assert answer.status == 200
        assert told["state"]["phase"] == "claim-refused"
    finally:
        await page.close()


@pytest.mark.parametrize(
    ("remote", "near"),
    [
        ("127.0.0.1", True),
        ("169.254.7.8", True),
        ("192.168.1.5", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("8.8.8.8", False),
        ("2a00::1", False),
        ("::ffff:8.8.8.8", False),
        (None, False),
    ],
)
def test_only_who_is_near_sees_the_page(remote: str | None, near: bool) -> None:
    """Addresses of the internet do not."""
    assert is_near(remote) is near


def test_the_device_code_is_the_boards(tmp_path: Path) -> None:
    """By its serial, else by what the system has; the same at each boot."""
    serial, machine_id = tmp_path / "serial", tmp_path / "machine-id"
    machine_id.write_text("0123456789abcdef\n")
    first = read_device_code((serial, machine_id))
    serial.write_bytes(b"100000001234abcd\0")
    second = read_device_code((serial, machine_id))
    assert first != second
    assert second == device_code(b"100000001234abcd")
    assert len(second) == 9
    assert read_device_code((tmp_path / "nothing",)) == "0000-0000"


def test_addresses_are_read_from_ip() -> None:
    """Link-local ones are told apart; loopback's are left out."""
    links = [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "scope": "host"}]},
        {
            "ifname": "eth0",
            "addr_info": [
                {"local": "10.0.0.2", "scope": "global"},
                {"local": "fe80::2", "scope": "link"},
            ],
        },
        {"ifname": "wlan0"},
    ]
    assert parse_addresses(links) == [("10.0.0.2", True), ("fe80::2", False)]
