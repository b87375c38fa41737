"""What stands sealed in the tables of routes.py, each value with what binds its row to a customer.

The vault binds a value to its row and column; the customer, and for a route its name and status,
stand in the value as well, so that no row can be given to another customer or switched off unseen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from steelyard.route_plan import RoutePlan
from steelyard.store.errors import RowTampered
from steelyard.store.routes import Delivery, Route, RouteCheck, Webhook
from steelyard.store.row_seal import canonical
from steelyard.store.vault import Place, Vault


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook's events go, and the secret that signs them."""

    url: str
    secret: bytes = field(repr=False)


def seal_plan(vault: Vault, row: Route, plan: RoutePlan) -> None:
    """Seal a plan with the row's facts as they are now. The row needs its id already."""
    row.plan = _seal(vault, row, "plan", {"plan": plan.model_dump(mode="json")})


def open_plan(vault: Vault, row: Route) -> RoutePlan:
    """The plan. Raises VaultTampered, also when the row's facts are not those that were sealed."""
    return RoutePlan.model_validate_json(json.dumps(_open(vault, row, "plan", row.plan)["plan"]))


def seal_target(vault: Vault, row: Webhook, target: Target) -> None:
    """Seal a webhook's URL and secret. The row needs its id already."""
    content = {"url": target.url, "secret": target.secret.hex()}
    row.target = _seal(vault, row, "target", content)


def open_target(vault: Vault, row: Webhook) -> Target:
    """A webhook's URL and secret. Raises VaultTampered."""
    content = _open(vault, row, "target", row.target or b"")
    return Target(content["url"], bytes.fromhex(content["secret"]))


def seal_tickets(vault: Vault, row: RouteCheck, ids: Sequence[str]) -> None:
    """Seal the ids of the tickets to check. The row needs its id already."""
    row.tickets = _seal(vault, row, "tickets", {"ids": list(ids)})


def open_tickets(vault: Vault, row: RouteCheck) -> list[str]:
    """The ids of the tickets to check. Raises VaultTampered."""
    ids: list[str] = _open(vault, row, "tickets", row.tickets)["ids"]
    return ids


def seal_body(vault: Vault, row: Delivery, body: bytes) -> None:
    """Seal what is sent to the row's webhook. The row needs its id already."""
    place = Place("webhook_deliveries", row.id, "body")
    row.body = vault.seal(place, row.webhook_id.encode() + body)


def open_body(vault: Vault, row: Delivery) -> bytes:
    """What is sent. Raises VaultTampered, also for a row that was given to another webhook."""
    clear = vault.open(Place("webhook_deliveries", row.id, "body"), row.body)
    if not clear.startswith(row.webhook_id.encode()):
        raise RowTampered("webhook_deliveries", row.id, "body")
    return clear.removeprefix(row.webhook_id.encode())


def _seal(
    vault: Vault, row: Route | Webhook | RouteCheck, column: str, content: dict[str, Any]
) -> bytes:
    place = Place(row.__tablename__, row.id, column)
    return vault.seal(place, canonical({**_facts(row), **content}))


def _open(
    vault: Vault, row: Route | Webhook | RouteCheck, column: str, sealed: bytes
) -> dict[str, Any]:
    """What was sealed. Raises VaultTampered, also when the row's facts are others by now."""
    place = Place(row.__tablename__, row.id, column)
    content: dict[str, Any] = json.loads(vault.open(place, sealed))
    for name, value in _facts(row).items():
        if content.pop(name, None) != value:
            raise RowTampered(row.__tablename__, row.id, column)
    return content


def _facts(row: Route | Webhook | RouteCheck) -> dict[str, Any]:
    facts = {"customer_id": row.customer_id}
    if isinstance(row, Route):
        facts |= {"name": row.name, "status": str(row.status)}
    return facts
