"""One world state in an EVM, with gas as the real one counts it and a memory of recent blocks.

pyrevm keeps a single journal for ever: storage that one transaction has touched would be warm, and
its original value stale, for the next. So each transaction runs in a snapshot, what it wrote is
read out of the journal, the journal is rolled back and the writes go into the database below it.
That also gives the old values, from which a call on an earlier block is answered.
"""

import re
from collections import deque
from dataclasses import dataclass, field

from eth_hash.auto import keccak
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from steelyard.sandbox.codec import intrinsic_gas

# GoQuorum 24.4.1 cannot run private contracts under later rules (its issue 1657). pyrevm takes an
# unknown name, and also this one in other letters, for its latest rules without a word.
_RULES = "Istanbul"
# EIP-170 allows 24 KiB; GoQuorum's maxCodeSizeConfig at most 128 KiB, as networks have it.
MAX_CODE_SIZE = 128 * 1024
HISTORY_BLOCKS = 128  # what a node that is no archive keeps
_CODE_PADDING = 33
_NO_LIMIT = 2**53  # above every transaction's gas: the pool has checked the block's limit
_ACCOUNT = re.compile(
    r"(0x[0-9a-f]{40}): Account \{ info: AccountInfo \{ balance: \w+, nonce: (\d+), "
)
_SLOT = re.compile(
    r"(\w+): StorageSlot \{ previous_or_original_value: (\w+), present_value: (\w+) \}"
)
_STATUS = "}, status: AccountStatus("
_REVERT = re.compile(r"^Revert \{ gas_used: (\d+), output: 0x([0-9a-f]*) \}$")
_HALT = re.compile(r"^Halt \{ reason: (.+), gas_used: (\d+) \}$")


@dataclass(frozen=True, slots=True)
class Log:
    """One event: who emitted it, its topics, its data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended; `halt` is why it stopped when it neither returned nor reverted."""

    success: bool
    output: bytes
    gas_used: int
    logs: tuple[Log, ...] = ()
    halt: str = ""

    @property
    def ran_out(self) -> bool:
        """Whether it stopped for want of gas."""
        return self.halt.startswith("OutOfGas")


@dataclass(frozen=True, slots=True)
class BlockContext:
    """What a contract may ask about the block it runs in."""

    number: int
    timestamp: int
    coinbase: bytes


@dataclass(slots=True)
class _Undo:
    """The values before a block, of everything that it wrote."""

    block: int
    slots: dict[tuple[str, int], int] = field(default_factory=dict)
    accounts: dict[str, tuple[int, bytes]] = field(default_factory=dict)


def _hex(address: bytes) -> str:
    return "0x" + address.hex()


class WorldState:
    """Accounts and contracts of one private (or the public) state."""

    def __init__(self, chain_id: int) -> None:
        config = CfgEnv(chain_id=chain_id, limit_contract_code_size=MAX_CODE_SIZE)
        self._evm = EVM(env=Env(cfg=config), gas_limit=_NO_LIMIT, spec_id=_RULES)
        self._history: deque[_Undo] = deque()

    def execute(
        self,
        sender: bytes,
        nonce: int,
        to: bytes | None,
        data: bytes,
        gas: int,
        block: BlockContext,
    ) -> Outcome:
        """Run a transaction's message for good. `gas` is what is left after intrinsic gas."""
        evm = self._evm
        self._enter(block)
        evm.insert_account_info(_hex(sender), AccountInfo(nonce=nonce))
        checkpoint = evm.snapshot()
        try:
            outcome = self._run(sender, to, data, gas + intrinsic_gas(data, creates=to is None))
            writes = self._writes() if outcome.success else []
        finally:
            evm.revert(checkpoint)
        undo = self._undo(block.number)
        for address, account_nonce, code, slots in writes:
            self._write(undo, address, account_nonce, code, slots)
        return outcome

    def call(
        self, sender: bytes, to: bytes | None, data: bytes, gas: int, block: BlockContext
    ) -> Outcome:
        """Run a message on the state after `block` and forget what it did."""
        undone = self._rewind(block.number)
        self._enter(block)
        checkpoint = self._evm.snapshot()
        try:
            return self._run(sender, to, data, gas)
        finally:
            self._evm.revert(checkpoint)
            self._restore(undone)

    def code(self, address: bytes, block: int) -> bytes:
        """The code at an address after a block."""
        undone = self._rewind(block)
        try:
            return self._code(_hex(address))
        finally:
            self._restore(undone)

    def storage(self, address: bytes, index: int, block: int) -> int:
        """A storage slot after a block."""
        undone = self._rewind(block)
        checkpoint = self._evm.snapshot()
        try:
            return self._evm.storage(_hex(address), index)
        finally:
            self._evm.revert(checkpoint)
            self._restore(undone)

    def remembers(self, block: int, head: int) -> bool:
        """Whether the state after a block can still be asked for."""
        return head - block < HISTORY_BLOCKS

    # -- running -------------------------------------------------------------------------------

    def _enter(self, block: BlockContext) -> None:
        self._evm.set_block_env(
            BlockEnv(
                number=block.number,
                timestamp=block.timestamp,
                coinbase=_hex(block.coinbase),
                difficulty=1,
                gas_limit=_NO_LIMIT,
            )
        )

    def _run(self, sender: bytes, to: bytes | None, data: bytes, gas: int) -> Outcome:
        evm = self._evm
        try:
            if to is None:
                output = self._created_code(evm.deploy(_hex(sender), data, gas=gas))
            else:
                output = evm.message_call(_hex(sender), _hex(to), data, gas=gas)
        except RuntimeError as error:
            return _failure(str(error), gas)
        result = evm.result
        if result is None:  # pyrevm keeps a result of every run
            raise RuntimeError("the EVM gave no result")
        logs = tuple(
            Log(bytes.fromhex(log.address[2:]), tuple(log.data[0]), bytes(log.data[1]))
            for log in result.logs
        )
        return Outcome(success=True, output=output, gas_used=result.gas_used, logs=logs)

    def _created_code(self, address: str) -> bytes:
        """The code that the running transaction has put at an address."""
        code = self._evm.get_code(address) or b""
        # The EVM shows code that it has analysed with its padding.
        code_hash = self._evm.basic(address).code_hash
        exact = code if keccak(code) == code_hash else code[:-_CODE_PADDING]
        if keccak(exact) != code_hash:
            raise RuntimeError("the EVM's code does not have the EVM's code hash")
        return exact

    def _code(self, address: str) -> bytes:
        checkpoint = self._evm.snapshot()
        try:
            return self._evm.get_code(address) or b""
        finally:
            self._evm.revert(checkpoint)

    def _nonce(self, address: str) -> int:
        checkpoint = self._evm.snapshot()
        try:
            return self._evm.basic(address).nonce
        finally:
            self._evm.revert(checkpoint)

    # -- writes --------------------------------------------------------------------------------

    def _writes(self) -> list[tuple[str, int, bytes | None, list[tuple[int, int, int]]]]:
        """Per account in the journal: nonce, code if it was created, slots (index, old, new)."""
        text = self._evm.journal_str
        end = text.rfind("}, transient_storage: {")
        heads = list(_ACCOUNT.finditer(text, 0, end))
        writes = []
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            stop = following.start() if following else end
            status_at = text.rindex(_STATUS, head.end(), stop)
            status = text[status_at + len(_STATUS) : text.index(")", status_at)]
            if "Touched" not in status:
                continue
            created = self._created_code(head[1]) if "Created" in status else None
            storage_at = text.index("}, storage: {", head.end(), stop)
            slots = [
                (int(index, 0), int(old, 0), int(new, 0))
                for index, old, new in _SLOT.findall(text, storage_at, status_at)
                if old != new
            ]
            writes.append((head[1], int(head[2]), created, slots))
        return writes

    def _undo(self, block: int) -> _Undo:
        if not self._history or self._history[-1].block != block:
            self._history.append(_Undo(block))
        while self._history[0].block <= block - HISTORY_BLOCKS:
            self._history.popleft()
        return self._history[-1]

    def _write(
        self,
        undo: _Undo,
        address: str,
        nonce: int,
        code: bytes | None,
        slots: list[tuple[int, int, int]],
    ) -> None:
        nonce_before = self._nonce(address)
        if code is not None or nonce != nonce_before:
            code_before = self._code(address)
            undo.accounts.setdefault(address, (nonce_before, code_before))
            code = code_before if code is None else code
            self._evm.insert_account_info(address, AccountInfo(nonce=nonce, code=code or None))
        for index, old, _ in slots:
            undo.slots.setdefault((address, index), old)
        self._put(address, [(index, new) for index, _, new in slots])

    def _put(self, address: str, slots: list[tuple[int, int]]) -> None:
        evm = self._evm
        for index, value in slots:
            # This writes to the database only while the account is not in the journal, and then
            # loads it: so the journal is emptied after each slot.
            checkpoint = evm.snapshot()
            evm.insert_account_storage(address, index, value)
            evm.revert(checkpoint)

    # -- earlier blocks ------------------------------------------------------------------------

    def _rewind(self, block: int) -> _Undo | None:
        """Bring the state back to the end of a block; gives what `_restore` needs."""
        if not self._history or self._history[-1].block <= block:
            return None
        past = _Undo(block)
        for undo in reversed(self._history):
            if undo.block <= block:
                break
            past.slots.update(undo.slots)
            past.accounts.update(undo.accounts)
        return self._swap(past)

    def _restore(self, present: _Undo | None) -> None:
        if present is not None:
            self._swap(present)

    def _swap(self, values: _Undo) -> _Undo:
        """Put these values in place and give those that were there."""
        replaced = _Undo(values.block)
        for address, (nonce, code) in values.accounts.items():
            replaced.accounts[address] = (self._nonce(address), self._code(address))
            self._evm.insert_account_info(address, AccountInfo(nonce=nonce, code=code or None))
        checkpoint = self._evm.snapshot()
        for address, index in values.slots:
            replaced.slots[address, index] = self._evm.storage(address, index)
        self._evm.revert(checkpoint)
        for (address, index), value in values.slots.items():
            self._put(address, [(index, value)])
        return replaced


def _failure(reason: str, gas: int) -> Outcome:
    revert = _REVERT.match(reason)
    if revert:
        return Outcome(success=False, output=bytes.fromhex(revert[2]), gas_used=int(revert[1]))
    halt = _HALT.match(reason)
    return Outcome(success=False, output=b"", gas_used=gas, halt=halt[1] if halt else reason)
