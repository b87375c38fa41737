"""Whatever happens to rings, processes and rows: a value opens as it was sealed, or not at all.

What the machine allows, because no seal can forbid it: an older genuine value of the same place.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from steelyard.store.errors import VaultTampered
from steelyard.store.key_ring import KeyRing
from steelyard.store.vault import Place, Vault, key_id_of

PLACES = [Place(table, row, column) for table in "ab" for row in "xy" for column in "mn"]
places = st.sampled_from(PLACES)
processes = st.integers(0, 2)


class VaultMachine(RuleBasedStateMachine):
    """Three processes over one ring file and a table of eight places.

    `genuine` says of every sealed value that the vault ever gave for which place and for what.
    """

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "ring.json"
        self.rows: dict[Place, bytes] = {}
        self.genuine: dict[bytes, tuple[Place, bytes]] = {}

    def teardown(self):
        shutil.rmtree(self.directory)

    def _is_genuine(self, place: Place) -> bool:
        origin = self.genuine.get(self.rows[place])
        return origin is not None and origin[0] == place

    @initialize()
    def start(self):
        KeyRing.generate().write(self.path)
        self.processes = [Vault.load(self.path) for _ in range(3)]

    @rule(process=processes, place=places, clear=st.binary(max_size=40))
    def seal(self, process, place, clear):
        self.rows[place] = self.processes[process].seal(place, clear)
        self.genuine[self.rows[place]] = (place, clear)

    @rule(stage=st.booleans())
    def rotate(self, stage):
        ring = KeyRing.read(self.path)
        (ring.with_new_key(use=False) if stage else ring.with_current(0)).write(self.path)

    @rule(process=processes, how_many=st.integers(0, 8))
    def rewrap(self, process, how_many):
        """As the command does it, interrupted after some rows."""
        for place in list(self.rows)[:how_many]:
            if self._is_genuine(place):
                clear = self.processes[process].open(place, self.rows[place])
                self.seal(process, place, clear)

    @rule()
    def drop(self):
        """As the command does it: nothing goes while a row does not open."""
        if all(self._is_genuine(place) for place in self.rows):
            ring = KeyRing.read(self.path)
            used = {key_id_of(place, sealed) for place, sealed in self.rows.items()}
            ring.without(set(ring.replaced) - used).write(self.path)

    @rule(place=places, bit=st.integers(0, 2**12))
    def flip(self, place, bit):
        """An attacker changes a bit, or changes it back."""
        if place in self.rows:
            changed = bytearray(self.rows[place])
            changed[bit // 8 % len(changed)] ^= 1 << bit % 8
            self.rows[place] = bytes(changed)

    @rule(here=places, there=places)
    def copy(self, here, there):
        """An attacker copies what stands here to there."""
        if here in self.rows:
            self.rows[there] = self.rows[here]

    @invariant()
    def every_process_sees_what_was_sealed_here_or_an_error(self):
        for vault in getattr(self, "processes", []):
            for place, sealed in self.rows.items():
                if self._is_genuine(place):
                    assert vault.open(place, sealed) == self.genuine[sealed][1]
                else:
                    with pytest.raises(VaultTampered):
                        vault.open(place, sealed)


TestVault = VaultMachine.TestCase
TestVault.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
