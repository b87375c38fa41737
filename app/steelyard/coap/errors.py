"""What can go wrong on the way between a load cell and its SmartBox."""

from steelyard.errors import Problem


class CoapProblem(Problem):
    """Base of what a CoAP resource or transport refuses."""

    status = 400
    slug = "coap"
    title = "The CoAP request is not valid"


class CredentialUnusable(CoapProblem):
    """A certificate, key or revocation list that cannot be used; the file is named."""

    status = 500
    slug = "credential-unusable"
    title = "The DTLS credentials cannot be used"


class HandshakeRefused(CoapProblem):
    """The DTLS handshake failed: one side refused the other's certificate, or they did not agree.

    `reason` is a short word for counters.
    """

    status = 502
    slug = "handshake-refused"
    title = "The DTLS handshake was refused"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class SessionEnded(CoapProblem):
    """The DTLS session is over: closed, replaced, revoked, expired or idle too long."""

    status = 503
    slug = "session-ended"
    title = "The DTLS session has ended"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


class InvalidPayload(CoapProblem):
    """The payload is not SenML in CBOR, or breaks one of its rules."""

    slug = "invalid-payload"
    title = "The payload is not valid SenML in CBOR"


class UnsupportedContentFormat(CoapProblem):
    """The request's content format is not the one that the resource reads."""

    status = 415
    slug = "unsupported-content-format"
    title = "The content format is not supported"


class NotALoadCell(CoapProblem):
    """The peer's certificate is not a load cell's."""

    status = 403
    slug = "not-a-load-cell"
    title = "Only load cells may send samples"


class ForeignStation(CoapProblem):
    """The load cell's certificate names another station than the SmartBox's, or none."""

    status = 403
    slug = "foreign-station"
    title = "The load cell belongs to another station"


class ForeignCell(CoapProblem):
    """The payload names another load cell than the certificate does."""

    status = 403
    slug = "foreign-cell"
    title = "The payload is another load cell's"
