"""The compiled station contract: its ABI and bytecode, as contracts/ builds them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

from eth_abi import abi as eth_abi

from steelyard.ledger.encoding import from_hex, keccak, to_hex

_Item: TypeAlias = Mapping[str, Any]
Word: TypeAlias = Any  # an ABI value: integer, text, bytes, truth, or a sequence of them


@dataclass(frozen=True, slots=True)
class Callable:
    """A function or a custom error of the contract: its selector and its ABI types."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Word) -> bytes:
        """Calldata: the selector and the arguments."""
        return self.selector + eth_abi.encode(self.inputs, arguments)

    def decode_input(self, data: bytes) -> tuple[Word, ...]:
        """The arguments of calldata. Raises eth_abi's DecodingError."""
        return eth_abi.decode(self.inputs, data[4:])

    def decode_output(self, data: bytes) -> tuple[Word, ...]:
        """What a call returned. Raises eth_abi's DecodingError."""
        return eth_abi.decode(self.outputs, data)


@dataclass(frozen=True, slots=True)
class Artefact:
    """The contract as compiled: what is deployed and how it is spoken to."""

    initcode: bytes
    runtime: bytes
    functions: Mapping[str, Callable]
    errors: Mapping[bytes, Callable]  # by selector
    registered_topic: str  # the hash of the event TicketsRegistered


@cache
def station_tickets() -> Artefact:
    """The committed artefact of contracts/StationTickets.sol, read once."""
    file = resources.files("steelyard.ledger") / "artefacts" / "StationTickets.json"
    document = json.loads(file.read_text("utf-8"))
    abi: Sequence[_Item] = document["abi"]
    functions = {item["name"]: _callable(item) for item in abi if item["type"] == "function"}
    errors = [_callable(item) for item in abi if item["type"] == "error"]
    (event,) = [item for item in abi if item["type"] == "event"]
    return Artefact(
        initcode=from_hex(document["bytecode"]),
        runtime=from_hex(document["deployedBytecode"]),
        functions=functions,
        errors={error.selector: error for error in errors},
        registered_topic=to_hex(keccak(_signature(event).encode())),
    )


def _callable(item: _Item) -> Callable:
    return Callable(
        name=item["name"],
        selector=keccak(_signature(item).encode())[:4],
        inputs=tuple(_type_of(one) for one in item["inputs"]),
        outputs=tuple(_type_of(one) for one in item.get("outputs", ())),
    )


def _signature(item: _Item) -> str:
    return f"{item['name']}({','.join(_type_of(one) for one in item['inputs'])})"


def _type_of(item: _Item) -> str:
    """The canonical type: structs become tuples (Solidity ABI specification)."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type_of(one) for one in item['components'])}){kind[5:]}"
