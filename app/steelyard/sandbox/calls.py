"""Questions to a node's state: eth_call and its like."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steelyard.sandbox import arguments as read
from steelyard.sandbox.codec import checksummed, intrinsic_gas
from steelyard.sandbox.errors import RpcError, server_error
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.node import Node
from steelyard.sandbox.state import Outcome, WorldState
from steelyard.sandbox.views import data

GAS_CAP = 25_000_000  # GoQuorum's default of --rpc.gascap
_LEAST_GAS = 21_000  # of any transaction; eth_estimateGas does not look at less
_ERROR_STRING = bytes.fromhex("08c379a0")
_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True)
class _Message:
    sender: bytes
    to: bytes | None
    data: bytes
    gas: int
    value: int


class Calls:
    """A node answers from its private state if that has the contract, else from the public one."""

    def __init__(self, ledger: SharedLedger, node: Node) -> None:
        self._ledger = ledger
        self._node = node

    def call(self, message: Any, tag: Any, overrides: Any = None) -> str:
        """Run a message on a block's state and forget it; its output, or RpcError."""
        if overrides:
            raise server_error("state overrides are not supported by the sandbox")
        request = _read_message(message)
        number = self._number(tag)
        outcome = self._run(request, request.gas, number)
        if not outcome.success:
            raise execution_error(outcome)
        return data(outcome.output)

    def estimate(self, message: Any, tag: Any = "latest") -> str:
        """The least gas with which a message succeeds, found by bisection as GoQuorum does."""
        request = _read_message(message)
        number = self._number(tag)
        most = request.gas if request.gas >= _LEAST_GAS else GAS_CAP
        too_little = server_error(f"gas required exceeds allowance ({most})")
        if most < intrinsic_gas(request.data, creates=request.to is None):
            raise too_little
        outcome = self._run(request, most, number)
        if outcome.ran_out:
            raise too_little
        if not outcome.success:
            raise execution_error(outcome)
        low = max(outcome.gas_used, intrinsic_gas(request.data, creates=request.to is None)) - 1
        high = most
        while low + 1 < high:
            middle = (low + high) // 2
            if self._run(request, middle, number).success:
                high = middle
            else:
                low = middle
        return hex(high)

    def code(self, address: Any, tag: Any) -> str:
        """The code at an address; none at a node that is not a party."""
        account = read.read_address(address, 0)
        number = self._number(tag, 1)
        return data(
            self._node.state.code(account, number) or self._ledger.public.code(account, number)
        )

    def storage(self, address: Any, index: Any, tag: Any) -> str:
        """A storage slot of a contract."""
        account = read.read_address(address, 0)
        number = self._number(tag, 2)
        slot = read.read_slot(index, 1)
        return data(self._state(account, number).storage(account, slot, number).to_bytes(32, "big"))

    def balance(self, address: Any, tag: Any) -> str:
        """Nobody has ether in this network."""
        read.read_address(address, 0)
        self._number(tag, 1)
        return "0x0"

    def _run(self, request: _Message, gas: int, number: int) -> Outcome:
        need = intrinsic_gas(request.data, creates=request.to is None)
        if gas < need:
            raise server_error(
                f"err: intrinsic gas too low: have {gas}, want {need} (supplied gas {gas})"
            )
        if request.value:
            raise server_error(
                f"err: insufficient funds for transfer: address {checksummed(request.sender)} "
                f"(supplied gas {gas})"
            )
        state = self._state(request.to, number)
        context = self._ledger.context(number)
        return state.call(request.sender, request.to, request.data, gas, context)

    def _state(self, address: bytes | None, number: int) -> WorldState:
        public = self._ledger.public
        if address is None or self._node.state.code(address, number):
            return self._node.state
        return public if public.code(address, number) else self._node.state

    def _number(self, tag: Any, index: int = 1) -> int:
        chain = self._ledger.chain
        head = chain.head.number
        number = head if tag == "pending" else read.read_block_or_hash(tag, index, chain)
        if number > head:
            raise server_error("header not found")
        if not self._node.state.remembers(number, head):
            root = chain.blocks[number].state_root.hex()
            raise server_error(f"missing trie node {root} (path )")
        return number


def _read_message(message: Any) -> _Message:
    """What eth_call is asked to run. GoQuorum 24.4.1 does not look at the newer `input`."""
    if message is None:
        message = {}
    if not isinstance(message, dict):
        raise read.wrong_type(read.name_of(message), 0, "ethapi.CallArgs")

    def member(name: str, reader: Callable[..., Any], absent: Any) -> Any:
        found = message.get(name)
        return absent if found is None else reader(found, 0, field=f"CallArgs.{name}")

    return _Message(
        sender=member("from", read.read_address, _NOBODY),
        to=member("to", read.read_address, None),
        data=member("data", read.read_bytes, b""),
        gas=min(member("gas", read.read_quantity, GAS_CAP), GAS_CAP),
        value=member("value", read.read_value, 0),
    )


def execution_error(outcome: Outcome) -> RpcError:
    """The error that GoQuorum answers for a message that failed."""
    if outcome.ran_out:
        return server_error("out of gas")
    if outcome.halt:
        return server_error(_halt_text(outcome.halt))
    if not outcome.output:
        return server_error("execution reverted")
    reason = _revert_reason(outcome.output)
    text = "execution reverted" if reason is None else f"execution reverted: {reason}"
    return RpcError(3, text, data(outcome.output))


def _halt_text(halt: str) -> str:
    names = {
        "InvalidFEOpcode": "invalid opcode: opcode 0xfe not defined",
        "InvalidJump": "invalid jump destination",
        "StateChangeDuringStaticCall": "write protection",
        "CallTooDeep": "max call depth exceeded",
        "CreateContractSizeLimit": "max code size exceeded",
        "CreateCollision": "contract address collision",
        "StackOverflow": "stack limit reached 1024 (1023)",
        "StackUnderflow": "stack underflow (0 <=> 1)",
    }
    return names.get(halt, f"invalid opcode: {halt}")


def _revert_reason(output: bytes) -> str | None:
    """The text of Solidity's Error(string), if the output is one."""
    if output[:4] != _ERROR_STRING or len(output) < 68:
        return None
    offset = 4 + int.from_bytes(output[4:36], "big")
    if offset + 32 > len(output):
        return None
    size = int.from_bytes(output[offset : offset + 32], "big")
    text = output[offset + 32 : offset + 32 + size]
    return text.decode("utf-8", "replace") if len(text) == size else None
