"""What a newcomer writes: web3.py as it comes, one ticket a transaction.

Deliberately plain. web3.py encodes, passes its middleware, asks for the nonce once and polls for
the receipt; the payload goes to Tessera's `/storeraw`, the signed transaction that names it to
`eth_sendRawPrivateTransaction`.
"""

import json
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import requests
import rlp
from eth_account import Account
from eth_utils.conversions import to_bytes
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import RPCEndpoint

from steelyard.ledger.protocol import NodeRef
from steelyard.ticket import Ticket

GAS_DEPLOY = 10_000_000
GAS_TICKET = 5_000_000
GAS_FILLED_TICKET = 1_000_000  # of a call of `fill`
PRIVATE_V = 37  # GoQuorum's mark of a private transaction; Ethereum's is 27
SECONDS = 120  # that a receipt is waited for
COMPILER = Path(__file__).with_name("compile.mjs")
SOLC = COMPILER.parents[2] / "contracts" / "node_modules" / "solc"


Artefact = dict[str, Any]  # `abi` and `bytecode`


class NoCompiler(Exception):
    """The naive contract cannot be compiled; one sentence on what to do."""


class NaiveFailure(Exception):
    """A transaction of the naive client's failed."""


def compiled() -> Artefact:
    """ABI and bytecode of NaiveTickets.sol, compiled now. Raises NoCompiler."""
    if not SOLC.is_dir():
        raise NoCompiler(
            "The naive contract needs its compiler: run `npm ci` in contracts/, "
            "as `make bench-ledger` does"
        )
    try:
        done = subprocess.run(["node", COMPILER], capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoCompiler(f"The naive contract needs Node.js: node: {error.strerror}") from None
    if done.returncode != 0:
        raise NoCompiler(f"The naive contract does not compile: {done.stderr.strip()}")
    artefact: Artefact = json.loads(done.stdout)
    return artefact


def word(text: str | None) -> bytes:
    """A text as the contract takes it: UTF-8, left-aligned in 32 bytes; zero for none."""
    return (text or "").encode().ljust(32, b"\0")


def words(ticket: Ticket) -> tuple[Any, ...]:
    """The members of the contract's struct Ticket."""
    return (
        ticket.id,
        word(ticket.terminal_serial),
        ticket.terminal_restart,
        ticket.timestamp,
        word(ticket.scale_serial),
        word(ticket.status),
        ticket.gross,
        ticket.tare,
        ticket.net,
        word(ticket.vehicle),
        [(word(cell.serial), cell.weight) for cell in ticket.cells],
    )


def signed(fields: list[Any], key: bytes) -> str:
    """A private transaction as it is sent: nonce, price, gas, target, value and payload's name.

    eth-account signs no such transaction, but any hash, and gives 27 or 28 for v.
    """
    signature = Account.unsafe_sign_hash(keccak(rlp.encode(fields)), key)
    v = signature.v - 27 + PRIVATE_V
    raw: bytes = rlp.encode([*fields, v, signature.r, signature.s])
    return "0x" + raw.hex()


def connected(url: str) -> Web3:
    """web3.py at a node, with the middleware that blocks of such a chain need."""
    web3 = Web3(HTTPProvider(url))
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    return web3


class NaiveClient:
    """One key at one node, private to one other party (a base64 Tessera key)."""

    def __init__(self, node: NodeRef, party: str, artefact: Artefact) -> None:
        self.node = node
        self.party = party
        self.artefact = artefact
        self.web3 = connected(node.rpc_url)
        self.account = Account.create()
        self.nonces = count(self.web3.eth.get_transaction_count(self.account.address))
        self.address = self._execute("", artefact["bytecode"], GAS_DEPLOY)["contractAddress"]
        self.contract = self.web3.eth.contract(address=self.address, abi=artefact["abi"])

    def register(self, ticket: Ticket) -> float:
        """Register a ticket; the seconds until its receipt was there."""
        started = time.perf_counter()
        data = self.contract.encode_abi("register", args=[words(ticket)])
        self._execute(self.address, data, GAS_TICKET)
        return time.perf_counter() - started

    def fill(self, tickets: Sequence[Ticket], nonce: int) -> None:
        """Bring many tickets into the contract by the transaction with a nonce, to query them."""
        data = self.contract.encode_abi("fill", args=[[words(ticket) for ticket in tickets]])
        self._execute(self.address, data, GAS_FILLED_TICKET * len(tickets), nonce)

    def seen_from(self, node: NodeRef) -> Any:
        """The contract at another party's node."""
        web3 = connected(node.rpc_url)
        return web3.eth.contract(address=self.address, abi=self.artefact["abi"])

    def _execute(self, to: str, data: str, gas: int, nonce: int | None = None) -> Any:
        digest = self._stored(to_bytes(hexstr=data))
        used = next(self.nonces) if nonce is None else nonce
        raw = signed([used, 0, gas, to_bytes(hexstr=to), 0, digest], self.account.key)
        method = RPCEndpoint("eth_sendRawPrivateTransaction")
        sent = self.web3.manager.request_blocking(method, [raw, {"privateFor": [self.party]}])
        receipt = self.web3.eth.wait_for_transaction_receipt(HexBytes(sent), timeout=SECONDS)
        if receipt["status"] != 1:
            raise NaiveFailure("a transaction of the naive client failed in the contract")
        return receipt

    def _stored(self, payload: bytes) -> bytes:
        body = {"payload": b64encode(payload).decode(), "from": self.node.tessera_key}
        answer = requests.post(f"{self.node.tessera_url}/storeraw", json=body, timeout=30)
        answer.raise_for_status()
        return b64decode(answer.json()["key"])
