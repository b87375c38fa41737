"""What an enrolment failed by, in the words of who stands before the station."""

from steelyard.errors import ConfigurationError, Problem
from steelyard.pki.errors import RequestRefused
from steelyard.smartbox.errors import EnrolmentRefused, PlatformProblem, PlatformUntrusted
from steelyard.station.errors import CardUnusable
from steelyard.station.state import Phase, State

AGAIN = "It tries again by itself."
CORRECT = "Correct steelyard/station.json on the card's first partition, or flash the card again."

_UNTRUSTED = f"Is ca.pem on the card the platform's authority? {AGAIN}"
_REFUSED = "Make another claim code, write it into station.json on the card, and start again."
# The first kind that fits: its phase, what the sentence begins with, what somebody may do.
_KINDS: tuple[tuple[type[Problem], Phase, str, str], ...] = (
    (EnrolmentRefused, Phase.REFUSED, "the platform refuses the claim: ", _REFUSED),
    (PlatformUntrusted, Phase.UNTRUSTED, "the platform is not trusted: ", _UNTRUSTED),
    (RequestRefused, Phase.UNTRUSTED, "the platform is not trusted: ", _UNTRUSTED),
    (PlatformProblem, Phase.UNREACHED, "the platform cannot be reached: ", AGAIN),
    (ConfigurationError, Phase.CARD_WRONG, "", CORRECT),
    (CardUnusable, Phase.CARD_WRONG, "", CORRECT),
)


def state_of(problem: Problem) -> State:
    """The state that a problem leaves the first boot in."""
    sentence = problem.detail or problem.title
    for kind, phase, begin, remedy in _KINDS:
        if isinstance(problem, kind):
            return State(phase, begin + sentence, remedy)
    return State(Phase.MACHINE, sentence, problem.hint or AGAIN)
