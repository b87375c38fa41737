"""Refresh-token families against a model that keeps the whole history in memory."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from sqlalchemy import select

from databases import FakeClock, a_user
from steelyard.identity import refresh
from steelyard.identity.refresh import Outcome, RefreshPolicy
from steelyard.store.database import Database
from steelyard.store.models import Base, TokenFamily, User
from steelyard.store.settings import StoreSettings

POLICY = RefreshPolicy(idle=100_000, absolute=400_000, grace=10_000)
SIBLINGS = 5


@dataclass
class Family:
    """What must be true: when it was born and which tokens stand on which step of the ladder."""

    born: int
    dead: bool = False
    steps: list[list[str]] = field(default_factory=list)
    climbed_with: list[str] = field(default_factory=list)
    climbed_at: int = 0


@dataclass(frozen=True)
class Token:
    """A token, and what the client who holds it knows of it."""

    text: str
    family: int
    issued: int


class FamilyMachine(RuleBasedStateMachine):
    """Owner and thief present any token they ever saw, at any time, in any order."""

    tokens = Bundle("tokens")

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.model: list[Family] = []

    @initialize()
    def start(self):
        self.runner.run(self._start())

    async def _start(self):
        self.database = Database(StoreSettings(url=f"sqlite:///{self.directory}/x.db"))
        async with self.database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        self.user = a_user(None)
        async with self.database.session() as session:
            session.add(self.user)

    def teardown(self):
        if hasattr(self, "database"):
            self.runner.run(self.database.dispose())
        self.runner.close()
        shutil.rmtree(self.directory)

    @rule(target=tokens)
    def log_in(self):
        text = self.runner.run(self._log_in())
        self.model.append(Family(self.clock(), steps=[[text]]))
        return Token(text, len(self.model) - 1, self.clock())

    async def _log_in(self):
        async with self.database.session() as session:
            user = await session.get_one(User, self.user.id)
            return (await refresh.open_family(session, POLICY, user, self.clock()))[1]

    @rule(seconds=st.sampled_from([0.5, 5, 10, 11, 60, 100, 300]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule(target=tokens, token=tokens)
    def present(self, token):
        """The outcome is the model's; a refused token stays in the hands of who holds it."""
        expected = self._expect(token)
        found = self.runner.run(self._exchange(token.text))
        assert found.outcome is expected
        family = self.model[token.family]
        if found.outcome is Outcome.REUSED:
            family.dead = True
        if found.outcome is not Outcome.RENEWED:
            return token
        if token.text in family.steps[-1]:
            family.climbed_with.append(token.text)
            family.climbed_at = self.clock()
            family.steps.append([])
        family.steps[-1].append(found.token)
        return Token(found.token, token.family, self.clock())

    async def _exchange(self, text):
        async with self.database.session() as session:
            return await refresh.exchange(session, POLICY, text, self.clock())

    def _expect(self, token) -> Outcome:
        family, now = self.model[token.family], self.clock()
        if family.dead or now >= family.born + POLICY.absolute:
            return Outcome.REFUSED
        if token.text in family.steps[-1]:
            return Outcome.REFUSED if now >= token.issued + POLICY.idle else Outcome.RENEWED
        repeated = family.climbed_with[-1] == token.text
        if not repeated or now - family.climbed_at > POLICY.grace:
            return Outcome.REUSED
        return Outcome.RENEWED if len(family.steps[-1]) < SIBLINGS else Outcome.REFUSED

    @rule(token=tokens)
    def log_out(self, token):
        self.runner.run(self._log_out(token.text))
        self.model[token.family].dead = True

    async def _log_out(self, text):
        async with self.database.session() as session:
            await refresh.revoke_family(session, text, self.clock())

    @rule()
    def purge(self):
        """Clearing away what has expired changes no outcome."""
        self.runner.run(self._purge())

    async def _purge(self):
        async with self.database.session() as session:
            await refresh.purge(session, self.clock())
        async with self.database.session(read_only=True) as session:
            alive = {
                family.revoked_at is None for family in await session.scalars(select(TokenFamily))
            }
        expected = {
            not family.dead for family in self.model if self.clock() < family.born + POLICY.absolute
        }
        assert alive == expected


TestFamilies = FamilyMachine.TestCase
TestFamilies.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
