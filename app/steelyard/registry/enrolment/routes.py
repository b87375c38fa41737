"""The routes of enrolment: claims for administrators, certificates for devices."""

from typing import Any

from aiohttp import hdrs, web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.identity.errors import TooManyAttempts
from steelyard.pki.errors import AuthorityUnusable, RequestRefused
from steelyard.pki.issuing import DeviceIssuer
from steelyard.registry.devices import Devices
from steelyard.registry.enrolment.certificates import DeviceCertificates, require_certifiable
from steelyard.registry.enrolment.configuration import configuration_of
from steelyard.registry.enrolment.cutting_off import cut_off
from steelyard.registry.enrolment.models import (
    Certified,
    CutOff,
    Enrolled,
    EnrolmentRequest,
    NewClaim,
    RenewalRequest,
)
from steelyard.registry.enrolment.service import EnrolmentService
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.registry.entities import ADMINISTRATORS, caller_of
from steelyard.registry.errors import ClaimRefused, EnrolmentOff, NotEnrollable, RenewalRefused
from steelyard.registry.fields import EntityId
from steelyard.registry.oauth import NO_STORE, origin_of
from steelyard.store.database import Database
from steelyard.store.errors import DatabaseUnavailable
from steelyard.store.models import Device, DeviceKind, Role, Station, StationStatus, Status
from steelyard.store.vault import Vault
from steelyard.web.endpoint import Call, Endpoint, Header, Reply, Response
from steelyard.web.errors import NotFound

CRL = "application/pkix-crl"  # RFC 2585, section 4.2
_TAG = "enrolment"
_STATIONS = frozenset({Role.STATION.value})


class Enrolment:
    """The handlers; without an issuing authority all but `revoke` answer EnrolmentOff.

    Raises AuthorityUnusable when the files that the settings name are not usable.
    """

    def __init__(
        self, database: Database, vault: Vault, devices: Devices, settings: EnrolmentSettings
    ) -> None:
        self._database = database
        self._vault = vault
        self._devices = devices
        self._tickets_url = settings.tickets_url or ""
        self._held: EnrolmentService | None = None
        if settings.authority_file is not None and settings.authority_key_file is not None:
            issuer = DeviceIssuer.load(settings.authority_file, settings.authority_key_file)
            certificates = DeviceCertificates(issuer, settings.certificate_days)
            self._held = EnrolmentService(database, vault, settings, certificates)

    @property
    def _service(self) -> EnrolmentService:
        if self._held is None:
            raise EnrolmentOff
        return self._held

    async def claim(self, call: Call[None, Any]) -> Reply:
        """POST on a device's claim."""
        service = self._service
        async with self._database.session() as session:
            device = await self._devices.find(session, call, lock=True)
            station = await session.get(Station, device.station_id)
            if device.status is not Status.ACTIVE:
                raise NotEnrollable("The device is disabled.")
            if station is None or station.status is not StationStatus.ACTIVE:
                raise NotEnrollable("Its station is not active.")
            require_certifiable(device)
            if device.kind is DeviceKind.SMARTBOX:
                # Said now, and not to the technician who stands before the SmartBox.
                await configuration_of(session, station, self._tickets_url, "")
            code, expires_at = await service.claims.make(session, device)
            await self._devices.note(session, call, "claim", device.id, {"locator": code.locator})
        shown = NewClaim.model_validate({"code": code.shown(), "expires_at": expires_at})
        return Reply(shown, 201, NO_STORE)

    async def revoke(self, call: Call[None, Any]) -> Reply:
        """POST on a device's revocation."""
        async with self._database.session() as session:
            device: Device = await self._devices.find(session, call, lock=True)
            count = await cut_off(session, self._vault, device, "revoked", log_in_too=True)
            await self._devices.note(session, call, "revoke", device.id, {"certificates": count})
        return Reply(CutOff(revoked_certificates=count))

    async def enrol(self, call: Call[EnrolmentRequest, Any]) -> Reply:
        """POST of a fresh device's request."""
        body = call.body
        proof = bytes.fromhex(body.proof)
        origin = origin_of(call)
        return Reply(
            await self._service.enrol(body.claim, body.request, proof, origin), headers=NO_STORE
        )

    async def renew(self, call: Call[RenewalRequest, Any]) -> Reply:
        """POST of a device's request for the key that it has."""
        answer = await self._service.renew(caller_of(call), call.body.request, origin_of(call))
        return Reply(answer, headers=NO_STORE)

    async def revocations(self, call: Call[None, Any]) -> web.StreamResponse:
        """GET of the revocation list."""
        crl = x509.load_pem_x509_crl((await self._service.revocations()).encode())
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        headers = {hdrs.ETAG: f'"{number}"', hdrs.CACHE_CONTROL: "no-cache"}
        if call.request.headers.get(hdrs.IF_NONE_MATCH) == headers[hdrs.ETAG]:
            return web.Response(status=304, headers=headers)
        body = crl.public_bytes(Encoding.DER)
        return web.Response(body=body, content_type=CRL, headers=headers)

    def endpoints(self) -> list[Endpoint]:
        """The five routes."""
        by_id: dict[str, Any] = {"parameters": {"id": EntityId}, "tag": "devices"}
        failing = (EnrolmentOff, AuthorityUnusable, DatabaseUnavailable)
        return [
            Endpoint(
                method="POST",
                path="/v1/devices/{id}/claim",
                handler=self.claim,
                operation_id="claimDevice",
                summary="Make a one-time claim code for a device",
                description="The code is shown this once, and lets one device in as this one. "
                "Codes made before and not used are void.",
                roles=ADMINISTRATORS,
                responses={201: Response.json(NewClaim, "Shown this once.")},
                problems=(NotFound, NotEnrollable, *failing),
                **by_id,
            ),
            Endpoint(
                method="POST",
                path="/v1/devices/{id}/revoke",
                handler=self.revoke,
                operation_id="revokeDevice",
                summary="Shut a device out: revoke its certificates and claims",
                description="A SmartBox's station loses its client secret and its tokens as well. "
                "The device stays registered and may be claimed again.",
                roles=ADMINISTRATORS,
                responses={200: Response.json(CutOff, "It is out.")},
                problems=(NotFound, DatabaseUnavailable),
                **by_id,
            ),
            Endpoint(
                method="POST",
                path="/v1/enrolment",
                handler=self.enrol,
                operation_id="enrol",
                tag=_TAG,
                summary="Get a fresh device's first certificate for a claim code",
                description="The device makes its key itself, and proves with its request that it "
                "has the code. A code is good for one key.",
                body=EnrolmentRequest,
                public=True,
                responses={200: Response.json(Enrolled, "The certificate; for a SmartBox more.")},
                problems=(
                    ClaimRefused,
                    RequestRefused,
                    NotEnrollable,
                    TooManyAttempts,
                    *failing,
                ),
            ),
            Endpoint(
                method="POST",
                path="/v1/enrolment/renewals",
                handler=self.renew,
                operation_id="renewCertificate",
                tag=_TAG,
                summary="Renew a certificate of the SmartBox or of one of its load cells",
                description="The request is signed with the key of a certificate that is still "
                "good: that is the proof.",
                body=RenewalRequest,
                roles=_STATIONS,
                responses={200: Response.json(Certified, "The new certificate.")},
                problems=(RenewalRefused, RequestRefused, NotEnrollable, *failing),
            ),
            Endpoint(
                method="GET",
                path="/v1/enrolment/revocations",
                handler=self.revocations,
                operation_id="getRevocations",
                tag=_TAG,
                summary="The issuing authority's revocation list (RFC 5280), in DER",
                headers=(Header("If-None-Match", "An ETag that is known: 304 if it is present."),),
                public=True,
                responses={
                    200: Response(
                        "The list.",
                        {CRL: {"type": "string", "format": "binary"}},
                        {"ETag": "The list's number."},
                    ),
                    304: Response("It is the list that is known."),
                },
                problems=failing,
            ),
        ]
