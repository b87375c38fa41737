"""The queue of events, each until its webhook took it or it is too old."""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Update, delete, update
from structlog import get_logger

from steelyard.store.audit import Subject, record
from steelyard.store.database import Database
from steelyard.store.errors import VaultTampered
from steelyard.store.identifiers import now_ms
from steelyard.store.models import Delivery, Status, Webhook
from steelyard.store.route_seal import Target, open_body, open_target
from steelyard.store.vault import Vault
from steelyard.tickets.leases import later, lease
from steelyard.tickets.webhook import Undelivered, WebhookSender

logger = get_logger(__name__)

_AT_ONCE = 32
_OF_ONE_WEBHOOK = 4  # a server that hangs keeps no other from being told


class Deliveries:
    """Sends what is due."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        registry: CollectorRegistry,
        *,
        give_up_ms: int,
    ) -> None:
        self._database = database
        self._vault = vault
        self._give_up_ms = give_up_ms
        self._attempts = Counter(
            "steelyard_webhook_attempts",
            "Attempts to send an event to a webhook, by how they went.",
            ("outcome",),
            registry=registry,
        )

    async def work(self, sender: WebhookSender) -> int:
        """Send what is due; how many events were taken."""
        rows = await lease(self._database, Delivery, now_ms(), _AT_ONCE)
        mine, others = _fair(rows)
        await self._give_back(others)
        await asyncio.gather(*(self._deliver(sender, row) for row in mine))
        return len(rows)

    async def _deliver(self, sender: WebhookSender, row: Delivery) -> None:
        now = now_ms()
        reason: str | None = None
        try:
            target = await self._target(row)
            if target is None:
                reason = "disabled"
            else:
                await sender.send(target, row.event, open_body(self._vault, row), at=now // 1000)
        except Undelivered as problem:
            reason = problem.reason
        except VaultTampered as problem:
            await self._database.record_tampering(problem)
            reason = "tampered"
        self._attempts.labels("delivered" if reason is None else "failed").inc()
        if reason is None:
            await self._delivered(row, now)
        else:
            await self._failed(row, now, reason)

    async def _target(self, row: Delivery) -> Target | None:
        """Where it goes; None while the webhook is disabled."""
        async with self._database.session(read_only=True) as session:
            webhook = await session.get(Webhook, row.webhook_id)
            if webhook is None or webhook.status is not Status.ACTIVE:
                return None
            return open_target(self._vault, webhook)

    async def _delivered(self, row: Delivery, now: int) -> None:
        async with self._database.session() as session:
            await session.execute(delete(Delivery).where(Delivery.id == row.id))
            await session.execute(_told(row.webhook_id, delivered_at=now))

    async def _failed(self, row: Delivery, now: int, reason: str) -> None:
        logger.warning("webhook not delivered", webhook=row.webhook_id, reason=reason)
        too_old = now - row.created_at > self._give_up_ms
        async with self._database.session() as session:
            await session.execute(_told(row.webhook_id, failed_at=now, failure=reason))
            if not too_old:
                await session.execute(
                    update(Delivery)
                    .where(Delivery.id == row.id)
                    .values(attempts=row.attempts + 1, due_at=later(now, row.attempts))
                    .execution_options(synchronize_session=False)
                )
                return
            await session.execute(delete(Delivery).where(Delivery.id == row.id))
            await record(
                session,
                "webhook.give-up",
                subject=Subject("webhook", row.webhook_id),
                outcome="failure",
                detail={"event": row.event, "reason": reason},
            )

    async def _give_back(self, rows: Iterable[Delivery]) -> None:
        ids = [row.id for row in rows]
        if not ids:
            return
        async with self._database.session() as session:
            await session.execute(
                update(Delivery)
                .where(Delivery.id.in_(ids))
                .values(due_at=now_ms())
                .execution_options(synchronize_session=False)
            )


def _fair(rows: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """Some of each webhook, and those that are beyond that."""
    tally: Tally[str] = Tally()
    mine: list[Delivery] = []
    others: list[Delivery] = []
    for row in rows:
        tally[row.webhook_id] += 1
        (mine if tally[row.webhook_id] <= _OF_ONE_WEBHOOK else others).append(row)
    return mine, others


def _told(webhook: str, **values: object) -> Update:
    # No change of the entity: its version (ETag) and times stay.
    return (
        update(Webhook)
        .where(Webhook.id == webhook)
        .values(**values, updated_at=Webhook.updated_at)
        .execution_options(synchronize_session=False)
    )
