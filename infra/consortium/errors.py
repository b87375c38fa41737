"""What can be wrong with a consortium's description."""


class InvalidConsortium(Exception):
    """The description cannot be carried out. `problems` has one sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))
