"""What stops a command about a node."""

from steelyard.errors import Problem


class NodeProblem(Problem):
    """A ledger node cannot do what was asked; the sentence says why."""

    slug = "node"
    title = "The node cannot do that"


class Unanswered(NodeProblem):
    """The node, or its privacy manager, gave no answer, or none that can be used."""

    slug = "node-unanswered"
    title = "The node gave no answer"


class KeysUnusable(NodeProblem):
    """Keys are missing where there must be some, or are not what they should be."""

    slug = "node-keys"
    title = "The node's keys cannot be used"


class ForeignGenesis(NodeProblem):
    """There is a genesis already, and it is another one."""

    slug = "node-genesis"
    title = "The genesis is another one"


class NotReady(NodeProblem):
    """Node or privacy manager were not ready in time; the sentence says what is missing."""

    slug = "node-not-ready"
    title = "The node is not ready"


class VoteWithoutEffect(NodeProblem):
    """The validators are not as they were to be in time."""

    slug = "node-vote"
    title = "The vote had no effect in time"
