"""What can be wrong with a stack's configuration."""


class InvalidStack(Exception):
    """The stack cannot be made as configured. `problems` has one sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))
