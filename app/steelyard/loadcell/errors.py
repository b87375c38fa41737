"""What can go wrong at a load cell."""

from steelyard.errors import Problem


class BadSource(Problem):
    """The file of weights to replay breaks a rule: its line and what is allowed."""

    status = 422
    slug = "bad-source"
    title = "The file of weights is not valid"


class PositionUnavailable(Problem):
    """The file that remembers how far the cell came cannot be used."""

    status = 503
    slug = "position-unavailable"
    title = "The position file cannot be used"


class SmartBoxAway(Problem):
    """The SmartBox did not take the sample now; it is sent again."""

    status = 503
    slug = "smartbox-away"
    title = "The SmartBox did not answer"


class SampleRefused(Problem):
    """The SmartBox will never take this sample; it is kept beside the position file."""

    status = 422
    slug = "sample-refused"
    title = "The SmartBox refused the sample"


class AdcUnavailable(Problem):
    """The converter of the cell's signal cannot be used, or gives no value."""

    status = 503
    slug = "adc-unavailable"
    title = "The converter of the load cell cannot be used"


class EnrolmentFailed(Problem):
    """The cell got no certificate; its sentence says why."""

    slug = "loadcell-enrolment-failed"
    title = "The load cell was not enrolled"
