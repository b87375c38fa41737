"""What can go wrong between a signal and a weighing."""

from steelyard.errors import Problem


class CannotWeigh(Problem):
    """The scale cannot do now what the operator asks for: the detail says why."""

    status = 409
    slug = "cannot-weigh"
    title = "The scale cannot do this now"


class CannotZero(CannotWeigh):
    """Zero is out of the zero device's range, or the weight is not stable."""

    slug = "cannot-zero"
    title = "The scale cannot be set to zero"


class CannotTare(CannotWeigh):
    """No tare can be taken, or not this one."""

    slug = "cannot-tare"
    title = "The scale cannot take this tare"


class NoTicketNow(CannotWeigh):
    """There is nothing to make a ticket of: moving, empty, faulty, or weighed already."""

    slug = "no-ticket-now"
    title = "The scale can give no ticket now"


class NoSuchWeighbridge(Problem):
    """The station has no weighbridge of this name that weighs by a cycle."""

    status = 404
    slug = "no-such-weighbridge"
    title = "There is no such weighbridge here"


class CalibrationRefused(Problem):
    """A calibration file that is not as it was written, or is not for this scale."""

    status = 422
    slug = "calibration-refused"
    title = "The calibration cannot be used"
    hint = "Calibrate again, or put the file back as `steelyard smartbox calibrate` wrote it."


class CalibrationImpossible(Problem):
    """Known loads that do not determine the factors, or break a rule of the file."""

    status = 422
    slug = "calibration-impossible"
    title = "The known loads give no calibration"
