"""What the gateway refuses, and what goes wrong behind it."""

from steelyard.errors import Problem


class GatewayProblem(Problem):
    """Base of what the gateway answers in a node's place."""

    status = 502
    slug = "gateway"
    title = "The gateway gives no answer of the node"


class ClientRefused(GatewayProblem):
    """The certificate is none that the gateway lets in: not listed, revoked, or expired by now."""

    status = 403
    slug = "client-refused"
    title = "The gateway does not know this client"


class CallRefused(GatewayProblem):
    """The client is known, and may only read."""

    status = 403
    slug = "call-refused"
    title = "The gateway does not pass this on"


class NodeNotServed(GatewayProblem):
    """No such node is behind this gateway, or none that this client may speak to."""

    status = 404
    slug = "node-not-served"
    title = "The gateway does not serve this node"


class GatewayBusy(GatewayProblem):
    """The client has as many requests under way as it may; nothing of this one was passed on."""

    status = 503
    slug = "gateway-busy"
    title = "Too many requests are under way"
    hint = "Nothing was passed on; send the request again after the time in Retry-After."


class NodeUnreachable(GatewayProblem):
    """No connection came about: the node, or its privacy manager, has not seen the request."""

    status = 502
    slug = "node-unreachable"
    title = "The node behind the gateway cannot be reached"


class AnswerLost(GatewayProblem):
    """The node, or its privacy manager, got the request and did not answer; it may have acted."""

    status = 504
    slug = "answer-lost"
    title = "The node behind the gateway did not answer"
