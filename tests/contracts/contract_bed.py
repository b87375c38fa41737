"""A station's contract in an EVM of its own, called as the ledger calls it: through its ABI.

Shared by the tests of this directory and by bench/contract.py.
"""

import json
import os
import random
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pyrevm
from eth_abi import decode, encode
from eth_utils import keccak

from steelyard.ledger.packing import pack
from steelyard.ticket import CellWeight, Ticket, TicketFilter

ARTEFACT_PATH = Path(__file__).parents[2] / "app/steelyard/ledger/artefacts/StationTickets.json"
STATION = "0x" + "51" * 20
STRANGER = "0x" + "99" * 20
GAS_LIMIT = 2**50
CALL_GAS = 25_000_000  # the cap of an eth_call that GoQuorum has by default
INT64 = (-(2**63), 2**63 - 1)
_REVERT = re.compile(r"^Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}$")
_HALT = re.compile(r"^Halt \{ reason: (.*), gas_used: \d+ \}$", re.DOTALL)


class ContractError(Exception):
    """A revert of the contract: the error's name in the ABI and its arguments."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        super().__init__(name, *arguments)
        self.name = name
        self.arguments = arguments


class Entry(NamedTuple):
    """A ticket as the contract holds it."""

    ticket: Ticket
    index: int
    block_number: int

    @property
    def key(self) -> int:
        return self.ticket.timestamp << 64 | self.index


def seeded(seed: int | str) -> random.Random:
    """A source of made-up data, the same in every run."""
    return random.Random(seed)  # noqa: S311 - nothing secret is made of it


def load_artefact() -> dict[str, Any]:
    """The committed artefact."""
    return json.loads(ARTEFACT_PATH.read_text("utf-8"))


def type_of(parameter: dict[str, Any]) -> str:
    """The ABI type of a parameter, tuples written out."""
    if not parameter["type"].startswith("tuple"):
        return parameter["type"]
    members = ",".join(type_of(member) for member in parameter["components"])
    return f"({members}){parameter['type'].removeprefix('tuple')}"


class Interface:
    """Encoding and decoding by the artefact's ABI."""

    def __init__(self, abi: Sequence[dict[str, Any]]) -> None:
        self.functions = {item["name"]: item for item in abi if item["type"] == "function"}
        self.inputs = {name: self._types(item["inputs"]) for name, item in self.functions.items()}
        self.outputs = {name: self._types(item["outputs"]) for name, item in self.functions.items()}
        self.selectors = {name: self._selector(item) for name, item in self.functions.items()}
        self.errors = {self._selector(item): item for item in abi if item["type"] == "error"}
        self.ticket_type = self.inputs["register"][0]

    @staticmethod
    def _types(parameters: Iterable[dict[str, Any]]) -> list[str]:
        return [type_of(parameter) for parameter in parameters]

    def _selector(self, item: dict[str, Any]) -> bytes:
        return keccak(text=f"{item['name']}({','.join(self._types(item['inputs']))})")[:4]

    def encode_call(self, name: str, *arguments: Any) -> bytes:
        return self.selectors[name] + encode(self.inputs[name], arguments)

    def decode_error(self, data: bytes) -> ContractError:
        item = self.errors.get(data[:4])
        if item is None:
            return ContractError("unnamed", (data,))
        try:
            return ContractError(item["name"], decode(self._types(item["inputs"]), data[4:]))
        except UnicodeDecodeError:  # the error quotes an id that is no text
            return ContractError(item["name"], (data,))


INTERFACE = Interface(load_artefact()["abi"])


def to_word(text: str | None) -> bytes:
    """A text as the contract takes it: UTF-8, left-aligned; zero for none."""
    return (text or "").encode().ljust(32, b"\0")


def to_text(word: bytes) -> str:
    return word.rstrip(b"\0").decode()


def ticket_tuple(ticket: Ticket) -> tuple[Any, ...]:
    """The struct Ticket."""
    return (
        ticket.id,
        to_word(ticket.terminal_serial),
        ticket.terminal_restart,
        ticket.timestamp,
        to_word(ticket.scale_serial),
        to_word(ticket.status),
        ticket.gross,
        ticket.tare,
        ticket.net,
        to_word(ticket.vehicle),
        [(to_word(cell.serial), cell.weight) for cell in ticket.cells],
    )


def ticket_from(values: Sequence[Any]) -> Ticket:
    """The ticket of a struct Ticket; it passes every rule of the model."""
    return Ticket(
        id=values[0],
        terminal_serial=to_text(values[1]),
        terminal_restart=values[2],
        timestamp=values[3],
        scale_serial=to_text(values[4]),
        status=to_text(values[5]),
        gross=values[6],
        tare=values[7],
        net=values[8],
        vehicle=to_text(values[9]) or None,
        cells=tuple(
            CellWeight(serial=to_text(serial), weight=grams) for serial, grams in values[10]
        ),
    )


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def filter_tuple(wanted: TicketFilter, *, newest_first: bool = False) -> tuple[Any, ...]:
    """The struct Filter: open ends are the type's least or greatest value."""
    least, greatest = INT64
    return (
        wanted.id or "",
        to_word(wanted.terminal_serial),
        _or(wanted.restart_from, 0),
        _or(wanted.restart_to, 2**32 - 1),
        _or(wanted.timestamp_from, 0),
        _or(wanted.timestamp_to, 2**64 - 1),
        to_word(wanted.scale_serial),
        to_word(wanted.status),
        to_word(wanted.vehicle),
        _or(wanted.gross_from, least),
        _or(wanted.gross_to, greatest),
        _or(wanted.tare_from, least),
        _or(wanted.tare_to, greatest),
        _or(wanted.net_from, least),
        _or(wanted.net_to, greatest),
        to_word(wanted.cell_serial),
        _or(wanted.cell_weight_from, least),
        _or(wanted.cell_weight_to, greatest),
        newest_first,
    )


class Station:
    """A deployed contract. Calls raise ContractError where the contract reverts.

    pyrevm 0.3.7 counts gas as Berlin does, except for refunds, but runs younger instructions too,
    whatever spec it is given: test_artefact.py looks for those in the code.
    """

    def __init__(self, evm: pyrevm.EVM | None = None, address: str | None = None) -> None:
        self.evm = evm or pyrevm.EVM(spec_id="BERLIN", gas_limit=GAS_LIMIT)
        self.mine(1)
        self.address = address or self.evm.deploy(
            STATION, bytes.fromhex(load_artefact()["bytecode"][2:])
        )

    @property
    def gas_used(self) -> int:
        """Of the last call. Storage that an earlier call touched counts as warm in this EVM."""
        return self.evm.result.gas_used

    def mine(self, number: int) -> None:
        """Set the number of the block that the next transactions are in."""
        self.evm.set_block_env(pyrevm.BlockEnv(number=number))

    def send(
        self, data: bytes, *, gas: int | None = None, caller: str = STATION, static: bool = False
    ) -> bytes:
        """Run a call's data."""
        try:
            return self.evm.message_call(
                caller, self.address, calldata=data, gas=gas, is_static=static
            )
        except RuntimeError as error:
            if found := _REVERT.match(str(error)):
                raise INTERFACE.decode_error(bytes.fromhex(found.group(1))) from None
            if found := _HALT.match(str(error)):
                raise ContractError("halt", (found.group(1),)) from None
            raise

    def call(self, name: str, *arguments: Any, gas: int | None = CALL_GAS) -> tuple[Any, ...]:
        """A view, in a static call as eth_call makes it."""
        data = self.send(
            INTERFACE.encode_call(name, *arguments), gas=gas, caller=STRANGER, static=True
        )
        return decode(INTERFACE.outputs[name], data)

    def register(self, *tickets: Ticket, caller: str = STATION) -> None:
        """One ticket through `register`, more (or none) through `registerMany`."""
        values = [ticket_tuple(ticket) for ticket in tickets]
        if len(values) == 1:
            self.send(INTERFACE.encode_call("register", values[0]), caller=caller)
        else:
            self.send(INTERFACE.encode_call("registerMany", values), caller=caller)

    def register_packed(self, *tickets: Ticket, caller: str = STATION) -> None:
        """One batch through `registerPacked`, as the platform packs it."""
        self.send(INTERFACE.encode_call("registerPacked", pack(tickets)), caller=caller)

    def register_all(self, tickets: Sequence[Ticket]) -> None:
        """Any number, in batches."""
        for start in range(0, len(tickets), 200):
            self.send(
                INTERFACE.encode_call(
                    "registerMany", [ticket_tuple(t) for t in tickets[start : start + 200]]
                )
            )

    def query(
        self,
        wanted: TicketFilter,
        cursor: int = 0,
        limit: int = 100,
        *,
        newest_first: bool = False,
        gas: int | None = CALL_GAS,
    ) -> tuple[list[Entry], int]:
        page, following = self.call(
            "query", filter_tuple(wanted, newest_first=newest_first), cursor, limit, gas=gas
        )
        return [Entry(ticket_from(entry[0]), entry[1], entry[2]) for entry in page], following

    def count(
        self, wanted: TicketFilter, cursor: int = 0, *, newest_first: bool = False
    ) -> tuple[int, int]:
        found, following = self.call(
            "count", filter_tuple(wanted, newest_first=newest_first), cursor
        )
        return found, following

    def get(self, ticket_id: str) -> Entry:
        (entry,) = self.call("get", ticket_id)
        return Entry(ticket_from(entry[0]), entry[1], entry[2])

    def total(self) -> int:
        return self.call("total")[0]


class _StateHandler(BaseHTTPRequestHandler):
    """Serves a station's state as JSON-RPC, as far as an EVM reads it on demand."""

    station: Station

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        result = self._answer(request["method"], request["params"])
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, method: str, parameters: list[Any]) -> str:
        evm = self.station.evm
        if method == "eth_getStorageAt":
            return f"0x{evm.storage(parameters[0], int(parameters[1], 16)):064x}"
        if method == "eth_getCode":
            return "0x" + (evm.get_code(parameters[0]) or b"").hex()
        return "0x0"  # balances and nonces

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep the standard error for errors."""


class ColdNode:
    """The same state in a fresh EVM for every call, so that gas is what a node counts.

    pyrevm keeps storage warm from call to call, and counts a slot's first writing as its last; a
    fresh EVM that reads the state from elsewhere does neither.
    """

    def __init__(self, url: str, address: str) -> None:
        self.url = url
        self.address = address

    def station(self) -> Station:
        """The contract with nothing touched yet."""
        evm = pyrevm.EVM(fork_url=self.url, fork_block="0x1", spec_id="BERLIN", gas_limit=GAS_LIMIT)
        return Station(evm, self.address)

    def gas(self, name: str, *arguments: Any, gas: int | None = CALL_GAS) -> int:
        """What a view uses. Raises ContractError where it reverts or needs more than `gas`."""
        station = self.station()
        station.call(name, *arguments, gas=gas)
        return station.gas_used

    def registering_gas(self, data: bytes) -> int:
        """What a transaction uses; its changes are forgotten."""
        station = self.station()
        station.send(data)
        return station.gas_used


@contextmanager
def cold_node(station: Station) -> Iterator[ColdNode]:
    """A copy of the station's state in a process of its own, served on loopback."""
    handler = type("Handler", (_StateHandler,), {"station": station})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        child = os.fork()
        if child == 0:
            try:
                server.serve_forever()
            finally:
                os._exit(0)
        try:
            yield ColdNode(f"http://127.0.0.1:{server.server_port}", station.address)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
