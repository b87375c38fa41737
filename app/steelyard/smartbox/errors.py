"""What can go wrong at a SmartBox."""

from typing import ClassVar

from steelyard.errors import Problem


class UnknownCell(Problem):
    """The certificate names a load cell that stands under none of the station's weighbridges."""

    status = 403
    slug = "unknown-cell"
    title = "This load cell does not belong to the station"


class BadSample(Problem):
    """A load cell's payload that is not a sample."""

    status = 400
    slug = "bad-sample"
    title = "The payload is not a sample"


class SampleConflict(Problem):
    """Two different samples of one cell for the same moment; neither overwrites the other."""

    status = 409
    slug = "sample-conflict"
    title = "Another sample of this cell was taken for this moment"


class NotWeighable(Problem):
    """The cells have spoken, but no ticket can be made of it: the weighing is set aside.

    `reason` is the short word under which the weighing is set aside.
    """

    status = 422
    slug = "not-weighable"
    title = "No ticket can be made of this weighing"
    reason: ClassVar[str] = "not-weighable"


class NoSuchWeighing(NotWeighable):
    """The replayed file has no weighing of this weighbridge at this time."""

    slug = "no-such-weighing"
    title = "The replayed file has no weighing at this time"
    reason = "no-row"


class OutOfRange(NotWeighable):
    """The joined weight is below zero or beyond what a ticket can say."""

    slug = "weight-out-of-range"
    title = "The weight is out of range"
    reason = "out-of-range"


class AlibiDamaged(Problem):
    """The alibi memory was altered or cut; the record's number is in the detail."""

    slug = "alibi-damaged"
    title = "The alibi memory is damaged"
    hint = "Keep the file as it is: it is evidence. `steelyard alibi verify` shows more."


class ExportUnusable(Problem):
    """A file of registered tickets that is not an export of the tickets API in NDJSON."""

    status = 422
    slug = "ticket-export-unusable"
    title = "The export of tickets cannot be used"
    hint = "Fetch it from the tickets API: GET /v1/tickets?format=ndjson."


class HeadsUnusable(Problem):
    """A file of alibi heads that `steelyard export-check` did not write."""

    status = 422
    slug = "alibi-heads-unusable"
    title = "The file of alibi heads cannot be used"
    hint = "Write it with `steelyard export-check --alibi-heads FILE` from the station's export."


class NotRefused(Problem):
    """No ticket with this id was refused: there is nothing to send again or to dismiss."""

    status = 404
    slug = "ticket-not-refused"
    title = "No refused ticket has this id"


class StorageUnavailable(Problem):
    """The SmartBox cannot write to its storage; nothing was acknowledged."""

    status = 503
    slug = "storage-unavailable"
    title = "The SmartBox cannot write to its storage"


class StorageFull(StorageUnavailable):
    """There is no room for a ticket: none is issued until there is. Nothing was half done."""

    slug = "storage-full"
    title = "The SmartBox's disk is full"
    hint = "Make room on the disk of its data directory: it goes on by itself."


class PlatformProblem(Problem):
    """The platform did not take a batch; it is sent again later.

    `retry_after` is the platform's own wish in seconds, when it gave one.
    """

    status = 502
    slug = "platform-unavailable"
    title = "The platform did not take the tickets"

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class PlatformUnreached(PlatformProblem):
    """There was no connection, so the platform has not seen the request."""

    slug = "platform-unreached"
    title = "The platform could not be reached"


class PlatformUntrusted(PlatformUnreached):
    """Who answers has no certificate of the platform's authority that is good now.

    `by_time` says that it is the certificate's time that does not fit this clock's.
    """

    slug = "platform-untrusted"
    title = "The platform's certificate does not hold"

    def __init__(self, detail: str = "", *, by_time: bool = False) -> None:
        super().__init__(detail)
        self.by_time = by_time


class StationRefused(PlatformProblem):
    """The management API does not know the station's client secret any more."""

    slug = "station-refused"
    title = "The platform refuses the station's client secret"
    hint = "The SmartBox was revoked, or another one took its place: see `smartbox doctor`."


class BatchRefused(PlatformProblem):
    """The platform refused a whole batch for what stands in it; `problem` is its answer."""

    slug = "batch-refused"
    title = "The platform refused a batch"

    def __init__(self, detail: str, problem: dict[str, object]) -> None:
        super().__init__(detail)
        self.problem = problem


class EnrolmentRefused(Problem):
    """The platform does not certify a device; its sentence says why."""

    status = 403
    slug = "enrolment-refused"
    title = "The platform does not certify the device"


class ForeignCertificate(Problem):
    """The platform's answer is for another device than the one that asks."""

    status = 403
    slug = "foreign-certificate"
    title = "The certificate is another device's"
