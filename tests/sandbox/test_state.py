"""The EVM's state as it is kept between transactions, against a plain dictionary."""

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.sandbox.codec import contract_address
from steelyard.sandbox.state import HISTORY_BLOCKS, BlockContext, WorldState
from wire_world import CONTRACT, KEEP, MANY, READ, REVERT, calldata

SENDER = b"\xad" * 20
GAS = 10_000_000


def at(number: int) -> BlockContext:
    return BlockContext(number, 1_700_000_000 + number, b"\x07" * 20)


def deployed(state: WorldState) -> bytes:
    outcome = state.execute(SENDER, 0, None, CONTRACT, GAS, at(1))
    assert outcome.success
    return contract_address(SENDER, 0)


keys = st.integers(0, 4)
values = st.integers(0, 3)  # 0 clears a slot
writes = st.tuples(st.just(KEEP), keys, values)
loops = st.tuples(st.just(MANY), keys, st.integers(0, 3))
reverts = st.tuples(st.just(REVERT), keys, values)
blocks = st.lists(st.lists(writes | loops | reverts, max_size=4), max_size=8)


@settings(max_examples=60, deadline=None)
@given(blocks, st.data())
def test_every_block_can_be_asked_for(blocks, data):
    """Slots, set, cleared and set again, read as they were after each block, in any order."""
    state = WorldState(1337)
    contract = deployed(state)
    model: dict[int, int] = {}
    history = {1: dict(model)}
    nonce = 1
    for number, transactions in enumerate(blocks, start=2):
        for what, key, value in transactions:
            payload = calldata(what, key, value)
            outcome = state.execute(SENDER, nonce, contract, payload, GAS, at(number))
            nonce += 1
            assert outcome.success is (what != REVERT)
            if what == KEEP:
                model[key] = value
            elif what == MANY:
                model.update({key + i: i for i in range(value)})
        history[number] = dict(model)
    order = data.draw(st.permutations(sorted(history)))
    for number in order:
        for key in range(8):
            outcome = state.call(SENDER, contract, calldata(READ, key), GAS, at(number))
            assert int.from_bytes(outcome.output, "big") == history[number].get(key, 0)
            assert state.storage(contract, key, number) == history[number].get(key, 0)


def test_memory_of_past_blocks_is_bounded():
    """Only the last 128 blocks' old values are kept."""
    state = WorldState(1337)
    contract = deployed(state)
    for number in range(2, 302):
        state.execute(SENDER, number - 1, contract, calldata(KEEP, 1, number), GAS, at(number))
    assert len(state._history) == HISTORY_BLOCKS
    outcome = state.call(SENDER, contract, calldata(READ, 1), GAS, at(301 - 100))
    assert int.from_bytes(outcome.output, "big") == 201


def test_the_same_work_costs_the_same_gas():
    """The hundredth transaction of a kind costs what the second did: nothing stays warm."""
    state = WorldState(1337)
    contract = deployed(state)
    used = [
        state.execute(SENDER, n, contract, calldata(KEEP, 5, n), GAS, at(2 + n // 3)).gas_used
        for n in range(1, 100)
    ]
    assert used[0] - used[1] == 15_000
    assert len(set(used[1:])) == 1
