"""Claims: made for a registered device, proved once, void after too many wrong proofs."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.pki.claims import ClaimCode, is_proved
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.store.identifiers import new_id, now_ms
from steelyard.store.models import Claim, Customer, Device, Station, StationStatus, Status
from steelyard.store.vault import Place, Vault


@dataclass(frozen=True, slots=True)
class Proved:
    """A claim whose code the sender has, and for whom it is; all three rows are locked."""

    claim: Claim
    device: Device
    station: Station
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a claim is not accepted, for the audit log; the sender is not told."""

    reason: str
    device_id: str | None = None


class Claims:
    """Makes and proves claims. `clock` is in milliseconds."""

    def __init__(
        self, vault: Vault, settings: EnrolmentSettings, *, clock: Callable[[], int] = now_ms
    ) -> None:
        self._vault = vault
        self._settings = settings
        self._clock = clock

    async def make(self, session: AsyncSession, device: Device) -> tuple[ClaimCode, int]:
        """A new code and when it expires (milliseconds); codes not used yet are void.

        The device's row must be locked by the session.
        """
        await void_claims(session, device)
        code, row_id = ClaimCode.new(), new_id()
        expires_at = self._clock() + self._settings.code_seconds * 1000
        sealed = self._vault.seal(_place(row_id), code.key())
        session.add(
            Claim(
                id=row_id,
                device_id=device.id,
                locator=code.locator,
                key=sealed,
                expires_at=expires_at,
            )
        )
        await session.flush()
        return code, expires_at

    async def prove(
        self, session: AsyncSession, locator: str, request: bytes, proof: bytes, digest: bytes
    ) -> Proved | Refused:
        """The claim that a request (DER) proves for the key of this digest; a wrong proof counts.

        A claim that was used for the same key may be used again until it expires: the answer may
        have been lost. Raises VaultTampered.
        """
        device_id = await session.scalar(select(Claim.device_id).where(Claim.locator == locator))
        # The device first, as everywhere: two that wait for each other would both fail.
        device = await session.get(Device, device_id or "", with_for_update=True)
        claim = await session.scalar(
            select(Claim).where(Claim.locator == locator).with_for_update()
        )
        if claim is None or device is None:
            return Refused("unknown")
        key = self._vault.open(_place(claim.id), claim.key)
        if reason := self._fault(claim, key, request, proof, digest):
            return Refused(reason, device.id)
        if device.status is not Status.ACTIVE:
            return Refused("device-inactive", device.id)
        station = await session.get(Station, device.station_id, with_for_update=True)
        customer = await session.get(Customer, device.customer_id)
        if (
            station is None
            or station.status is not StationStatus.ACTIVE
            or customer is None
            or customer.status is not Status.ACTIVE
        ):
            return Refused("station-inactive", device.id)
        return Proved(claim, device, station, key)

    def _fault(
        self, claim: Claim, key: bytes, request: bytes, proof: bytes, digest: bytes
    ) -> str | None:
        if claim.failures >= self._settings.code_failures:
            return "void"
        if self._clock() >= claim.expires_at:
            return "expired"
        if not is_proved(key, request, proof):
            claim.failures += 1
            return "wrong"
        if claim.used_at is not None and claim.used_key != digest:
            return "used"
        return None


async def void_claims(session: AsyncSession, device: Device) -> None:
    """Let a device's codes that were not used yet be good for nothing."""
    await session.execute(
        delete(Claim).where(Claim.device_id == device.id, Claim.used_at.is_(None))
    )


def _place(row_id: str) -> Place:
    return Place("claims", row_id, "key")
