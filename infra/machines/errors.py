"""What can go wrong with machines."""


class MachineProblem(Exception):
    """A machine, its root file system or its network could not be made or ended; one sentence."""


class NotHere(MachineProblem):
    """Machines cannot be made here: no root, or a program is missing. The text names it."""
