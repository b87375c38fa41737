"""The tickets API's routes."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from aiohttp import web

from steelyard.errors import Problem
from steelyard.identity.principal import Principal
from steelyard.ledger.errors import (
    LedgerBusy,
    NodeUnavailable,
    PrivacyManagerUnavailable,
    TicketConflict,
    TicketFailed,
    TicketInconsistent,
    TransactionPending,
)
from steelyard.ledger.protocol import Registration
from steelyard.store.models import Role
from steelyard.ticket import Receipt, Ticket, TicketID
from steelyard.tickets.cursor import Place
from steelyard.tickets.errors import (
    ForeignTicketID,
    ForeignWeighbridge,
    StationInactive,
    TicketNotFound,
)
from steelyard.tickets.export import csv_header, csv_line, ndjson_line
from steelyard.tickets.group import group_tickets
from steelyard.tickets.models import (
    DEFAULT_PAGE,
    BatchResult,
    ExportFormat,
    FilterParameters,
    FoundTicket,
    GroupedPage,
    Order,
    ProofCheck,
    QueryParameters,
    RegistrationResult,
    TicketBatch,
    TicketCount,
    TicketPage,
    TicketProof,
)
from steelyard.tickets.service import TicketService
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import BadCursor

STATIONS = frozenset({Role.STATION})
USERS = frozenset({Role.CUSTOMER_ADMINISTRATOR, Role.CUSTOMER_USER})
# A batch of 100 tickets with 32 cells each, written with blanks, stays below.
MAX_BATCH_BYTES = 1_048_576
EXPORT_SECONDS = 3600.0
_LINES_A_WRITE = 100

logger = structlog.get_logger(__name__)

_NODES = (NodeUnavailable, PrivacyManagerUnavailable)
_EXAMPLE = {
    "ticketID": "station-1_station-1-wb-2_1605160889392",
    "terminalSerialNumber": "T112001",
    "terminalRestartValue": 1,
    "timestamp": "2020-11-12T06:01:29.392Z",
    "scaleSerialNumber": "WB1120102",
    "scaleStatus": "ok",
    "scaleGross": 17_000_000,
    "scaleTare": 6_680_000,
    "scaleNet": 10_320_000,
    "vehicle": "BH-59-VJ",
    "cells": [
        {"cellSerialNumber": "LC112010201", "cellWeight": 8_119_000},
        {"cellSerialNumber": "LC112010202", "cellWeight": 8_881_000},
    ],
}


class TicketViews:
    """Handlers over a `TicketService`. The caller's station and customer come from the token."""

    def __init__(self, service: TicketService) -> None:
        self._service = service

    async def register(self, call: Call[Ticket, Any]) -> Reply:
        """One ticket: 201 when it was registered now, 200 when it had been."""
        outcomes = await self._service.register(_station(call), [call.body])
        outcome = outcomes[0]
        if outcome.receipt is None:
            raise outcome.refusal or LookupError("an outcome has a receipt or a refusal")
        return Reply(outcome.receipt, status=201 if outcome.created else 200)

    async def register_batch(self, call: Call[TicketBatch, Any]) -> Reply:
        """Many tickets: one result each, whatever becomes of the others."""
        batch = call.body
        outcomes = await self._service.register(_station(call), batch.tickets, batch.alibi_head)
        return Reply(BatchResult(results=tuple(_result(outcome) for outcome in outcomes)))

    async def query(self, call: Call[Any, QueryParameters]) -> Reply | web.StreamResponse:
        """A page of tickets, grouped or not, or all of them as a stream."""
        query = call.query
        newest_first = query.order is Order.NEWEST
        if query.format is not ExportFormat.JSON:
            return await self._export(call, newest_first=newest_first)
        after = Place.decode(query.cursor, newest_first=newest_first) if query.cursor else None
        tickets, next_place = await self._service.page(
            customer_of(call),
            query.station,
            query.ticket_filter(),
            after=after,
            limit=query.limit or DEFAULT_PAGE,
            newest_first=newest_first,
        )
        cursor = next_place.encode(newest_first=newest_first) if next_place else None
        if query.group_by is None:
            return Reply(TicketPage(count=len(tickets), tickets=tuple(tickets), next=cursor))
        groups = group_tickets(tickets, query.group_by)
        return Reply(
            GroupedPage(count=len(tickets), group_by=query.group_by, groups=groups, next=cursor)
        )

    async def count(self, call: Call[Any, FilterParameters]) -> Reply:
        """How many tickets pass the filters."""
        wanted = call.query.ticket_filter()
        counted = await self._service.count(customer_of(call), call.query.station, wanted)
        return Reply(TicketCount(count=counted))

    async def get(self, call: Call[Any, Any]) -> Reply:
        """One ticket."""
        return Reply(await self._service.get(customer_of(call), call.path["ticket_id"]))

    async def proof(self, call: Call[Any, Any]) -> Reply:
        """What proves one ticket."""
        found = await self._service.proof(customer_of(call), call.path["ticket_id"])
        checks = (ProofCheck(name=c.name, holds=c.holds, seen=c.seen) for c in found.proof.checks)
        return Reply(
            TicketProof(
                ticket_id=found.receipt.ticket_id,
                transaction_hash=found.receipt.transaction_hash,
                block_number=found.receipt.block_number,
                contract_address=found.contract_address,
                ticket=found.ticket,
                alibi_head=found.proof.alibi_head,
                holds=found.proof.holds,
                checks=tuple(checks),
            )
        )

    async def _export(
        self, call: Call[Any, QueryParameters], *, newest_first: bool
    ) -> web.StreamResponse:
        query = call.query
        csv = query.format is ExportFormat.CSV
        tickets = self._service.all(
            customer_of(call), query.station, query.ticket_filter(), newest_first=newest_first
        )
        chunks = _chunks(tickets, csv_line if csv else ndjson_line, csv_header() if csv else b"")
        # The first chunk is made before the status is sent: what fails there is a proper problem.
        first = await anext(chunks, b"")
        response = web.StreamResponse()
        response.content_type = "text/csv" if csv else "application/x-ndjson"
        response.charset = "utf-8"
        name = f"tickets.{query.format}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        await response.prepare(call.request)
        try:
            await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
        except Problem as problem:
            # The status was sent. Cutting the connection is the only way to say "not complete".
            logger.warning("export cut off", problem=problem.slug)
            if call.request.transport is not None:
                call.request.transport.abort()
            return response
        await response.write_eof()
        return response


async def _chunks(
    tickets: AsyncIterator[FoundTicket], line: Callable[[FoundTicket], bytes], header: bytes
) -> AsyncIterator[bytes]:
    lines = [header]
    async for ticket in tickets:
        lines.append(line(ticket))
        if len(lines) == _LINES_A_WRITE:
            yield b"".join(lines)
            lines.clear()
    if last := b"".join(lines):
        yield last


def _result(outcome: Registration) -> RegistrationResult:
    receipt: Receipt | None = outcome.receipt
    if receipt is None:
        problem = outcome.refusal.as_dict() if outcome.refusal else None
        return RegistrationResult(ticket_id=outcome.ticket_id, status="refused", problem=problem)
    return RegistrationResult(
        ticket_id=outcome.ticket_id,
        status="registered" if outcome.created else "already-registered",
        transaction_hash=receipt.transaction_hash,
        block_number=receipt.block_number,
    )


def _station(call: Call[Any, Any]) -> str:
    """The station that the token names; the role was checked, so there is one."""
    return _principal(call).station_id or ""


def customer_of(call: Call[Any, Any]) -> str:
    """The customer that the token names; the role was checked, so there is one."""
    return _principal(call).customer_id or ""


def _principal(call: Call[Any, Any]) -> Principal:
    if not isinstance(call.caller, Principal):
        raise TypeError("this API's authenticator gives principals of steelyard.identity")
    return call.caller


def endpoints(views: TicketViews) -> list[Endpoint]:
    """Every route of the tickets API but the operations'."""
    return [*_station_endpoints(views), *_user_endpoints(views)]


def _station_endpoints(views: TicketViews) -> list[Endpoint]:
    problems = (*_NODES, LedgerBusy, TransactionPending, TicketInconsistent, StationInactive)
    return [
        Endpoint(
            method="POST",
            path="/v1/tickets",
            handler=views.register,
            operation_id="registerTicket",
            tag="registration",
            summary="Register one ticket",
            description="The same ticket again gives its first receipt.",
            body=Ticket,
            body_example=_EXAMPLE,
            roles=STATIONS,
            responses={
                201: Response.json(Receipt, "It was registered."),
                200: Response.json(Receipt, "It had been registered before."),
            },
            problems=(*problems, TicketConflict, TicketFailed, ForeignTicketID, ForeignWeighbridge),
        ),
        Endpoint(
            method="POST",
            path="/v1/tickets/batch",
            handler=views.register_batch,
            operation_id="registerTickets",
            tag="registration",
            summary="Register up to 100 tickets",
            description="A ticket that is refused does not keep the others from being registered.",
            body=TicketBatch,
            body_example={"tickets": [_EXAMPLE]},
            max_body=MAX_BATCH_BYTES,
            roles=STATIONS,
            responses={200: Response.json(BatchResult, "One result a ticket, in order.")},
            problems=problems,
        ),
    ]


def _user_endpoints(views: TicketViews) -> list[Endpoint]:
    by_id = {"ticket_id": TicketID}
    return [
        Endpoint(
            method="GET",
            path="/v1/tickets",
            handler=views.query,
            operation_id="queryTickets",
            tag="query",
            summary="Query the customer's tickets",
            description="A page may be short, even empty, and still have a `next`: go on with it.",
            query=QueryParameters,
            roles=USERS,
            timeout=EXPORT_SECONDS,
            responses={
                200: Response(
                    "A page, or a stream of all tickets.",
                    {
                        "application/json": TicketPage | GroupedPage,
                        "application/x-ndjson": None,
                        "text/csv": None,
                    },
                )
            },
            problems=(*_NODES, BadCursor),
        ),
        Endpoint(
            method="GET",
            path="/v1/ticket-count",
            handler=views.count,
            operation_id="countTickets",
            tag="query",
            summary="Count the customer's tickets",
            query=FilterParameters,
            roles=USERS,
            responses={200: Response.json(TicketCount, "The number of tickets.")},
            problems=_NODES,
        ),
        Endpoint(
            method="GET",
            path="/v1/tickets/{ticket_id}",
            handler=views.get,
            operation_id="getTicket",
            tag="query",
            summary="Get one ticket",
            parameters=by_id,
            roles=USERS,
            responses={200: Response.json(FoundTicket, "The ticket.")},
            problems=(*_NODES, TicketNotFound),
        ),
        Endpoint(
            method="GET",
            path="/v1/tickets/{ticket_id}/proof",
            handler=views.proof,
            operation_id="proveTicket",
            tag="query",
            summary="Get what proves a ticket",
            description="`steelyard verify` takes this document and needs but a node of one's own.",
            parameters=by_id,
            roles=USERS,
            responses={200: Response.json(TicketProof, "Receipt, ticket and checks.")},
            problems=(*_NODES, TicketNotFound),
        ),
    ]
