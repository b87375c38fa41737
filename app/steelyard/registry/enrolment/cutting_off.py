"""Shutting a device out: its certificates, its claims, and what its SmartBox logs in with."""

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.clients import new_client_secret
from steelyard.identity.sessions import end_sessions
from steelyard.registry.enrolment.certificates import revoke_certificates
from steelyard.registry.enrolment.claims import void_claims
from steelyard.store.models import Claim, Device, DeviceKind, Station, StationStatus
from steelyard.store.row_seal import check_row, seal_row
from steelyard.store.vault import Vault


async def cut_off(
    session: AsyncSession, vault: Vault, device: Device, because: str, *, log_in_too: bool = False
) -> int:
    """Revoke a device's certificates and claims; how many certificates that were.

    A SmartBox that was enrolled loses its client secret, too: its station's tokens end at once.
    With `log_in_too` any SmartBox does, however it got the secret. The device's row must be
    locked by the session. Raises VaultTampered.
    """
    revoked = await revoke_certificates(session, because, device.id)
    await void_claims(session, device)
    if device.kind is DeviceKind.SMARTBOX:
        station = await session.scalar(
            select(Station).where(Station.id == device.station_id).with_for_update()
        )
        if station is not None and (log_in_too or await _has_its_secret(session, device, station)):
            await _forget_secret(session, vault, station)
    return revoked


async def give_secret(session: AsyncSession, vault: Vault, station: Station) -> tuple[str, bytes]:
    """A new client secret for a station, whose row must be locked; and its digest.

    The old one, and all tokens, end.
    """
    check_row(vault, station)
    secret, digest = new_client_secret()
    station.client_secret_hash = digest
    seal_row(vault, station)
    await end_sessions(session, station, "smartbox-enrolled")
    return secret, digest


async def _has_its_secret(session: AsyncSession, device: Device, station: Station) -> bool:
    """Whether the station logs in with what this device was given when it was enrolled."""
    if station.client_secret_hash is None:
        return False
    statement = select(
        exists().where(
            Claim.device_id == device.id, Claim.secret_hash == station.client_secret_hash
        )
    )
    return bool(await session.scalar(statement))


async def _forget_secret(session: AsyncSession, vault: Vault, station: Station) -> None:
    if station.status not in {StationStatus.ACTIVE, StationStatus.DISABLED}:
        return  # a pending one has none, a deleted one none any more
    check_row(vault, station)
    # One that nobody has: an active station always has some (a constraint of its table).
    _, station.client_secret_hash = new_client_secret()
    seal_row(vault, station)
    await end_sessions(session, station, "smartbox-revoked")
