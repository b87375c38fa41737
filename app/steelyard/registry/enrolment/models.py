"""What passes between the platform and a device that is enrolled or renewed."""

from typing import Annotated

from pydantic import BaseModel, Field

from steelyard.pki.claims import LOCATOR_PATTERN
from steelyard.pki.signing import MAX_BYTES
from steelyard.registry.fields import EntityId, Sent
from steelyard.store.models import DeviceKind
from steelyard.ticket import Timestamp

RequestPem = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_BYTES,
        description="A certificate request (PKCS #10) in PEM, for a key on P-256.",
    ),
]


class NewClaim(BaseModel):
    """A claim code. It is shown this once; the platform keeps a digest of it only."""

    code: str = Field(repr=False)
    expires_at: Timestamp


class EnrolmentRequest(Sent):
    """A fresh device's request, and the proof that it has the claim code.

    `proof` is HMAC-SHA256, in hex, over the request in DER, as steelyard.pki.claims says.
    """

    claim: str = Field(pattern=LOCATOR_PATTERN, description="The first 8 characters of the code.")
    request: RequestPem
    proof: str = Field(pattern=r"^[0-9a-f]{64}$")


class RenewalRequest(Sent):
    """A request for the key of a certificate that is still good: having that key is the proof."""

    request: RequestPem


class Certified(BaseModel):
    """A device's certificate, its authority's, and that authority's revocation list, in PEM."""

    serial: str
    kind: DeviceKind
    certificate: str
    authority: str
    revocations: str


class WeighbridgeCells(BaseModel):
    """A weighbridge as a SmartBox has it; weights in grams, cells by their serials."""

    name: str
    scale_serial: str
    scale_interval_grams: int
    max_capacity_grams: int
    cells: list[str]


class StationConfiguration(BaseModel):
    """What a SmartBox runs with. The secret is shown this once."""

    station: str
    station_id: EntityId
    client_id: str
    client_secret: str = Field(repr=False)
    tickets_url: str
    weighbridges: list[WeighbridgeCells]


class Enrolled(Certified):
    """The answer to an enrolment; a SmartBox gets its configuration as well.

    `seal` is HMAC-SHA256, in hex, over the three PEM documents in DER: who has not the code cannot
    put another authority in their place.
    """

    seal: str
    configuration: StationConfiguration | None = None


class CutOff(BaseModel):
    """How many certificates of a device were good until now."""

    revoked_certificates: int
