"""Enrolment: a device with a claim code becomes one with a certificate; and its renewal.

Each method is one unit of work. What a refusal must leave behind (a counted proof, an audit line)
is committed before it is raised; any other failure leaves the claim as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.grants import Origin
from steelyard.identity.lockout import AddressLimiter
from steelyard.identity.principal import Principal
from steelyard.pki.claims import seal
from steelyard.pki.errors import RequestRefused
from steelyard.pki.issuing import check_device_request
from steelyard.pki.signing import proven_key, read_request
from steelyard.registry.enrolment.certificates import (
    DeviceCertificates,
    certificates_of_key,
    device_of_key,
    key_digest,
    revoke_certificates,
)
from steelyard.registry.enrolment.claims import Claims, Proved, Refused
from steelyard.registry.enrolment.configuration import configuration_of
from steelyard.registry.enrolment.cutting_off import give_secret
from steelyard.registry.enrolment.models import Certified, Enrolled, StationConfiguration
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.registry.errors import ClaimRefused, RenewalRefused
from steelyard.store.audit import Actor, Subject, record
from steelyard.store.database import Database
from steelyard.store.identifiers import now_ms
from steelyard.store.models import Device, DeviceCertificate, DeviceKind, Status
from steelyard.store.vault import Vault

# Wrong proofs that one address may send at once, and the time in which it regains one (seconds).
ADDRESS_FAILURES = 20
ADDRESS_REFILL_SECONDS = 10.0
ADDRESS_TABLE_SIZE = 10_000
# A renewal asked for again within this part of a certificate's life gets the same one.
_FRESH_PART = 10


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read: itself, its key, which the sender has, and that key's digest."""

    request: x509.CertificateSigningRequest
    key: ec.EllipticCurvePublicKey
    digest: bytes

    @classmethod
    def read(cls, text: str) -> "_Asked":
        request = read_request(text.encode())
        key = proven_key(request)
        return cls(request, key, key_digest(key))


class EnrolmentService:
    """Enrols and renews. `clock` is in milliseconds."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        settings: EnrolmentSettings,
        certificates: DeviceCertificates,
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._vault = vault
        self._tickets_url = settings.tickets_url or ""
        self._certificates = certificates
        self._clock = clock
        self._limiter = AddressLimiter(ADDRESS_FAILURES, ADDRESS_REFILL_SECONDS, ADDRESS_TABLE_SIZE)
        self.claims = Claims(vault, settings, clock=clock)

    async def enrol(self, locator: str, request: str, proof: bytes, origin: Origin) -> Enrolled:
        """Certify a device that has a claim code.

        Raises ClaimRefused, TooManyAttempts, RequestRefused, NotEnrollable, AuthorityUnusable,
        VaultTampered.
        """
        asked = _Asked.read(request)
        self._limiter.take(origin.address)
        async with self._database.session() as session:
            der = asked.request.public_bytes(Encoding.DER)
            found = await self.claims.prove(session, locator, der, proof, asked.digest)
            if isinstance(found, Proved):
                self._limiter.give_back(origin.address)
                return await self._certify(session, found, asked, origin)
            await _note_refusal(session, "device.enrol", found, Actor("device"), origin)
        raise ClaimRefused

    async def renew(self, caller: Principal, request: str, origin: Origin) -> Certified:
        """A new certificate for the key of one that a device of the caller's station has.

        Raises RenewalRefused, RequestRefused, AuthorityUnusable.
        """
        asked = _Asked.read(request)
        async with self._database.session() as session:
            device_id = await device_of_key(session, asked.digest)
            device = await session.get(Device, device_id or "", with_for_update=True)
            # Read under the device's lock: who revokes it at this moment holds the same.
            known = await certificates_of_key(session, asked.digest)
            if device is None or device.station_id != caller.id:
                reason, device_id = "unknown", None
            elif device.status is not Status.ACTIVE:
                reason = "device-inactive"
            elif any(one.revoked_at is not None for one in known):
                reason = "revoked"
            elif known[0].not_after <= self._clock():
                reason = "expired"
            else:
                return await self._renew(session, device, known[0], asked, caller, origin)
            refused = Refused(reason, device_id)
            await _note_refusal(session, "device.renew", refused, caller.actor, origin)
        raise RenewalRefused(f"No certificate that is good is for this key: it is {reason}.")

    async def revocations(self) -> str:
        """The revocation list in PEM."""
        async with self._database.session(read_only=True) as session:
            return await self._certificates.revocations(session)

    async def _certify(
        self, session: AsyncSession, found: Proved, asked: _Asked, origin: Origin
    ) -> Enrolled:
        device, claim = found.device, found.claim
        check_device_request(asked.request, device.serial)
        repeated = claim.used_at is not None
        known = await certificates_of_key(session, asked.digest)
        if any(one.revoked_at is not None or one.device_id != device.id for one in known):
            raise RequestRefused(
                "the key had a certificate that was revoked, or is another device's: make a new one"
            )
        if not repeated:
            await revoke_certificates(session, "superseded", device.id, but_key=asked.digest)
        if repeated and known:
            certificate = x509.load_der_x509_certificate(known[0].certificate)
        else:
            certificate = await self._certificates.issue(session, device, asked.key)
        configuration = await self._configure(session, found)
        claim.used_at, claim.used_key = self._clock(), asked.digest
        certified = await self._answer(session, device, certificate)
        await record(
            session,
            "device.enrol",
            actor=Actor("device", device.id),
            subject=Subject("device", device.id),
            outcome="repeated" if repeated else "success",
            detail={
                "address": origin.address[:64],
                "certificate": f"{certificate.serial_number:x}",
            },
            request_id=origin.request_id,
        )
        sealed = seal(found.key, sealed_parts(certified))
        return Enrolled(**certified.model_dump(), seal=sealed.hex(), configuration=configuration)

    async def _configure(self, session: AsyncSession, found: Proved) -> StationConfiguration | None:
        if found.device.kind is not DeviceKind.SMARTBOX:
            return None
        secret, found.claim.secret_hash = await give_secret(session, self._vault, found.station)
        return await configuration_of(session, found.station, self._tickets_url, secret)

    async def _renew(
        self,
        session: AsyncSession,
        device: Device,
        newest: DeviceCertificate,
        asked: _Asked,
        caller: Principal,
        origin: Origin,
    ) -> Certified:
        check_device_request(asked.request, device.serial)
        life = newest.not_after - newest.not_before
        if self._clock() - newest.issued_at < life // _FRESH_PART:
            certificate = x509.load_der_x509_certificate(newest.certificate)
            return await self._answer(session, device, certificate)
        certificate = await self._certificates.issue(session, device, asked.key)
        certified = await self._answer(session, device, certificate)
        await record(
            session,
            "device.renew",
            actor=caller.actor,
            subject=Subject("device", device.id),
            detail={"certificate": f"{certificate.serial_number:x}"},
            request_id=origin.request_id,
        )
        return certified

    async def _answer(
        self, session: AsyncSession, device: Device, certificate: x509.Certificate
    ) -> Certified:
        return Certified(
            serial=device.serial,
            kind=device.kind,
            certificate=certificate.public_bytes(Encoding.PEM).decode(),
            authority=self._certificates.issuer.pem,
            revocations=await self._certificates.revocations(session),
        )


def sealed_parts(certified: Certified) -> list[bytes]:
    """What the seal of an answer covers: the three documents in DER."""
    documents = (
        x509.load_pem_x509_certificate(certified.certificate.encode()),
        x509.load_pem_x509_certificate(certified.authority.encode()),
        x509.load_pem_x509_crl(certified.revocations.encode()),
    )
    return [one.public_bytes(Encoding.DER) for one in documents]


async def _note_refusal(
    session: AsyncSession, action: str, refused: Refused, actor: Actor, origin: Origin
) -> None:
    subject = Subject("device", refused.device_id) if refused.device_id else None
    await record(
        session,
        action,
        actor=actor,
        subject=subject,
        outcome="refused",
        detail={"address": origin.address[:64], "reason": refused.reason},
        request_id=origin.request_id,
    )
