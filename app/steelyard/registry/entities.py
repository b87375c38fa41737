"""What all entities have in common: five routes, scopes, versions, audit lines."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import FieldError, InvalidRequest, Problem
from steelyard.identity.principal import Principal
from steelyard.registry.errors import TooMany, no_such
from steelyard.registry.fields import EntityId
from steelyard.store.audit import Subject, record
from steelyard.store.database import Database
from steelyard.store.errors import ChangedMeanwhile, DatabaseUnavailable, Taken
from steelyard.store.models import (
    Customer,
    Device,
    Node,
    Role,
    Route,
    Station,
    User,
    Webhook,
    Weighbridge,
)
from steelyard.web.endpoint import JSON, MERGE_PATCH, Call, Endpoint, Header, Reply, Response
from steelyard.web.errors import BadCursor, NotFound
from steelyard.web.etag import etag_of, require_match, with_etag
from steelyard.web.middleware import REQUEST_ID_KEY
from steelyard.web.pages import PageQuery, decode_cursor, encode_cursor

PLATFORM = frozenset({Role.PLATFORM_ADMINISTRATOR.value})
ADMINISTRATORS = PLATFORM | {Role.CUSTOMER_ADMINISTRATOR.value}
PERSONS = ADMINISTRATORS | {Role.CUSTOMER_USER.value}
EVERYBODY = PERSONS | {Role.STATION.value}

RowT = TypeVar("RowT", Customer, Node, User, Station, Weighbridge, Device, Route, Webhook)
_POSITION: TypeAdapter[str] = TypeAdapter(EntityId)
_IF_NONE_MATCH = Header("If-None-Match", "An ETag that is known: 304 if it is the present one.")


def caller_of(call: Call[Any, Any]) -> Principal:
    """The caller, as identity knows it."""
    return cast("Principal", call.caller)


def request_id(call: Call[Any, Any]) -> str:
    """The request's id, for the audit log."""
    return str(call.request[REQUEST_ID_KEY])


class Entities(Generic[RowT]):
    """The collection of one noun under /v1/<plural>.

    A subclass says what its models are, who may read and write, and what a caller may see.
    """

    table: type[RowT]
    kind: ClassVar[str]
    plural: ClassVar[str]
    draft: ClassVar[type[BaseModel]]
    patch: ClassVar[type[BaseModel]]
    view: ClassVar[type[BaseModel]]
    page: ClassVar[type[BaseModel]]
    page_query: ClassVar[type[PageQuery]]
    example: ClassVar[dict[str, Any]]
    readers: ClassVar[frozenset[str]]
    writers: ClassVar[frozenset[str]]
    creators: ClassVar[frozenset[str]]
    problems: ClassVar[tuple[type[Problem], ...]] = ()

    def __init__(self, database: Database) -> None:
        self._database = database

    # What a noun says of itself.

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """The rows that a caller may see, among those that are not deleted."""
        raise NotImplementedError

    def filters(self, query: Any) -> list[ColumnElement[bool]]:
        """The conditions of a list's query."""
        raise NotImplementedError

    def show(self, row: RowT) -> BaseModel:
        """The row as its view."""
        raise NotImplementedError

    async def build(self, session: AsyncSession, call: Call[Any, Any]) -> RowT:
        """The new row of a draft, not yet added to the session."""
        raise NotImplementedError

    async def change(self, session: AsyncSession, row: RowT, patch: Any) -> None:
        """Apply the members that were sent (`patch.model_fields_set`)."""
        raise NotImplementedError

    async def remove(self, session: AsyncSession, row: RowT) -> None:
        """Delete the row, or raise what keeps it from being deleted."""
        raise NotImplementedError

    # The five routes.

    async def create(self, call: Call[Any, Any]) -> Reply:
        """POST: 201 with the new entity, its place and its ETag."""
        return await self.add(call, lambda session: self.build(session, call))

    async def add(
        self, call: Call[Any, Any], build: Callable[[AsyncSession], Awaitable[RowT]]
    ) -> Reply:
        """Add a row and its audit line in one transaction."""
        async with self._database.session() as session:
            row = await build(session)
            session.add(row)
            await session.flush()
            await self.note(session, call, "create", row.id)
        return self.created(row)

    def created(self, row: RowT, body: BaseModel | None = None) -> Reply:
        """The answer to a POST that made the row."""
        headers = {"Location": f"/v1/{self.plural}/{row.id}", "ETag": etag_of(row.version)}
        return Reply(body or self.show(row), 201, headers)

    async def browse(self, call: Call[None, Any]) -> Reply:
        """GET on the collection: a page, in the order of registration."""
        query: PageQuery = call.query
        statement = (
            select(self.table)
            .where(self._live(), self.visible(caller_of(call)), *self.filters(query))
            .order_by(self.table.id)
            .limit(query.limit + 1)
        )
        if query.cursor is not None:
            statement = statement.where(self.table.id > decode_cursor(query.cursor, _POSITION))
        async with self._database.session(read_only=True) as session:
            rows: Sequence[RowT] = (await session.scalars(statement)).all()
            items = [self.show(row) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        following = encode_cursor(rows[query.limit - 1].id) if more else None
        return Reply(self.page.model_construct(items=items, next=following))

    async def get(self, call: Call[None, Any]) -> Reply:
        """GET on one."""
        async with self._database.session(read_only=True) as session:
            row = await self.find(session, call)
            reply = Reply(self.show(row))
        return with_etag(call.request, reply, etag_of(row.version))

    async def update(self, call: Call[Any, Any]) -> Reply:
        """PATCH: a merge patch (RFC 7396) on the version that If-Match names."""
        async with self._database.session() as session:
            row = await self.find(session, call, lock=True)
            require_match(call.request, etag_of(row.version))
            await self.change(session, row, call.body)
            await session.flush()
            if changed := sorted(call.body.model_fields_set):
                await self.note(session, call, "update", row.id, {"fields": changed})
        return Reply(self.show(row), headers={"ETag": etag_of(row.version)})

    async def delete(self, call: Call[None, Any]) -> Reply:
        """DELETE on the version that If-Match names."""
        async with self._database.session() as session:
            row = await self.find(session, call, lock=True)
            require_match(call.request, etag_of(row.version))
            await self.remove(session, row)
            await session.flush()
            await self.note(session, call, "delete", row.id)
        return Reply(status=204)

    # Helpers.

    async def find(
        self, session: AsyncSession, call: Call[Any, Any], *, lock: bool = False
    ) -> RowT:
        """The row that the path names, if the caller may see it. Raises NotFound.

        With `lock`, nobody adds to it meanwhile (see `station_named`, for one).
        """
        statement = select(self.table).where(
            self.table.id == call.path["id"], self._live(), self.visible(caller_of(call))
        )
        if lock:
            statement = statement.with_for_update()
        row = (await session.scalars(statement)).one_or_none()
        if row is None:
            raise no_such(self.kind)
        return row

    async def note(
        self,
        session: AsyncSession,
        call: Call[Any, Any],
        verb: str,
        row_id: str,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """The audit line of a change, in the change's transaction."""
        await record(
            session,
            f"{self.kind}.{verb}",
            actor=caller_of(call).actor,
            subject=Subject(self.kind, row_id),
            detail=detail,
            request_id=request_id(call),
        )

    def _live(self) -> ColumnElement[bool]:
        return self.table.deleted_at.is_(None)

    def endpoints(self) -> list[Endpoint]:
        """The five routes."""
        title = self.kind.capitalize()
        one, many = f"/v1/{self.plural}/{{id}}", f"/v1/{self.plural}"
        etag = {"ETag": "The entity's version."}
        shown = Response("The entity.", {JSON: self.view}, etag)
        common: dict[str, Any] = {"tag": self.plural}
        by_id: dict[str, Any] = {**common, "path": one, "parameters": {"id": EntityId}}
        failing: tuple[type[Problem], ...] = (DatabaseUnavailable,)
        return [
            Endpoint(
                method="POST",
                path=many,
                handler=self.create,
                operation_id=f"create{title}",
                summary=f"Register a {self.kind}",
                body=self.draft,
                body_example=self.example,
                roles=self.creators,
                responses={
                    201: Response(
                        "It was registered.",
                        {JSON: self.created_view},
                        {**etag, "Location": "Where it is."},
                    )
                },
                problems=(Taken, *self.problems, *self.create_problems, *failing),
                timeout=self.create_seconds,
                **common,
            ),
            Endpoint(
                method="GET",
                path=many,
                handler=self.browse,
                operation_id=f"list{self.plural.capitalize()}",
                summary=f"List {self.plural}",
                query=self.page_query,
                roles=self.readers,
                responses={200: Response.json(self.page, "A page.")},
                problems=(BadCursor, *failing),
                **common,
            ),
            Endpoint(
                method="GET",
                handler=self.get,
                operation_id=f"get{title}",
                summary=f"Get a {self.kind}",
                headers=(_IF_NONE_MATCH,),
                roles=self.readers,
                responses={200: shown, 304: Response("It is the version that is known.")},
                problems=(NotFound, *failing),
                **by_id,
            ),
            Endpoint(
                method="PATCH",
                handler=self.update,
                operation_id=f"update{title}",
                summary=f"Change a {self.kind}",
                description="A JSON merge patch (RFC 7396): members that are absent are kept.",
                body=self.patch,
                body_types=(MERGE_PATCH, JSON),
                roles=self.writers,
                conditional=True,
                responses={200: shown},
                problems=(NotFound, Taken, ChangedMeanwhile, *self.problems, *failing),
                **by_id,
            ),
            Endpoint(
                method="DELETE",
                handler=self.delete,
                operation_id=f"delete{title}",
                summary=f"Delete a {self.kind}",
                roles=self.creators,
                conditional=True,
                responses={204: Response("It was deleted.")},
                problems=(NotFound, ChangedMeanwhile, *self.problems, *failing),
                **by_id,
            ),
        ]

    @property
    def create_seconds(self) -> float | None:
        """How long a POST may take; None for the server's own limit."""
        return None

    @property
    def create_problems(self) -> tuple[type[Problem], ...]:
        """What only a POST may answer."""
        return ()

    @property
    def created_view(self) -> type[BaseModel]:
        """What a POST answers with."""
        return self.view


async def check_room(
    session: AsyncSession, table: type[Route | Webhook], customer_id: str, most: int
) -> None:
    """Raise TooMany where a customer has as many rows of a table as one may have."""
    # Two who register at once must not both find the last place.
    await session.execute(select(Customer.id).where(Customer.id == customer_id).with_for_update())
    statement = select(func.count()).where(
        table.customer_id == customer_id, table.deleted_at.is_(None)
    )
    if (await session.scalar(statement) or 0) >= most:
        raise TooMany(f"A customer may have {most} {table.__tablename__}.")


def own_customer(caller: Principal, column: Any) -> ColumnElement[bool]:
    """Every row for the platform's administrators, for others those of their customer."""
    if caller.role is Role.PLATFORM_ADMINISTRATOR:
        return true()
    return cast("ColumnElement[bool]", column == caller.customer_id)


def unknown(field: str, kind: str) -> InvalidRequest:
    """The refusal of a body that names what is not there, or is another customer's."""
    return InvalidRequest(
        f"The {kind} is not known.",
        errors=[FieldError(field, f"must be the id of a {kind} that you may see")],
    )


def set_fields(row: object, patch: BaseModel, *names: str) -> None:
    """Copy the members that a patch sent and that have the row's own names."""
    for name in names:
        if name in patch.model_fields_set:
            setattr(row, name, getattr(patch, name))
