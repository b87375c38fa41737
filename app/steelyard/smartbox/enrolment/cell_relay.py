"""Handing fresh load cells' requests on to the platform, while somebody commissions them.

A fresh cell has no certificate, so it speaks plain CoAP: `POST coap://.../enrol` with CBOR
`{"claim", "request", "proof"}`. That needs no secrecy: the claim code's secret never travels, and
without it nobody can put another request or another answer in their place (steelyard.pki.claims).
The port is open only as long as `steelyard smartbox enrol-cells` runs.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import cbor2
from aiocoap import CHANGED, Context, Message
from aiocoap.resource import Site
from cryptography.x509 import load_der_x509_certificate

from steelyard.coap.identity import station_of
from steelyard.coap.resources import ProblemResource
from steelyard.errors import ConfigurationError, Problem
from steelyard.smartbox.enrolment.cell_life import request_to_pem
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.errors import BadSample, ForeignCertificate

ENROL_PATH = ("enrol",)
MAX_PAYLOAD_BYTES = 4096
MAX_AT_ONCE = 4
_CBOR = 60
_LOCATOR_LENGTH = 8
_PROOF_LENGTH = 32


class RelayResource(ProblemResource):
    """Relays a cell's enrolment; `told` gets one line for each that came."""

    def __init__(self, management: Management, station: str, told: Callable[[str], None]) -> None:
        super().__init__()
        self._management = management
        self._station = station
        self._told = told
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def render_post(self, request: Message) -> Message:
        """The certificate, its authority, its revocation list and their seal, for a request."""
        try:
            claim, pem, proof = read_enrolment(request.payload)
            async with self._turns:
                certified = await self._management.enrol(claim, pem, proof)
            papers = certified.papers
            if certified.kind != "loadcell":
                raise ForeignCertificate(f"the code is for the {certified.kind}, not for a cell")
            if station_of(load_der_x509_certificate(papers.certificate)) != self._station:
                raise ForeignCertificate(f"cell {certified.serial} belongs to another station")
        except Problem as problem:
            self._told(f"refused: {problem.detail or problem.title}")
            raise
        self._told(f"enrolled: load cell {certified.serial}")
        answer = {
            "certificate": papers.certificate,
            "authority": papers.authority,
            "revocations": papers.revocations,
            "seal": papers.seal,
        }
        return Message(code=CHANGED, payload=cbor2.dumps(answer), content_format=_CBOR)


def read_enrolment(payload: bytes) -> tuple[str, str, bytes]:
    """Locator, request (PEM) and proof of an enrolment. Raises BadSample."""
    allowed = "the payload must be CBOR: claim (text), request and proof (bytes)"
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadSample(f"the payload must be at most {MAX_PAYLOAD_BYTES} bytes")
    try:
        decoded: Any = cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, MemoryError, OverflowError):
        raise BadSample(allowed) from None
    if not isinstance(decoded, dict):
        raise BadSample(allowed)
    claim, request, proof = (decoded.get(name) for name in ("claim", "request", "proof"))
    if not (
        isinstance(claim, str)
        and len(claim) == _LOCATOR_LENGTH
        and claim.isascii()
        and isinstance(request, bytes)
        and isinstance(proof, bytes)
        and len(proof) == _PROOF_LENGTH
    ):
        raise BadSample(allowed)
    return claim, request_to_pem(request), proof


async def open_relay(resource: RelayResource, host: str, port: int) -> Context:
    """Listen for cells; end it with the context's `shutdown`. Raises ConfigurationError.

    By udp6, the one transport of aiocoap that can be bound to all addresses, of IPv4 as well.
    """
    site = Site()
    site.add_resource(ENROL_PATH, resource)
    try:
        return await Context.create_server_context(site, bind=(host, port), transports=["udp6"])
    except OSError as error:
        raise ConfigurationError(
            f"--host, --port: {host} port {port} cannot be bound: {error.strerror}"
        ) from None
