"""Schemathesis drives the served API from its own document, and finds no server error."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis

from api_fuzzing import drive_all, load
from registry_world import Secrets, World, running_api
from steelyard.store.settings import StoreSettings

EXAMPLES = 4


class ServerThread:
    """The API in a thread of its own: Schemathesis calls it with blocking requests."""

    def __init__(self, secrets: Secrets, store: StoreSettings, world: World) -> None:
        self._parts = secrets, store
        self.world = world
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self.url, self.token, self.customers = "", "", ""

    async def _run(self) -> None:
        secrets, store = self._parts
        try:
            # Nobody is locked out by the log-ins that Schemathesis makes up.
            identity = {"address_failures": 10_000, "access_token_seconds": 3600}
            async with running_api(secrets, store, identity=identity) as api:
                self.url, self.token = api.url, await api.token(self.world.root)
                self.customers = await api.token("admin@a.test")
                self._ready.set()
                await self._stop.wait()
        finally:
            self._ready.set()

    def __enter__(self) -> "ServerThread":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server(secrets: Secrets, populated: StoreSettings, world: World) -> Iterator[ServerThread]:
    with ServerThread(secrets, populated, world) as running:
        yield running


def document(server: ServerThread, secrets: Secrets) -> Any:
    return requests.get(
        f"{server.url}/openapi.json", verify=str(secrets.authority), timeout=10
    ).json()


def test_the_document_is_valid_openapi(server: ServerThread, secrets: Secrets) -> None:
    """The document holds against the schema of OpenAPI 3.1."""
    raw = document(server, secrets)
    assert raw["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(raw).validate()
    operations = [item["operationId"] for path in raw["paths"].values() for item in path.values()]
    assert len(operations) == len(set(operations))


@pytest.mark.slow
def test_no_request_ends_in_a_server_error(server: ServerThread, secrets: Secrets) -> None:
    """Good and bad requests to every operation are answered as the document says."""
    schema = load(document(server, secrets), server.url, str(secrets.authority))
    seen = drive_all(
        schema,
        lambda operation: (
            server.customers
            if operation.path.startswith(("/v1/routes", "/v1/webhooks"))
            else server.token
        ),
        examples=EXAMPLES,
        amend=lambda case: about(case, server.world.ids),
        # It would end the very token that the other requests are made with.
        without=frozenset({"/oauth2/revoke"}),
    )
    assert len(seen) >= 40


def about(case: Any, ids: dict[str, str]) -> Any:
    """The case with the ids of the world, so that it gets beyond 'there is no such'."""
    noun = case.operation.path.split("/")[2].removesuffix("s") if case.path_parameters else ""
    known = {"device": "cell_a", "node": "station-node-4", "user": "user_a"}
    if "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = ids[known.get(noun, f"{noun}_a")]
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"
    if isinstance(case.body, dict):
        for name in ("customer_id", "station_id", "weighbridge_id"):
            if case.body.get(name):
                case.body[name] = ids[f"{name.removesuffix('_id')}_a"]
        for stop in case.body.get("stops") or ():
            stop["station_id"] = ids["station_a"]
    return case
