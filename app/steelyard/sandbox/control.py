"""An HTTP endpoint for faults, for tests that run the sandbox as a process; off by default."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.sandbox.consortium import HOST, Consortium
from steelyard.sandbox.errors import SandboxProblem
from steelyard.sandbox.faults import Fault, FaultKind
from steelyard.sandbox.node_server import host_allowed


class Command(BaseModel):
    """The body of a request; what an action does not need is left out."""

    model_config = ConfigDict(extra="forbid")

    node: str = ""
    at: str = Field(default="rpc", pattern="^(rpc|tessera)$")
    kind: FaultKind = FaultKind.DROP_RESPONSE
    method: str | None = None
    count: int = Field(default=1, ge=1, le=1_000_000)
    seconds: float = Field(default=0.0, ge=0.0, le=3600.0)


class _Refused(Exception):
    """A request that makes no sense, and what would."""


class ControlServer:
    """`GET /` tells the state, `POST /<action>` with a JSON object does something."""

    def __init__(self, consortium: Consortium, port: int) -> None:
        self._consortium = consortium
        self._runner: web.ServerRunner | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Where it is served, once it has been started."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Bind the port. Raises SandboxProblem."""
        runner = web.ServerRunner(web.Server(self._serve, access_log=None))
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self.port).start()
        except OSError as error:
            await runner.cleanup()
            raise SandboxProblem(
                f"{HOST}:{self.port} cannot be bound: {error.strerror or error}"
            ) from None
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        # A page in a browser on this machine must not reach it: no foreign names, no form posts.
        if not host_allowed(request.host):
            return _refuse(403, "the host is not a loopback address")
        if request.method == "GET" and request.path == "/":
            return web.json_response(self._state())
        if request.method != "POST" or request.content_type != "application/json":
            return _refuse(405, "use GET / or POST /<action> with a JSON object")
        try:
            await self._act(request.path.removeprefix("/"), await request.read())
        except _Refused as refusal:
            return _refuse(422, str(refusal))
        return web.json_response(self._state())

    async def _act(self, name: str, body: bytes) -> None:
        actions = self._actions()
        if name not in actions:
            raise _Refused(f"the action must be one of {', '.join(sorted(actions))}")
        act, needs_node = actions[name]
        try:
            command = Command.model_validate_json(body or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise _Refused(f"{where}: {first['msg']}") from error
        names = [member.node.name for member in self._consortium.members]
        if needs_node and command.node not in names:
            raise _Refused(f"node must be one of {', '.join(names)}")
        await act(command)

    def _actions(self) -> dict[str, tuple[Callable[[Command], Awaitable[None]], bool]]:
        """Each action, and whether it needs a node."""
        consortium = self._consortium
        return {
            "node-down": (lambda command: consortium.node_down(command.node), True),
            "node-up": (lambda command: consortium.node_up(command.node), True),
            "privacy-manager-down": (
                lambda command: consortium.privacy_manager_down(command.node),
                True,
            ),
            "privacy-manager-up": (
                lambda command: consortium.privacy_manager_up(command.node),
                True,
            ),
            "lose-pool": (_soon(lambda command: consortium.lose_pool(command.node)), True),
            "halt-blocks": (_soon(lambda _: consortium.halt_blocks()), False),
            "resume-blocks": (_soon(lambda _: consortium.resume_blocks()), False),
            "make-block": (self._make_block, False),
            "block-period": (_soon(self._set_period), False),
            "fault": (_soon(self._inject), True),
            "clear-faults": (_soon(lambda _: consortium.clear_faults()), False),
        }

    async def _make_block(self, _: Command) -> None:
        await self._consortium.make_block()

    def _set_period(self, command: Command) -> None:
        self._consortium.block_period = max(0.001, command.seconds)

    def _inject(self, command: Command) -> None:
        fault = Fault(command.kind, command.method, command.count, command.seconds)
        self._consortium.inject(command.node, fault, at=command.at)

    def _state(self) -> dict[str, Any]:
        consortium = self._consortium
        return {
            "block_number": consortium.ledger.chain.head.number,
            "block_period": consortium.block_period,
            "waiting_transactions": len(consortium.ledger.pool),
            "nodes": [
                {
                    "name": member.node.name,
                    "up": member.rpc.up,
                    "privacy_manager_up": member.tessera.up,
                }
                for member in consortium.members
            ],
        }


def _soon(action: Callable[[Command], object]) -> Callable[[Command], Awaitable[None]]:
    async def act(command: Command) -> None:
        action(command)

    return act


def _refuse(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
