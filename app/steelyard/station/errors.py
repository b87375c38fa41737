"""What can go wrong while a station's machine becomes what its card says."""

from steelyard.errors import Problem


class CardUnusable(Problem):
    """What stands on the boot partition is missing or wrong; nothing was changed."""

    status = 422
    slug = "card-unusable"
    title = "The station's card cannot be used"
    hint = "Correct steelyard/station.json on the card's first partition, or flash it again."


class MachineRefuses(Problem):
    """A program or a file of the machine itself failed; the sentence says which."""

    slug = "machine-refuses"
    title = "The machine could not be set up"
