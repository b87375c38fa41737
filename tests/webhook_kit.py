"""A customer's server that takes events, on loopback over TLS."""

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from steelyard.route_plan import RoutePlan
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import Route, Status, Webhook
from steelyard.store.route_seal import Target, seal_plan, seal_target
from steelyard.store.vault import Vault

SECRET = b"k" * 32


@dataclass
class Receiving:
    """The files of a receiver's certificate."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass
class Receiver:
    """What came; `answers` are given in turn, then 204."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        heads = request.headers
        message = f"{heads['webhook-id']}.{heads['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.new(SECRET, message, hashlib.sha256).digest()).decode()
        assert heads["webhook-signature"] == f"v1,{digest}"
        self.ids.append(heads["webhook-id"])
        self.events.append(json.loads(body))
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers=self.headers)


@asynccontextmanager
async def receiver(files: Receiving) -> AsyncIterator[Receiver]:
    """A server at https://127.0.0.1:…/in that is there as long as the context lasts."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/in", made.take)
    server = TestServer(app, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=files.context)
    made.url = str(server.make_url("/in"))
    try:
        yield made
    finally:
        await server.close()


async def add_webhook(database: Database, vault: Vault, customer: str, url: str) -> str:
    """Register a webhook; its id."""
    row = Webhook(id=new_id(), customer_id=customer, status=Status.ACTIVE)
    seal_target(vault, row, Target(url, SECRET))
    async with database.session() as session:
        session.add(row)
    return row.id


async def add_route(database: Database, vault: Vault, customer: str, name: str, **plan: Any) -> str:
    """Register a route; its id."""
    row = Route(id=new_id(), customer_id=customer, name=name, status=Status.ACTIVE)
    seal_plan(vault, row, RoutePlan.model_validate(plan, strict=False))
    async with database.session() as session:
        session.add(row)
    return row.id


async def change_row(
    database: Database, table: type[Any], row_id: str, change: Callable[[Any], None]
) -> None:
    """Change a row as the management API does."""
    async with database.session() as session:
        change(await session.get(table, row_id))
