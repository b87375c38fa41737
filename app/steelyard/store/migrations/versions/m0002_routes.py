"""Routes, webhooks, and the queues between a ticket and a webhook.

Revision ID: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("webhook_deliveries", "route_checks", "webhooks", "routes")
_WHERE = sa.text("status <> 'deleted'")
_LIVE: dict[str, Any] = {"sqlite_where": _WHERE, "postgresql_where": _WHERE}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "routes",
        sa.Column("customer_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        _status(),
        sa.Column("name_key", sa.String(length=256), nullable=False),
        *_row(),
        _deleted("routes"),
        _customer("routes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routes")),
    )
    op.create_index(
        "uq_routes_customer_id_name_key",
        "routes",
        ["customer_id", "name_key"],
        unique=True,
        **_LIVE,
    )
    op.create_table(
        "webhooks",
        sa.Column("customer_id", sa.String(length=26), nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=True),
        _status(),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.String(length=64), nullable=True),
        *_row(),
        _deleted("webhooks"),
        sa.CheckConstraint(
            "(status = 'deleted') = (target IS NULL)", name=op.f("ck_webhooks_target")
        ),
        _customer("webhooks"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_customer_id", "webhooks", ["customer_id"], unique=False)
    op.create_table(
        "route_checks",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("customer_id", sa.String(length=26), nullable=False),
        sa.Column("tickets", sa.LargeBinary(), nullable=False),
        *_queued(),
        _customer("route_checks"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_checks")),
    )
    op.create_index("ix_route_checks_due_at", "route_checks", ["due_at"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("webhook_id", sa.String(length=26), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *_queued(),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index("ix_webhook_deliveries_due_at", "webhook_deliveries", ["due_at"], unique=False)
    op.create_index(
        "uq_webhook_deliveries_webhook_id_event",
        "webhook_deliveries",
        ["webhook_id", "event"],
        unique=True,
    )


def downgrade() -> None:
    """Drop them."""
    for table in _TABLES:
        op.drop_table(table)


def _row() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
    ]


def _queued() -> list[sa.Column[Any]]:
    names = ("attempts", "created_at", "due_at")
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _status() -> sa.Column[Any]:
    words = ("active", "disabled", "deleted")
    kind = sa.Enum(*words, name="status", native_enum=False, create_constraint=True, length=32)
    return sa.Column("status", kind, nullable=False)


def _deleted(table: str) -> sa.CheckConstraint:
    rule = "(status = 'deleted') = (deleted_at IS NOT NULL)"
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_deleted"))


def _customer(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_customer_id")
    return sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=name)
