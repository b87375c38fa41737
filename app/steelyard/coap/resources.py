"""What a CoAP resource on our transport needs: problems rendered, the sender known."""

from typing import NamedTuple, Self

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.resource import Resource

from steelyard.coap.counters import TransportCounters
from steelyard.coap.errors import (
    ForeignCell,
    ForeignStation,
    InvalidPayload,
    NotALoadCell,
    UnsupportedContentFormat,
)
from steelyard.coap.identity import PeerIdentity
from steelyard.coap.senml import CONTENT_FORMAT, Sample, decode
from steelyard.errors import Problem
from steelyard.pki.names import LOADCELL_URN, device_urn

MAX_DIAGNOSTIC_BYTES = 512

# What is not here becomes the general code of its class: 4.00 or 5.00.
_CODES = {
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    406: Code.NOT_ACCEPTABLE,
    409: Code.CONFLICT,
    412: Code.PRECONDITION_FAILED,
    413: Code.REQUEST_ENTITY_TOO_LARGE,
    415: Code.UNSUPPORTED_CONTENT_FORMAT,
    422: Code.UNPROCESSABLE_ENTITY,
    429: Code.TOO_MANY_REQUESTS,
    501: Code.NOT_IMPLEMENTED,
    502: Code.BAD_GATEWAY,
    503: Code.SERVICE_UNAVAILABLE,
    504: Code.GATEWAY_TIMEOUT,
}


def render_problem(problem: Problem) -> Message:
    """A problem as a CoAP response: its sentence as the diagnostic payload (RFC 7252, 5.5.2).

    A `Retry-After` in seconds becomes Max-Age (RFC 8516 for 4.29, RFC 7252 for 5.03).
    """
    general = Code.BAD_REQUEST if problem.status < 500 else Code.INTERNAL_SERVER_ERROR
    sentences = [problem.detail or problem.title]
    sentences += [f"{error.field}: {error.message}" for error in problem.errors]
    payload = "; ".join(sentences).encode()[:MAX_DIAGNOSTIC_BYTES]
    message = Message(
        code=_CODES.get(problem.status, general),
        payload=payload.decode(errors="ignore").encode(),  # never half a character
    )
    retry_after = problem.headers.get("Retry-After", "")
    if retry_after.isdecimal():
        message.opt.max_age = int(retry_after)
    return message


class Request(NamedTuple):
    """What a resource reads of a request. `peer` is who sent it, by the certificate, if any."""

    peer: PeerIdentity | None
    content_format: int | None
    queries: tuple[str, ...]
    payload: bytes

    @classmethod
    def of(cls, message: Message) -> Self:
        """From a message of aiocoap's."""
        claims = tuple(message.remote.authenticated_claims)
        peer = claims[0] if claims and isinstance(claims[0], PeerIdentity) else None
        option = message.opt
        return cls(peer, option.content_format, option.uri_query, message.payload)

    @property
    def sender(self) -> PeerIdentity:
        """Who sent the request. Raises NotALoadCell where nobody is known."""
        if self.peer is None:
            raise NotALoadCell("the request came without a certificate")
        return self.peer

    @property
    def cell(self) -> str:
        """The serial of the load cell that sent the request. Raises NotALoadCell."""
        sender = self.sender
        if sender.cell_serial is None:
            raise NotALoadCell(f"the certificate of {sender.name!r} is not a load cell's")
        return sender.cell_serial


def read_samples(
    request: Request, counters: TransportCounters, *, station: str, now: float | None
) -> tuple[str, list[Sample]]:
    """The sending cell's serial and the samples in its request to the SmartBox of `station`.

    The certificate decides which cell it is, and of which station: one authority may serve
    several stations, and serial numbers are the makers'. `now` (seconds since 1970) is what times
    below 2^28 count from; without it they are refused. A payload may leave the name out or give
    its own (`<serial>` or `urn:steelyard:loadcell:<serial>`, with `:` or `/` and a quantity
    behind). Raises NotALoadCell, UnsupportedContentFormat, ForeignStation, InvalidPayload and
    ForeignCell; the last three are counted.
    """
    serial = request.cell
    if request.sender.station != station:
        counters.foreign_stations += 1
        raise ForeignStation(f"the certificate of {serial} is not one of station {station}")
    if request.content_format not in (None, CONTENT_FORMAT):
        raise UnsupportedContentFormat(
            f"the content format must be {CONTENT_FORMAT} (SenML in CBOR)"
        )
    try:
        samples = decode(request.payload, now=now)
    except InvalidPayload:
        counters.decode_errors += 1
        raise
    for sample in samples:
        if sample.name is not None and not _names(sample.name, serial):
            counters.foreign_payloads += 1
            raise ForeignCell(f"the certificate is that of {serial}, the payload's name is not")
    return serial, samples


def _names(name: str, serial: str) -> bool:
    own = (serial, device_urn(LOADCELL_URN, serial))
    return name in own or name.startswith(tuple(one + mark for one in own for mark in ":/"))


class ProblemResource(Resource):  # type: ignore[misc] # aiocoap has no types
    """A resource whose methods may raise any Problem."""

    async def render(self, request: Message) -> Message:
        """Render, a Problem as its CoAP code."""
        try:
            return await super().render(request)
        except Problem as problem:
            return self.refuse(problem)

    def refuse(self, problem: Problem) -> Message:
        """The response to a request that is refused."""
        return render_problem(problem)
