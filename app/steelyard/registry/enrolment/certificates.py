"""The books of the devices' issuing authority: what it issued, and what was revoked."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.pki.issuing import DeviceIssuer, key_bytes
from steelyard.pki.profiles import loadcell_profile, smartbox_profile
from steelyard.registry.errors import NotEnrollable
from steelyard.store.identifiers import now_ms
from steelyard.store.models import Device, DeviceCertificate, DeviceKind

# A revoked certificate stays on the list for so long after its end: a device's clock may be late.
_KEPT_MS = 90 * 86_400_000
# What OpenSSL takes for a DNS name where a subject's common name has it (cn2dnsid), and a bit more.
_LIKE_A_HOST = re.compile(r"[A-Za-z0-9_:-]+(\.[A-Za-z0-9_:-]+)+")


class DeviceCertificates:
    """Issues for registered devices, and keeps what it issued. `clock` is in milliseconds."""

    def __init__(
        self, issuer: DeviceIssuer, days: int, *, clock: Callable[[], int] = now_ms
    ) -> None:
        self.issuer = issuer
        self._days = days
        self._clock = clock
        self._list: tuple[dict[int, datetime], str] | None = None

    async def issue(
        self, session: AsyncSession, device: Device, key: ec.EllipticCurvePublicKey
    ) -> x509.Certificate:
        """A certificate for a device's key. The device's row must be locked by the session.

        What it says comes from the device's row: its serial, its kind, and the id of its station,
        because two customers may have stations of one name. Raises AuthorityUnusable,
        NotEnrollable.
        """
        require_certifiable(device)
        profile = (
            smartbox_profile(device.serial, (), device.station_id)
            if device.kind is DeviceKind.SMARTBOX
            else loadcell_profile(device.serial, device.station_id)
        )
        made = self.issuer.sign(profile, key, self._days)
        session.add(
            DeviceCertificate(
                serial_number=f"{made.serial_number:x}",
                device_id=device.id,
                key_digest=key_digest(key),
                certificate=made.public_bytes(Encoding.DER),
                not_before=_ms(made.not_valid_before_utc),
                not_after=_ms(made.not_valid_after_utc),
                issued_at=self._clock(),
            )
        )
        device.certificate_fingerprint = made.fingerprint(hashes.SHA256()).hex()
        await session.flush()
        return made

    async def revocations(self, session: AsyncSession) -> str:
        """The revocation list in PEM; the same one as long as nothing changed."""
        statement = select(DeviceCertificate.serial_number, DeviceCertificate.revoked_at).where(
            DeviceCertificate.revoked_at.is_not(None),
            DeviceCertificate.not_after > self._clock() - _KEPT_MS,
        )
        revoked = {
            int(number, 16): datetime.fromtimestamp((at or 0) / 1000, UTC)
            for number, at in await session.execute(statement)
        }
        if self._list is None or self._list[0] != revoked:
            self._list = revoked, self.issuer.revocation_list(revoked)
        return self._list[1]


def require_certifiable(device: Device) -> None:
    """Raise NotEnrollable for a serial that reads like a host's name.

    The authority's certificates are good for no host, and whoever checks them would refuse it.
    """
    if _LIKE_A_HOST.fullmatch(device.serial):
        raise NotEnrollable(
            f"The serial {device.serial} reads like a host's name: have the operator certify this "
            "device, or register it with a serial without dots."
        )


async def device_of_key(session: AsyncSession, digest: bytes) -> str | None:
    """The id of the device that a key belongs to; None where nobody knows it."""
    statement = (
        select(DeviceCertificate.device_id).where(DeviceCertificate.key_digest == digest).limit(1)
    )
    found: str | None = await session.scalar(statement)
    return found


async def certificates_of_key(session: AsyncSession, digest: bytes) -> list[DeviceCertificate]:
    """All certificates that were issued for a key, the newest first."""
    statement = (
        select(DeviceCertificate)
        .where(DeviceCertificate.key_digest == digest)
        .order_by(DeviceCertificate.not_after.desc(), DeviceCertificate.issued_at.desc())
    )
    return list(await session.scalars(statement))


async def revoke_certificates(
    session: AsyncSession, because: str, *device_ids: str, but_key: bytes = b""
) -> int:
    """Revoke what the devices have, in the session's transaction; how many were good until now.

    `because` is at most 32 characters. Certificates for the key of the digest `but_key` stay.
    """
    changed = await session.execute(
        update(DeviceCertificate)
        .where(
            DeviceCertificate.device_id.in_(device_ids),
            DeviceCertificate.revoked_at.is_(None),
            DeviceCertificate.key_digest != but_key,
        )
        .values(revoked_at=now_ms(), revoked_because=because)
        .returning(DeviceCertificate.serial_number)
        .execution_options(synchronize_session=False)
    )
    return len(changed.all())


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """By what a key is found again."""
    return hashlib.sha256(key_bytes(key)).digest()


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
