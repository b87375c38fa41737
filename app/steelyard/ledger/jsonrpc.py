"""Raw JSON-RPC 2.0 over one keep-alive HTTP session.

web3.py's middleware stays off the hot path: a call here is one dictionary out and one in.
Parameters never reach an exception text or a log, as they may hold tickets.
"""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, TypeAlias

import aiohttp

from steelyard.json_text import read_json
from steelyard.ledger.errors import NodeUnavailable

_LARGEST_ANSWER = 64 * 1024 * 1024  # bytes; 250 full blocks with their transactions are far below

# By this header a gateway says of an answer of its own whether its node can have acted.
OUTCOME_HEADER = "Steelyard-Outcome"

Json: TypeAlias = Any  # what JSON can hold; whoever reads it checks it


class NodeUnreached(NodeUnavailable):
    """No connection came about: the node has certainly not seen the request."""


class NodeError(NodeUnavailable):
    """The node answered with a JSON-RPC error object: the call was refused, not lost."""

    def __init__(self, node: str, method: str, code: int, message: str, data: str | None) -> None:
        # The message goes into `message` only: a node may quote what it was sent.
        super().__init__(f"The node {node} answered {method} with error {code}")
        self.code = code
        self.message = message
        self.data = data

    @property
    def is_revert(self) -> bool:
        """Whether a contract's code refused the call, rather than the node."""
        return self.data is not None or self.message.startswith("execution reverted")


class JsonRpc:
    """One node's JSON-RPC endpoint. `name` is what errors call it; its URL is shown nowhere."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, name: str, request_timeout: float
    ) -> None:
        self._session = session
        self._url = url
        self._name = name
        self._request_timeout = request_timeout
        self._ids = count(1)

    async def call(self, method: str, *params: Json) -> Json:
        """The result of a call that changes nothing; tried twice when a connection breaks.

        A server may close a kept-alive connection at the moment that we use it again.
        Raises NodeError for an answer that is an error, else NodeUnavailable.
        """
        try:
            return await self._exchange(method, params, self._request_timeout)
        except NodeUnreached:
            raise
        except _ConnectionBroke:
            return await self._exchange(method, params, self._request_timeout)

    async def call_many(self, method: str, many: Sequence[Sequence[Json]]) -> list[Json]:
        """The results of calls of one method that change nothing, in one exchange, in order.

        Raises like `call`, NodeError for the first call that was refused.
        """
        if not many:
            return []
        try:
            return await self._exchange_batch(method, many)
        except NodeUnreached:
            raise
        except _ConnectionBroke:
            return await self._exchange_batch(method, many)

    async def call_once(self, method: str, *params: Json, wait: float) -> Json:
        """The result of a call that may change something; `wait` in seconds.

        Raises NodeUnreached when it certainly did nothing, NodeError when the node refused it,
        and any other NodeUnavailable when nobody knows.
        """
        return await self._exchange(method, params, wait)

    async def _exchange(self, method: str, params: tuple[Json, ...], wait: float) -> Json:
        status, body = await self._post(method, self._request(method, params), wait)
        return self._result_of(method, status, _read(body))

    async def _exchange_batch(self, method: str, many: Sequence[Sequence[Json]]) -> list[Json]:
        requests = [self._request(method, params) for params in many]
        status, body = await self._post(method, requests, self._request_timeout)
        answers = _read(body)
        if isinstance(answers, dict):  # a refusal of the batch as a whole
            self._result_of(method, status, answers)
        if not isinstance(answers, list):
            answers = []
        found = [one for one in answers if isinstance(one, dict)]
        by_id = {one["id"]: one for one in found if isinstance(one.get("id"), int)}
        return [self._result_of(method, status, by_id.get(one["id"])) for one in requests]

    def _request(self, method: str, params: Sequence[Json]) -> dict[str, Json]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    async def _post(self, method: str, request: Json, wait: float) -> tuple[int, bytes]:
        # Half of the time must do for the connection: what did not come about is no lost answer.
        timeout = aiohttp.ClientTimeout(total=wait, connect=wait / 2)
        try:
            async with self._session.post(self._url, json=request, timeout=timeout) as response:
                self._heed_gateway(response.status, response.headers, method)
                return response.status, await self._read(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NodeUnreached(f"The node {self._name} cannot be reached") from None
        except ValueError:  # aiohttp.InvalidURL is one, and so is what yarl says of a port
            raise NodeUnreached(f"The URL of the node {self._name} is not valid") from None
        except TimeoutError:
            raise NodeUnavailable(
                f"The node {self._name} did not answer {method} within {wait:g} s"
            ) from None
        except (aiohttp.ClientError, OSError):
            raise _ConnectionBroke(
                f"The connection to the node {self._name} broke during {method}"
            ) from None

    def _heed_gateway(self, status: int, headers: Mapping[str, str], method: str) -> None:
        """Raises for an answer that is the gateway's own, and no node's."""
        outcome = headers.get(OUTCOME_HEADER)
        if outcome == "unreached":
            raise NodeUnreached(
                f"The gateway of the node {self._name} did not pass {method} on (HTTP {status})"
            )
        if outcome == "unknown":
            raise _ConnectionBroke(
                f"The gateway of the node {self._name} got no answer to {method} (HTTP {status})"
            )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body. Raises NodeUnavailable for one that no answer of ours can have."""
        parts = bytearray()
        async for part in response.content.iter_any():
            parts += part
            if len(parts) > _LARGEST_ANSWER:
                raise NodeUnavailable(f"The node {self._name} gives an answer without an end")
        return bytes(parts)

    def _result_of(self, method: str, status: int, answer: Json) -> Json:
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise NodeUnavailable(
                f"The node {self._name} answered {method} with HTTP {status} and no JSON-RPC"
            )
        error = answer.get("error")
        if error is None:
            return answer["result"]
        if not isinstance(error, dict):
            error = {}
        data = error.get("data")
        raise NodeError(
            self._name,
            method,
            error["code"] if isinstance(error.get("code"), int) else 0,
            str(error.get("message", "")),
            data if isinstance(data, str) else None,
        )


def _read(body: bytes) -> Json:
    """What a body holds; None if it is no JSON."""
    try:
        return read_json(body)
    except ValueError:
        return None


class _ConnectionBroke(NodeUnavailable):
    """The connection ended before the answer: the node may or may not have acted."""
