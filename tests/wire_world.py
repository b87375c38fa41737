"""A client for the engines' wire, a wallet, and a small hand-assembled contract."""

import asyncio
import base64
import contextlib
import os
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import coincurve
from eth_hash.auto import keccak

from steelyard.sandbox.rlp import encode

TOPIC = keccak(b"Kept(bytes32,address,uint256)")
_OPCODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "EQ": 0x14, "ISZERO": 0x15, "SHR": 0x1C,
    "CALLER": 0x33, "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37,
    "CODECOPY": 0x39, "TIMESTAMP": 0x42, "NUMBER": 0x43, "COINBASE": 0x41, "GAS": 0x5A, "POP": 0x50,
    "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56, "JUMPI": 0x57, "JUMPDEST": 0x5B,
    "DUP1": 0x80, "DUP2": 0x81, "SWAP1": 0x90, "LOG3": 0xA3, "RETURN": 0xF3, "REVERT": 0xFD,
    "PUSH0": 0x5F, "CREATE": 0xF0, "INVALID": 0xFE,
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Code of a few opcodes; numbers are pushed, `name:` is a jump's goal, `@name` pushes it."""
    goals: dict[str, int] = {}
    code = b""
    for final in (False, True):
        code = b""
        for word in source.split():
            if word.endswith(":"):
                goals[word[:-1]] = len(code)
                code += bytes([_OPCODES["JUMPDEST"]])
            elif word.startswith("@"):
                code += b"\x61" + (goals[word[1:]] if final else 0).to_bytes(2, "big")
            elif word in _OPCODES:
                code += bytes([_OPCODES[word]])
            else:
                number = int(word, 0)
                size = max(1, (number.bit_length() + 7) // 8)
                code += bytes([0x5F + size]) + number.to_bytes(size, "big")
    return code


# The first word of the calldata says what to do; the second and third are its arguments.
KEEP, READ, REVERT, INVALID, BURN, WHERE, REVERT_EMPTY, REVERT_TEXT, MANY, SPAWN = range(1, 11)
_RUNTIME = assemble(
    f"""
    0 CALLDATALOAD
    DUP1 {KEEP} EQ @keep JUMPI
    DUP1 {READ} EQ @read JUMPI
    DUP1 {REVERT} EQ @revert JUMPI
    DUP1 {INVALID} EQ @invalid JUMPI
    DUP1 {BURN} EQ @burn JUMPI
    DUP1 {WHERE} EQ @where JUMPI
    DUP1 {REVERT_TEXT} EQ @text JUMPI
    DUP1 {MANY} EQ @many JUMPI
    DUP1 {SPAWN} EQ @spawn JUMPI
    0 0 REVERT
    keep: 64 CALLDATALOAD 32 CALLDATALOAD SSTORE
        64 CALLDATALOAD 0 MSTORE
        CALLER 32 CALLDATALOAD {int.from_bytes(TOPIC, "big")} 32 0 LOG3 STOP
    read: 32 CALLDATALOAD SLOAD 0 MSTORE 32 0 RETURN
    revert: 32 CALLDATALOAD 0 MSTORE 32 0 REVERT
    invalid: INVALID
    burn: 1 SLOAD POP @burn JUMP
    where: NUMBER 0 MSTORE TIMESTAMP 32 MSTORE COINBASE 64 MSTORE 96 0 RETURN
    text: 32 CALLDATASIZE SUB 32 0 CALLDATACOPY 32 CALLDATASIZE SUB 0 REVERT
    many: 64 CALLDATALOAD
        more: DUP1 ISZERO @done JUMPI
        1 SWAP1 SUB DUP1 DUP1 32 CALLDATALOAD ADD SSTORE @more JUMP
        done: STOP
    spawn: 0x600160005260016000f3 0 MSTORE 10 22 0 CREATE 7 SSTORE STOP
    """
)
CONTRACT = assemble(f"{len(_RUNTIME)} 16 0 CODECOPY {len(_RUNTIME)} 0 RETURN")
CONTRACT = CONTRACT.ljust(16, b"\0") + _RUNTIME


def calldata(what: int, *arguments: int) -> bytes:
    """A call of the contract."""
    return b"".join(each.to_bytes(32, "big") for each in (what, *arguments))


def hexed(data: bytes) -> str:
    """Bytes as JSON-RPC has them."""
    return "0x" + data.hex()


class Wallet:
    """A key that signs legacy transactions, private ones unless told otherwise."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._key = coincurve.PrivateKey(secret or os.urandom(32))
        self.address = keccak(self._key.public_key.format(compressed=False)[1:])[12:]
        self.nonce = 0

    def sign(
        self,
        to: bytes,
        data: bytes,
        *,
        nonce: int | None = None,
        gas: int = 3_000_000,
        gas_price: int = 0,
        value: int = 0,
        first_v: int = 37,
        chain_id: int | None = None,
    ) -> bytes:
        """A raw transaction. With `chain_id` it is a public one by EIP-155."""
        body = [self.nonce if nonce is None else nonce, gas_price, gas, to, value, data]
        protected = [] if chain_id is None else [chain_id, 0, 0]
        signature = self._key.sign_recoverable(keccak(encode([*body, *protected])), hasher=None)
        v = signature[64] + (first_v if chain_id is None else chain_id * 2 + 35)
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
        return encode([*body, v, r, s])


@dataclass
class Deployed:
    """A contract, and the wallet whose first transaction made it."""

    wallet: Wallet
    address: str

    @property
    def to(self) -> bytes:
        """The address as a transaction has it."""
        return bytes.fromhex(self.address[2:])


@dataclass
class Sent:
    """A private transaction that was taken, and the receipt at each node."""

    hash: str
    digest: bytes
    receipts: list[dict[str, Any]] = field(default_factory=list)


class WireClient:
    """Speaks to the nodes of a network.json as a client does; nodes count from 0."""

    def __init__(self, network: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self.nodes = network["nodes"]
        self._session = session

    def key(self, node: int) -> str:
        """A privacy manager's public key."""
        return self.nodes[node]["tessera_public_key"]

    async def ask(self, node: int, method: str, *params: Any) -> dict[str, Any]:
        """The whole answer to one call."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with self._session.post(self.nodes[node]["rpc_url"], json=call) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            return await response.json()

    async def result(self, node: int, method: str, *params: Any) -> Any:
        """The result of a call that succeeds."""
        answer = await self.ask(node, method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    async def error(self, node: int, method: str, *params: Any) -> dict[str, Any]:
        """The error of a call that fails."""
        answer = await self.ask(node, method, *params)
        assert "result" not in answer, answer
        return answer["error"]

    async def store(self, node: int, payload: bytes) -> bytes:
        """Store a payload at a privacy manager; its hash."""
        body = {"payload": base64.b64encode(payload).decode(), "from": self.key(node)}
        url = self.nodes[node]["tessera_url"] + "/storeraw"
        async with self._session.post(url, json=body) as response:
            assert response.status == 200, await response.text()
            return base64.b64decode((await response.json())["key"])

    async def offer(self, node: int, raw: bytes, parties: list[int]) -> dict[str, Any]:
        """Send a private transaction; the whole answer."""
        options = {"privateFor": [self.key(party) for party in parties]}
        return await self.ask(node, "eth_sendRawPrivateTransaction", hexed(raw), options)

    async def send(
        self, wallet: Wallet, to: bytes, payload: bytes, *, node: int = 0,
        parties: tuple[int, ...] = (1,),
        **options: Any,
    ) -> Sent:  # fmt: skip
        """Store and send a private transaction with the wallet's next nonce."""
        digest = await self.store(node, payload)
        answer = await self.offer(node, wallet.sign(to, digest, **options), list(parties))
        assert "result" in answer, answer
        wallet.nonce += 1
        return Sent(answer["result"], digest)

    async def mined(self, sent: Sent) -> Sent:
        """Wait until every node that answers has the receipt."""
        for node in range(len(self.nodes)):
            sent.receipts.append(await self.receipt(node, sent.hash))
        return sent

    async def receipt(self, node: int, transaction_hash: str) -> dict[str, Any]:
        """A receipt, waited for."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    found = await self.result(node, "eth_getTransactionReceipt", transaction_hash)
                    if found is not None:
                        return found
                await asyncio.sleep(0.01)

    async def head(self) -> int:
        """The number of node-1's newest block."""
        return int(await self.result(0, "eth_blockNumber"), 16)

    async def blocks(self, number: int) -> None:
        """Wait until node-1 has so many more blocks."""
        goal = await self.head() + number
        async with asyncio.timeout(60):
            while await self.head() < goal:  # noqa: ASYNC110 - it is asked for
                await asyncio.sleep(0.01)

    async def call(self, node: int, to: str, data: bytes, tag: Any = "latest") -> dict[str, Any]:
        """The whole answer to an eth_call."""
        return await self.ask(node, "eth_call", {"to": to, "data": hexed(data)}, tag)

    async def read(self, node: int, to: str, key: int, tag: Any = "latest") -> int:
        """A value that the contract keeps."""
        return int((await self.call(node, to, calldata(READ, key), tag))["result"], 16)

    async def deploy(self) -> Deployed:
        """The small contract, made by a new wallet for node-1 and node-2."""
        wallet = Wallet()
        sent = await self.mined(await self.send(wallet, b"", CONTRACT))
        return Deployed(wallet, sent.receipts[0]["contractAddress"])
