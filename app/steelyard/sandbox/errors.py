"""What can go wrong in the sandbox: on the wire, and for the one who starts it."""

from steelyard.errors import Problem


class SandboxProblem(Problem):
    """The sandbox cannot start or go on."""

    slug = "sandbox"
    title = "The sandbox cannot run"


class Ended(Exception):
    """The process behind an endpoint ended instead of answering."""


class RpcError(Exception):
    """An error member of a JSON-RPC answer: code, message and data as GoQuorum gives them."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class TesseraError(Exception):
    """What a privacy manager answers when it refuses: an HTTP status and a line of text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def server_error(message: str) -> RpcError:
    """The code that GoQuorum gives to everything that goes wrong inside a method."""
    return RpcError(-32000, message)


def invalid_params(message: str) -> RpcError:
    """The code for arguments that cannot be read."""
    return RpcError(-32602, message)
