"""What can go wrong with a station's roots."""


class SlotProblem(Exception):
    """An update cannot be installed, or a slot is not what it should be; one sentence."""
