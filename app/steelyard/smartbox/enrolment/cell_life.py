"""What a SmartBox does for its load cells' certificates, over their DTLS sessions.

`POST /.well-known/est/sren` is EST's renewal as RFC 9148 has it, with the same key: the cell's old
certificate opened the session, and its request is signed with that certificate's key. The SmartBox
hands the request on to the management API, which alone decides. `GET /revocations` is the list.
"""

import base64

from aiocoap import CHANGED, CONTENT, Message
from aiocoap.resource import Site
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.coap.errors import ForeignStation, UnsupportedContentFormat
from steelyard.coap.resources import ProblemResource, Request
from steelyard.pki.holding import (
    FORMAT_CERTIFICATE,
    FORMAT_REQUEST,
    RENEWAL_PATH,
    REVOCATIONS_PATH,
    Holding,
)
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.errors import BadSample, ForeignCertificate
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.platform import Platform

MAX_REQUEST_BYTES = 2048


class RenewalResource(ProblemResource):
    """Renews the certificate of the cell that asks. `station` is what its certificate must name."""

    def __init__(
        self, station: str, management: Management, platform: Platform, status: Status
    ) -> None:
        super().__init__()
        self._station = station
        self._management = management
        self._platform = platform
        self._status = status

    async def render_post(self, request: Message) -> Message:
        """A certificate (DER) for a request (DER)."""
        serial = _own_cell(request, self._station)
        if request.opt.content_format not in (None, FORMAT_REQUEST):
            raise UnsupportedContentFormat(f"the content format must be {FORMAT_REQUEST}")
        pem = request_to_pem(request.payload)
        async with self._platform.with_token() as token:
            certified = await self._management.renew(token, pem)
        if certified.serial != serial:
            # The request was by the key of another cell.
            raise ForeignCertificate(f"the request is not by the key of {serial}")
        self._status.count("cell_certificates_renewed")
        return Message(
            code=CHANGED,
            payload=certified.papers.certificate,
            content_format=FORMAT_CERTIFICATE,
        )


class RevocationsResource(ProblemResource):
    """Gives the station's cells the revocation list in DER."""

    def __init__(self, station: str, holding: Holding) -> None:
        super().__init__()
        self._station = station
        self._holding = holding

    async def render_get(self, request: Message) -> Message:
        """The list as the SmartBox has it."""
        _own_cell(request, self._station)
        crl = x509.load_pem_x509_crl(self._holding.revocations.read_bytes())
        return Message(code=CONTENT, payload=crl.public_bytes(Encoding.DER))


def add_to_site(
    site: Site,
    station: str,
    holding: Holding,
    management: Management,
    platform: Platform,
    status: Status,
) -> None:
    """Offer both resources to the cells of a station."""
    renewal = RenewalResource(station, management, platform, status)
    site.add_resource(RENEWAL_PATH, renewal)
    site.add_resource(REVOCATIONS_PATH, RevocationsResource(station, holding))


def request_to_pem(der: bytes) -> str:
    """A request as the management API takes it. Raises BadSample for one that is too long."""
    if not 0 < len(der) <= MAX_REQUEST_BYTES:
        raise BadSample(f"a certificate request must be 1 to {MAX_REQUEST_BYTES} bytes")
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"


def _own_cell(message: Message, station: str) -> str:
    request = Request.of(message)
    serial = request.cell
    if request.sender.station != station:
        raise ForeignStation(f"the certificate of {serial} is not one of this station")
    return serial
