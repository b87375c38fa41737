"""Claims for devices, and the certificates that the platform issued them.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "claims",
        sa.Column("device_id", sa.String(length=26), nullable=False),
        sa.Column("locator", sa.String(length=8), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("used_key", sa.LargeBinary(length=32), nullable=True),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_claims_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint("locator", name=op.f("uq_claims_locator")),
    )
    op.create_index("ix_claims_device_id", "claims", ["device_id"], unique=False)
    op.create_table(
        "device_certificates",
        sa.Column("serial_number", sa.String(length=40), nullable=False),
        sa.Column("device_id", sa.String(length=26), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_because", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_certificates_device_id")
        ),
        sa.PrimaryKeyConstraint("serial_number", name=op.f("pk_device_certificates")),
    )
    for column in ("device_id", "key_digest", "revoked_at"):
        op.create_index(
            f"ix_device_certificates_{column}", "device_certificates", [column], unique=False
        )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("device_certificates")
    op.drop_table("claims")
