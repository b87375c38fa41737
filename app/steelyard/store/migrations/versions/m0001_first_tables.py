"""The first tables; the audit log takes no update and no deletion.

Revision ID: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "refresh_tokens",
    "devices",
    "weighbridges",
    "token_families",
    "stations",
    "users",
    "nodes",
    "revoked_tokens",
    "customers",
    "audit_log",
)
_REFUSAL = "the audit log is append-only"


_WHERE = sa.text("status <> 'deleted'")
_LIVE: dict[str, Any] = {"sqlite_where": _WHERE, "postgresql_where": _WHERE}


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=True),
        sa.Column("subject_id", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    op.create_index(op.f("ix_audit_log_subject_id"), "audit_log", ["subject_id"], unique=False)
    op.create_table(
        "customers",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("roster", sa.LargeBinary(), nullable=False),
        _words("status", "status", "active", "disabled", "deleted"),
        sa.Column("name_key", sa.String(length=256), nullable=False),
        *_row(),
        sa.CheckConstraint(
            "(status = 'deleted') = (deleted_at IS NOT NULL)", name=op.f("ck_customers_deleted")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_index(
        "uq_customers_name_key",
        "customers",
        ["name_key"],
        unique=True,
        **_LIVE,
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.String(length=26), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_revoked_tokens")),
    )
    op.create_index("ix_revoked_tokens_expires_at", "revoked_tokens", ["expires_at"], unique=False)
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(length=64), nullable=False),
        _words("role", "noderole", "network", "admin", "station"),
        sa.Column("tessera_key", sa.String(length=64), nullable=False),
        sa.Column("rpc_url", sa.LargeBinary(), nullable=False),
        sa.Column("tessera_url", sa.LargeBinary(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.String(length=26), nullable=True),
        *_row(),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_nodes_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("id", "customer_id", name=op.f("uq_nodes_id_customer_id")),
        sa.UniqueConstraint("name", name=op.f("uq_nodes_name")),
        sa.UniqueConstraint("tessera_key", name=op.f("uq_nodes_tessera_key")),
    )
    op.create_index(
        "uq_nodes_admin_customer",
        "nodes",
        ["customer_id"],
        unique=True,
        sqlite_where=sa.text("role = 'admin'"),
        postgresql_where=sa.text("role = 'admin'"),
    )
    op.create_table(
        "users",
        sa.Column("customer_id", sa.String(length=26), nullable=True),
        sa.Column("login", sa.String(length=254), nullable=False),
        sa.Column("login_key", sa.String(length=256), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        _words(
            "role",
            "role",
            "platform-administrator",
            "customer-administrator",
            "customer-user",
            "station",
        ),
        _words("status", "status", "active", "disabled", "deleted"),
        sa.Column("failed_logins", sa.BigInteger(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.Column("last_login_at", sa.BigInteger(), nullable=True),
        sa.Column("token_epoch", sa.BigInteger(), nullable=False),
        *_row(),
        sa.CheckConstraint(
            "(role = 'platform-administrator') = (customer_id IS NULL)",
            name=op.f("ck_users_customer"),
        ),
        sa.CheckConstraint(
            "(status = 'deleted') = (deleted_at IS NOT NULL)", name=op.f("ck_users_deleted")
        ),
        sa.CheckConstraint("role <> 'station'", name=op.f("ck_users_person")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_users_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("ix_users_customer_id", "users", ["customer_id"], unique=False)
    op.create_index(
        "uq_users_login_key",
        "users",
        ["login_key"],
        unique=True,
        **_LIVE,
    )
    op.create_table(
        "stations",
        sa.Column("customer_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("client_secret_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("token_epoch", sa.BigInteger(), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=True),
        _words("status", "stationstatus", "pending", "active", "disabled", "deleted"),
        sa.Column("contract_address", sa.LargeBinary(), nullable=True),
        sa.Column("account_key", sa.LargeBinary(), nullable=True),
        sa.Column("node_url", sa.LargeBinary(), nullable=True),
        sa.Column("tessera_url", sa.LargeBinary(), nullable=True),
        sa.Column("parties", sa.LargeBinary(), nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("deployment_transaction", sa.String(length=66), nullable=True),
        sa.Column("deployment_block", sa.BigInteger(), nullable=True),
        sa.Column("name_key", sa.String(length=256), nullable=False),
        *_row(),
        sa.CheckConstraint(
            "(status = 'deleted') = (deleted_at IS NOT NULL)", name=op.f("ck_stations_deleted")
        ),
        sa.CheckConstraint(
            "status <> 'active' OR (node_id IS NOT NULL AND contract_address IS NOT NULL"
            " AND account_key IS NOT NULL AND node_url IS NOT NULL AND tessera_url IS NOT NULL"
            " AND parties IS NOT NULL AND client_secret_hash IS NOT NULL)",
            name=op.f("ck_stations_complete"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_stations_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["node_id", "customer_id"],
            ["nodes.id", "nodes.customer_id"],
            name=op.f("fk_stations_node_id_customer_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stations")),
        sa.UniqueConstraint("client_id", name=op.f("uq_stations_client_id")),
        sa.UniqueConstraint(
            "customer_id", "name_key", name=op.f("uq_stations_customer_id_name_key")
        ),
        sa.UniqueConstraint("id", "customer_id", name=op.f("uq_stations_id_customer_id")),
        sa.UniqueConstraint("node_id", name=op.f("uq_stations_node_id")),
    )
    op.create_index("ix_stations_customer_id", "stations", ["customer_id"], unique=False)
    op.create_table(
        "token_families",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("user_id", sa.String(length=26), nullable=True),
        sa.Column("station_id", sa.String(length=26), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_because", sa.String(length=32), nullable=True),
        sa.CheckConstraint(
            "(user_id IS NULL) <> (station_id IS NULL)", name=op.f("ck_token_families_owner")
        ),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_token_families_station_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_token_families_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_families")),
    )
    op.create_index("ix_token_families_expires_at", "token_families", ["expires_at"], unique=False)
    op.create_index("ix_token_families_station_id", "token_families", ["station_id"], unique=False)
    op.create_index("ix_token_families_user_id", "token_families", ["user_id"], unique=False)
    op.create_table(
        "weighbridges",
        sa.Column("customer_id", sa.String(length=26), nullable=False),
        sa.Column("station_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("scale_serial", sa.String(length=32), nullable=False),
        sa.Column("max_capacity", sa.BigInteger(), nullable=False),
        sa.Column("scale_interval", sa.BigInteger(), nullable=False),
        _words("status", "status", "active", "disabled", "deleted"),
        sa.Column("name_key", sa.String(length=256), nullable=False),
        *_row(),
        sa.CheckConstraint(
            "(status = 'deleted') = (deleted_at IS NOT NULL)", name=op.f("ck_weighbridges_deleted")
        ),
        sa.CheckConstraint(
            "max_capacity > 0 AND scale_interval > 0", name=op.f("ck_weighbridges_positive")
        ),
        sa.CheckConstraint("scale_interval <= max_capacity", name=op.f("ck_weighbridges_interval")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_weighbridges_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["station_id", "customer_id"],
            ["stations.id", "stations.customer_id"],
            name=op.f("fk_weighbridges_station_id_customer_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_weighbridges")),
        sa.UniqueConstraint("id", "customer_id", name=op.f("uq_weighbridges_id_customer_id")),
    )
    op.create_index(
        "uq_weighbridges_customer_id_scale_serial",
        "weighbridges",
        ["customer_id", "scale_serial"],
        unique=True,
        **_LIVE,
    )
    op.create_index(
        "uq_weighbridges_station_id_name_key",
        "weighbridges",
        ["station_id", "name_key"],
        unique=True,
        **_LIVE,
    )
    op.create_table(
        "devices",
        sa.Column("customer_id", sa.String(length=26), nullable=False),
        sa.Column("station_id", sa.String(length=26), nullable=False),
        sa.Column("weighbridge_id", sa.String(length=26), nullable=True),
        _words("kind", "devicekind", "smartbox", "loadcell"),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("certificate_fingerprint", sa.String(length=64), nullable=True),
        _words("status", "status", "active", "disabled", "deleted"),
        *_row(),
        sa.CheckConstraint(
            "(kind = 'loadcell') = (weighbridge_id IS NOT NULL)", name=op.f("ck_devices_place")
        ),
        sa.CheckConstraint(
            "(status = 'deleted') = (deleted_at IS NOT NULL)", name=op.f("ck_devices_deleted")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_devices_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["station_id", "customer_id"],
            ["stations.id", "stations.customer_id"],
            name=op.f("fk_devices_station_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["weighbridge_id", "customer_id"],
            ["weighbridges.id", "weighbridges.customer_id"],
            name=op.f("fk_devices_weighbridge_id_customer_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
    )
    op.create_index("ix_devices_station_id", "devices", ["station_id"], unique=False)
    op.create_index("ix_devices_weighbridge_id", "devices", ["weighbridge_id"], unique=False)
    op.create_index(
        "uq_devices_certificate_fingerprint",
        "devices",
        ["certificate_fingerprint"],
        unique=True,
        **_LIVE,
    )
    op.create_index(
        "uq_devices_customer_id_serial",
        "devices",
        ["customer_id", "serial"],
        unique=True,
        **_LIVE,
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("family_id", sa.String(length=26), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("exchanged_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["family_id"],
            ["token_families.id"],
            name=op.f("fk_refresh_tokens_family_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_tokens")),
    )
    op.create_index("ix_refresh_tokens_family_id", "refresh_tokens", ["family_id"], unique=False)
    _protect_audit_log()


def downgrade() -> None:
    """Drop all tables."""
    for table in _TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION steelyard_refuse_change()")


def _row() -> list[sa.Column[Any]]:
    """The columns of every entity."""
    return [
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
    ]


def _words(column: str, name: str, *words: str) -> sa.Column[Any]:
    """A column of one of some words, with its check."""
    kind = sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=32)
    return sa.Column(column, kind, nullable=False)


def _protect_audit_log() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION steelyard_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
            "FOR EACH STATEMENT EXECUTE FUNCTION steelyard_refuse_change()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_log_no_{change.lower()} BEFORE {change} ON audit_log "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )
