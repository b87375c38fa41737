"""The audit log: append-only, each row chained to the one before it by a hash.

With `store.audit_key_file` the hash is an HMAC, so that who can write to the database, but has
not the key, cannot make a new chain. Rows cut off at the end are found only against a head that
was kept elsewhere: `steelyard database check` prints it and takes it back with `--expect-head`.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String, Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from steelyard.store.base import Base
from steelyard.store.errors import AuditChainBroken
from steelyard.store.identifiers import now_ms

AUDIT_KEY = "audit_key"  # in a session's `info`, put there by Database
_ADVISORY_LOCK = 0x737465656C  # any number that nothing else in the database locks
_START = bytes(32)
_SIGNED = (
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "action",
    "subject_kind",
    "subject_id",
    "outcome",
    "detail",
    "request_id",
)


class AuditRecord(Base):
    """One line of the audit log; `detail` is JSON text, `hash` covers the row and all before it."""

    __tablename__ = "audit_log"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger, index=True)
    actor_kind: Mapped[str] = mapped_column(String(32))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    subject_kind: Mapped[str | None] = mapped_column(String(32))
    subject_id: Mapped[str | None] = mapped_column(String(64), index=True)
    outcome: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: `user`, `station`, `operator` (a command on the host) or `system`."""

    kind: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """To what it was done: an entity's kind (`station`, `user`, ...) and id."""

    kind: str
    id: str | None = None


SYSTEM = Actor("system")
OPERATOR = Actor("operator")


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last row of the log: its number (0: the log is empty) and its hash."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


async def record(
    session: AsyncSession,
    action: str,
    *,
    actor: Actor = SYSTEM,
    subject: Subject | None = None,
    outcome: str = "success",
    detail: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> None:
    """Append a line in the session's transaction: it stands if, and only if, the change stands.

    Writers of the log wait for each other until they commit, so call this last in a unit of work.
    `detail` must be JSON-serialisable and hold no secret.
    """
    head = await _locked_head(session)
    line = AuditRecord(
        seq=head.seq + 1,
        at=now_ms(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        action=action,
        subject_kind=subject.kind if subject else None,
        subject_id=subject.id if subject else None,
        outcome=outcome,
        detail=json.dumps(detail or {}, sort_keys=True, separators=(",", ":")),
        request_id=request_id[:64] if request_id else None,
    )
    line.hash = _chain(head.hash, line, session.info.get(AUDIT_KEY, b""))
    session.add(line)
    await session.flush()


async def verify_chain(session: AsyncSession, expected: ChainHead | None = None) -> ChainHead:
    """Recompute the whole chain and return its head.

    `expected` is a head that was seen before and must still be in the chain.
    Raises AuditChainBroken with the number of the first line that does not fit.
    """
    key = session.info.get(AUDIT_KEY, b"")
    head = ChainHead(0, _START)
    met = expected is None or expected == head
    rows = await session.stream_scalars(
        select(AuditRecord).order_by(AuditRecord.seq).execution_options(yield_per=500)
    )
    async for line in rows:
        if line.seq != head.seq + 1:
            raise AuditChainBroken(f"line {head.seq + 1} of the audit log is missing")
        if not hmac.compare_digest(line.hash, _chain(head.hash, line, key)):
            raise AuditChainBroken(f"line {line.seq} of the audit log does not fit its hash")
        head = ChainHead(line.seq, line.hash)
        met = met or head == expected
    if not met:
        raise AuditChainBroken(f"line {expected.seq if expected else 0} is not the one expected")
    return head


async def _locked_head(session: AsyncSession) -> ChainHead:
    if session.get_bind().dialect.name == "postgresql":
        # SQLite has one writer at a time anyway (BEGIN IMMEDIATE).
        await session.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    newest = select(AuditRecord.seq, AuditRecord.hash).order_by(AuditRecord.seq.desc()).limit(1)
    row = (await session.execute(newest)).first()
    return ChainHead(row.seq, row.hash) if row else ChainHead(0, _START)


def _chain(previous: bytes, line: AuditRecord, key: bytes) -> bytes:
    fields = [getattr(line, name) for name in _SIGNED]
    message = previous + json.dumps(fields, separators=(",", ":")).encode()
    if key:
        return hmac.new(key, message, hashlib.sha256).digest()
    return hashlib.sha256(message).digest()
