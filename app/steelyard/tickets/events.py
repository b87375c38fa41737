"""The events that webhooks are told, and how they come into the queue.

An event names the route and the two tickets and holds no weight and no vehicle: who receives it
asks the API for them, with a log-in of its own.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.store.identifiers import new_id
from steelyard.store.models import Delivery
from steelyard.store.route_seal import seal_body
from steelyard.store.vault import Vault
from steelyard.ticket import format_timestamp
from steelyard.tickets.judge import Deviation

FOUND, WITHDRAWN = "route.deviation", "route.deviation.withdrawn"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its id, the same for the same deviation, and its body."""

    id: str
    body: bytes


def make_event(kind: str, deviation: Deviation, now: int) -> Event:
    """The event of a deviation that was found or that is no longer one, at `now` (ms)."""
    identity = json.dumps([kind, *deviation.identity])
    both = (deviation.earlier, deviation.later)
    body = {
        "type": kind,
        "timestamp": format_timestamp(now),
        "data": {
            "route_id": deviation.route.id,
            "route": deviation.route.name,
            "kind": deviation.kind,
            "stop": deviation.at,
            "since_stop": deviation.since,
            "ticketIDs": [found.entry.ticket.id for found in both if found is not None],
        },
    }
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return Event(f"evt_{digest[:40]}", json.dumps(body, separators=(",", ":")).encode())


async def enqueue(
    session: AsyncSession, vault: Vault, webhooks: Sequence[str], events: Iterable[Event], now: int
) -> None:
    """Queue the events for each webhook, but those that wait for it already."""
    fresh = {event.id: event for event in events}
    if not fresh:
        return
    for webhook in webhooks:
        known = await session.scalars(
            select(Delivery.event).where(
                Delivery.webhook_id == webhook, Delivery.event.in_(fresh.keys())
            )
        )
        for event_id in fresh.keys() - set(known):
            row = Delivery(
                id=new_id(), webhook_id=webhook, event=event_id, created_at=now, due_at=now
            )
            seal_body(vault, row, fresh[event_id].body)
            session.add(row)
    await session.flush()
