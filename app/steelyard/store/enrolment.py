"""Tables of enrolment: claims for devices, and the certificates that the platform issued them."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from steelyard.store.base import Base, Identifier, Row, Sealed


class Claim(Row, Base):
    """A one-time code for a device (steelyard.pki.claims); times in milliseconds UTC.

    `key` is a vault value: the code's digest, never the code. `used_key` is the SHA-256 of the
    public key that the code was used for, `secret_hash` the station's client secret that went out
    with it. `failures` counts proofs that were wrong.
    """

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("locator", info={"sentence": "a claim has this locator"}),
        Index("ix_claims_device_id", "device_id"),
    )

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    locator: Mapped[str] = mapped_column(String(8))
    key: Mapped[bytes] = mapped_column(Sealed)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger, default=0)
    used_at: Mapped[int | None] = mapped_column(BigInteger)
    used_key: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class DeviceCertificate(Base):
    """A certificate that the issuing authority gave a device; times in milliseconds UTC.

    `serial_number` is in hexadecimal, `key_digest` the SHA-256 of the public key, `certificate`
    DER. A row is never deleted: the revocation list is made of those with `revoked_at`.
    """

    __tablename__ = "device_certificates"
    __table_args__ = (
        Index("ix_device_certificates_device_id", "device_id"),
        Index("ix_device_certificates_key_digest", "key_digest"),
        Index("ix_device_certificates_revoked_at", "revoked_at"),
    )

    serial_number: Mapped[str] = mapped_column(String(40), primary_key=True)
    device_id: Mapped[str] = mapped_column(Identifier, ForeignKey("devices.id"))
    key_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    certificate: Mapped[bytes] = mapped_column(LargeBinary)
    not_before: Mapped[int] = mapped_column(BigInteger)
    not_after: Mapped[int] = mapped_column(BigInteger)
    issued_at: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_because: Mapped[str | None] = mapped_column(String(32))
