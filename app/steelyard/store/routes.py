"""Tables of routes and of the webhooks that tell of their deviations (docs/decisions/routes.md).

Nothing of a ticket stands here in the clear, and nothing but its id at all: that is sealed, and
gone once it was told.
"""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from steelyard.store.base import (
    DELETED_CHECK,
    Base,
    Identifier,
    NamedRow,
    Row,
    Sealed,
    Status,
    live_unique,
    words,
)
from steelyard.store.identifiers import new_id, now_ms


class Route(NamedRow, Base):
    """A route, and what vehicles should weigh on it. `plan` is a vault value (route_seal.py)."""

    __tablename__ = "routes"
    __table_args__ = (
        live_unique(
            "uq_routes_customer_id_name_key",
            "customer_id",
            "name_key",
            sentence="a route has this name",
        ),
        CheckConstraint(DELETED_CHECK, name="deleted"),
    )

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    name: Mapped[str] = mapped_column(String(64))
    plan: Mapped[bytes] = mapped_column(Sealed)
    status: Mapped[Status] = mapped_column(words(Status), default=Status.ACTIVE)


class Webhook(Row, Base):
    """Where a customer wants to be told. `target` is a vault value, and gone with the deletion.

    The times and the reason say how the last deliveries went; they are no part of the version.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(DELETED_CHECK, name="deleted"),
        CheckConstraint("(status = 'deleted') = (target IS NULL)", name="target"),
        Index("ix_webhooks_customer_id", "customer_id"),
    )

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    target: Mapped[bytes | None] = mapped_column(Sealed)
    status: Mapped[Status] = mapped_column(words(Status), default=Status.ACTIVE)
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    failed_at: Mapped[int | None] = mapped_column(BigInteger)
    failure: Mapped[str | None] = mapped_column(String(64))


class RouteCheck(Base):
    """Tickets that were sent to the ledger and are to be held against the routes.

    `tickets` is a vault value: their ids. Whoever works on a row moves `due_at` on first, so that
    nobody else does. Times are milliseconds UTC.
    """

    __tablename__ = "route_checks"
    __table_args__ = (Index("ix_route_checks_due_at", "due_at"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True, default=new_id)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    tickets: Mapped[bytes] = mapped_column(Sealed)
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[int] = mapped_column(BigInteger, default=now_ms)
    due_at: Mapped[int] = mapped_column(BigInteger, default=now_ms)


class Delivery(Base):
    """One event on its way to one webhook. `body` is a vault value: what is sent.

    `event` names the event: while it waits, the same is not queued twice.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("uq_webhook_deliveries_webhook_id_event", "webhook_id", "event", unique=True),
        Index("ix_webhook_deliveries_due_at", "due_at"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True, default=new_id)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id"))
    event: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes] = mapped_column(Sealed)
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[int] = mapped_column(BigInteger, default=now_ms)
    due_at: Mapped[int] = mapped_column(BigInteger, default=now_ms)
