"""Examining an export: the file alone, and beside a node where there is one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import is_checksum_address

from steelyard.ledger import block, seals
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.encoding import keccak, to_hex
from steelyard.ledger.errors import ExportDamaged, NodeContradictsItself
from steelyard.ledger.export import compare_fingerprints
from steelyard.ledger.exportcheck import Checker, Progress, Registered
from steelyard.ledger.exportfile import read_lines
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractView
from steelyard.ledger.reading import Reader

_AT_ONCE = 64  # registrations that a node is asked about in one exchange
_TICKETS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of a file that holds; `compared` counts registrations held to a node."""

    progress: Progress
    digest: str
    compared: int | None
    total: int | None  # what the contract holds now


def contract_of(path: Path) -> str:
    """The contract that a file's first line names. Raises ExportDamaged."""
    checker = Checker()
    for line in read_lines(path):
        _take(checker, path, line.number, line.text)
        break
    address = checker.progress.header.get("contract")
    if not is_checksum_address(address):
        raise ExportDamaged(f"{path}: line 1: the contract is not a checksummed address")
    return str(address)


async def examine(
    path: Path,
    trusted: seals.Validators | None = None,
    *,
    require_seals: bool = False,
    beside: "Beside | None" = None,
    on_registration: Callable[[Registered], None] = lambda _: None,
) -> Examined:
    """Check every line of a file, and against a node where one is given.

    `on_registration` is told each registration that holds, in their order.
    Raises ExportDamaged with the first line that does not hold, LedgerProblem where the node
    does not answer, and OSError.
    """
    checker = Checker(trusted, require_seals=require_seals)
    at = checker.progress
    for line in read_lines(path):
        kind = _take(checker, path, line.number, line.text)
        if kind == "registration" and at.registered is not None:
            on_registration(at.registered)
        if beside is not None:
            await beside.take(kind, at)
    if not at.end:
        raise ExportDamaged(f"{path}: has no closing line: it is cut off or was not finished")
    if beside is not None:
        await beside.finish(at)
    return Examined(
        at,
        checker.digest,
        beside.compared if beside else None,
        beside.total if beside else None,
    )


def _take(checker: Checker, path: Path, number: int, text: bytes) -> str:
    try:
        return checker.take(text)
    except ExportDamaged as problem:
        raise ExportDamaged(f"{path}: line {number}: {problem}") from None


class Beside:
    """Holds the lines of an export against what a node and the contract there say."""

    def __init__(self, node: Node, view: ContractView) -> None:
        self._node = node
        self._view = view
        self._reader = Reader(view, node)
        self._waiting: list[tuple[Registered, str]] = []
        self.compared = 0
        self.total: int | None = None

    async def take(self, kind: str, at: Progress) -> None:
        """Look at the line just checked. Raises ExportDamaged and LedgerProblem."""
        if kind == "header":
            await self._compare_header(at)
        if kind == "registration" and at.registered and at.last:
            self._waiting.append((at.registered, at.last.hash))
            tickets = sum(len(one.tickets) for one, _ in self._waiting)
            if len(self._waiting) >= _AT_ONCE or tickets >= _TICKETS_AT_ONCE:
                await self._compare(self._waiting)
                self._waiting = []

    async def finish(self, at: Progress) -> None:
        """Look at what is left, and at the number of all tickets."""
        await self._compare(self._waiting)
        self._waiting = []
        self.total = await self._reader.count_all()
        if self.total < at.end["total"]:
            raise ExportDamaged(
                f"The export says that the contract held {at.end['total']} tickets, "
                f"it holds {self.total} at this node"
            )

    async def _compare_header(self, at: Progress) -> None:
        chain_id, _ = await self._node.identity()
        code = await self._node.code(self._view.address)
        found = {
            "chainId": chain_id,
            "genesisHash": block.header_hash(await self._node.block(0) or {}),
            "codeHash": to_hex(keccak(code)),
        }
        wrong = [name for name, value in found.items() if at.header[name] != value]
        if wrong:
            raise ExportDamaged(f"The header's {wrong[0]} is not that of this node")
        if code != station_tickets().runtime:
            raise ExportDamaged("The contract's code at this node is not the published one")
        if (await self._reader.station()) != at.header["station"].lower():
            raise ExportDamaged("The header's station is not the contract's at this node")

    async def _compare(self, waiting: Sequence[tuple[Registered, str]]) -> None:
        registered = [one for one, _ in waiting]
        found = await self._node.transactions([one.transaction_hash for one in registered])
        inputs = []
        for (one, block_hash), transaction in zip(waiting, found, strict=True):
            if transaction is None or transaction.get("blockHash") != block_hash:
                raise ExportDamaged(
                    f"The node does not have {one.transaction_hash} in the export's block "
                    f"{one.block_number}"
                )
            inputs.append(transaction["input"])
        for one, payload in zip(registered, await self._node.payloads(inputs), strict=True):
            if payload != one.payload:
                raise ExportDamaged(f"The node has another payload of {one.transaction_hash}")
        try:
            await compare_fingerprints(self._reader, registered)
        except NodeContradictsItself as problem:
            raise ExportDamaged(str(problem)) from None
        self.compared += len(registered)
