"""Three attempts to alter what is recorded: in the database, at the SmartBox, at the contract."""

import secrets
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from steelyard.demo.client import ApiClient
from steelyard.demo.nodes import node_at
from steelyard.demo.result import Finding
from steelyard.ledger.contract import decode_revert, encode_registration
from steelyard.ledger.jsonrpc import NodeError
from steelyard.ledger.protocol import ContractWriter, Ledger, SigningKey
from steelyard.ledger.reading import Reader
from steelyard.ledger.receipts import Receipts
from steelyard.ledger.sender import Order, Sender
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.signer import address_of
from steelyard.ledger.tessera import Tessera
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE
from steelyard.ticket import Ticket


async def tamper_with_database(
    database: Path, tickets: ApiClient, station_id: str, expected: int
) -> Finding:
    """Flip one bit of a sealed contract address; the next query must notice, and say so.

    The bit is put back afterwards, and the query must work again.
    """
    before = _audited_tampering(database)
    original = _flip_contract_address(database, station_id)
    try:
        answer = await tickets.ask("GET", "/v1/tickets")
    finally:
        _write_contract_address(database, station_id, original)
    audited = _audited_tampering(database) - before
    restored = (await tickets.expect(200, "GET", "/v1/ticket-count"))["count"]
    slug = str((answer.body or {}).get("type", "")).rpartition(":")[2]
    holds = answer.status == 500 and "tickets" not in answer.body and audited >= 1
    return Finding(
        name="one bit of a contract's address is flipped in the database",
        expected="no answer, an error and an audit line",
        seen=f"{answer.status} {slug}, {audited} audit lines; {restored} tickets once undone",
        holds=holds and restored == expected,
    )


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=10, isolation_level=None)


def _flip_contract_address(database: Path, station_id: str) -> bytes:
    connection = _connect(database)
    try:
        (original,) = connection.execute(
            "SELECT contract_address FROM stations WHERE id = ?", (station_id,)
        ).fetchone()
    finally:
        connection.close()
    broken = bytearray(original)
    broken[-20] ^= 0x10
    _write_contract_address(database, station_id, bytes(broken))
    return bytes(original)


def _write_contract_address(database: Path, station_id: str, value: bytes) -> None:
    connection = _connect(database)
    try:
        connection.execute(
            "UPDATE stations SET contract_address = ? WHERE id = ?", (value, station_id)
        )
    finally:
        connection.close()


def _audited_tampering(database: Path) -> int:
    connection = _connect(database)
    try:
        (count,) = connection.execute(
            "SELECT count(*) FROM audit_log WHERE action = 'vault.open' AND outcome = 'tampered'"
        ).fetchone()
    finally:
        connection.close()
    return int(count)


def tamper_with_alibi(data: Path, scratch: Path) -> Finding:
    """Change one byte in the middle of a copy of the alibi memory; verifying names the record."""
    scratch.mkdir(parents=True, exist_ok=True)
    copy = scratch / ALIBI_FILE
    shutil.copyfile(data / ALIBI_FILE, copy)
    sound = verify_alibi(copy, data / OUTBOX_FILE)
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    found = verify_alibi(copy, data / OUTBOX_FILE)
    return Finding(
        name="one byte of an alibi memory is changed",
        expected="intact before; afterwards the record is named",
        seen=f"{sound.records} records {'intact' if sound.holds else 'damaged'}; then "
        + (f"record {found.record} is named" if not found.holds else "nothing was noticed"),
        holds=sound.holds and not found.holds and found.record is not None,
    )


@dataclass(frozen=True, slots=True)
class ContractTampering:
    """Tries to alter a registered ticket at the station's own node, past the APIs."""

    session: aiohttp.ClientSession
    ledger: Ledger
    writer: ContractWriter
    settings: LedgerSettings

    async def attempt(self, ticket: Ticket) -> Finding:
        """Register the ticket with another weight, by the station's key and by a foreign one.

        Both are real private transactions. They are mined, fail, and change nothing.
        """
        changed = ticket.model_copy(update={"gross": ticket.gross + 1000, "net": ticket.net + 1000})
        own = await self._register(changed, self.writer.key)
        foreign = await self._register(changed, SigningKey(secrets.token_bytes(32)))
        entry = await self.ledger.get(self.writer.view, ticket.id)
        unchanged = entry is not None and entry.ticket == ticket
        return Finding(
            name="a ticket is registered again with another weight, at the contract itself",
            expected="TicketKnown for the station's key, NotTheStation for another; unchanged",
            seen=f"{own}, {foreign}; {'unchanged' if unchanged else 'changed'}",
            holds=(own, foreign, unchanged) == ("TicketKnown", "NotTheStation", True),
        )

    async def _register(self, ticket: Ticket, key: SigningKey) -> str:
        """What the contract says to a private transaction with this ticket."""
        reference, address = self.writer.view.node, address_of(key)
        node = node_at(self.session, reference, self.settings)
        tessera = Tessera(
            self.session,
            reference.tessera_url,
            reference.name,
            self.settings.privacy_manager_timeout,
        )
        payload = encode_registration([ticket])
        order = Order(
            key=key,
            to=self.writer.view.address,
            payload=payload,
            gas=self.settings.gas_base + self.settings.gas_per_ticket,
            parties=self.writer.parties,
        )
        receipts = Receipts(node, self.settings.poll_seconds)
        sender = Sender(address, reference, node, receipts, tessera, self.settings)
        mined = await sender.execute(order)
        await sender.close()
        await receipts.close()
        if mined.succeeded:
            return "registered"
        try:
            await Reader(self.writer.view, node).call(payload, address)
        except NodeError as error:
            return decode_revert(error.data).name or "no reason"
        return "failed, and would not now"
