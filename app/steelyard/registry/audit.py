"""The audit log: the platform's administrators see all of it, a customer's theirs."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter
from sqlalchemy import ColumnElement, or_, select, true

from steelyard.identity.principal import Principal
from steelyard.registry.entities import ADMINISTRATORS, caller_of
from steelyard.store.audit import AuditRecord
from steelyard.store.database import Database
from steelyard.store.errors import DatabaseUnavailable
from steelyard.store.models import (
    Device,
    Role,
    Route,
    Station,
    TokenFamily,
    User,
    Webhook,
    Weighbridge,
)
from steelyard.ticket import Timestamp
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import BadCursor
from steelyard.web.pages import Page, PageQuery, decode_cursor, encode_cursor

_POSITION: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1, le=2**63 - 1)])

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class AuditLine(BaseModel):
    """One line: who did what to what, and how it went."""

    number: int
    at: Timestamp
    actor_kind: str
    actor_id: str | None
    action: str
    subject_kind: str | None
    subject_id: str | None
    outcome: str
    detail: dict[str, Any]
    request_id: str | None


class AuditQuery(PageQuery):
    """Filters of the audit log; times include both ends."""

    actor_id: Word | None = None
    subject_id: Word | None = None
    action: Word | None = None
    outcome: Word | None = None
    at_from: Timestamp | None = None
    at_to: Timestamp | None = None


class AuditLog:
    """Reads the log, the newest line first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def browse(self, call: Call[None, AuditQuery]) -> Reply:
        """GET /v1/audit."""
        query = call.query
        statement = (
            select(AuditRecord)
            .where(_visible(caller_of(call)), *_filters(query))
            .order_by(AuditRecord.seq.desc())
            .limit(query.limit + 1)
        )
        if query.cursor is not None:
            statement = statement.where(AuditRecord.seq < decode_cursor(query.cursor, _POSITION))
        async with self._database.session(read_only=True) as session:
            rows = (await session.scalars(statement)).all()
        items = [_line(row) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        return Reply(
            Page[AuditLine](
                items=items, next=encode_cursor(rows[query.limit - 1].seq) if more else None
            )
        )

    def endpoints(self) -> list[Endpoint]:
        """The one route."""
        return [
            Endpoint(
                method="GET",
                path="/v1/audit",
                handler=self.browse,
                operation_id="listAudit",
                tag="audit",
                summary="Read the audit log, the newest line first",
                description="A customer's administrator sees what was done by or to the "
                "customer's own users, stations, weighbridges, devices, routes and webhooks.",
                query=AuditQuery,
                roles=ADMINISTRATORS,
                responses={200: Response.json(Page[AuditLine], "A page.")},
                problems=(BadCursor, DatabaseUnavailable),
            )
        ]


def _visible(caller: Principal) -> ColumnElement[bool]:
    if caller.role is Role.PLATFORM_ADMINISTRATOR:
        return true()
    customer = caller.customer_id
    tables = (User, Station, Weighbridge, Device, Route, Webhook)
    entities = [
        AuditRecord.subject_id.in_(select(table.id).where(table.customer_id == customer))
        for table in tables
    ]
    people = [
        AuditRecord.actor_id.in_(select(table.id).where(table.customer_id == customer))
        for table in (User, Station)
    ]
    families = select(TokenFamily.id).join(User).where(User.customer_id == customer)
    return or_(
        AuditRecord.subject_id == customer,
        AuditRecord.subject_id.in_(families),
        *entities,
        *people,
    )


def _filters(query: AuditQuery) -> list[ColumnElement[bool]]:
    wanted = {
        name: getattr(query, name) for name in ("actor_id", "subject_id", "action", "outcome")
    }
    conditions: list[ColumnElement[bool]] = [
        getattr(AuditRecord, name) == value for name, value in wanted.items() if value is not None
    ]
    if query.at_from is not None:
        conditions.append(AuditRecord.at >= query.at_from)
    if query.at_to is not None:
        conditions.append(AuditRecord.at <= query.at_to)
    return conditions


def _line(row: AuditRecord) -> AuditLine:
    return AuditLine(
        number=row.seq,
        at=row.at,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        action=row.action,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        outcome=row.outcome,
        detail=json.loads(row.detail),
        request_id=row.request_id,
    )
