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
from steelyard.store.vault import Place, Vault


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook's events go, and the secret that signs them."""

    url: str
    secret: bytes = field(repr=False)


def seal_plan(vault: Vault, row: Route, plan: RoutePlan) -> None:
    """Seal a plan with the row's facts as they are now. The row needs its id already."""
    content = {**_facts(row), "plan": plan.model_dump(mode="json")}
    row.plan = vault.seal(_plan_place(row), _canonical(content))


def open_plan(vault: Vault, row: Route) -> RoutePlan:
    """The plan. Raises VaultTampered, also when the row's facts are not those that were sealed."""
    content = json.loads(vault.open(_plan_place(row), row.plan))
    plan = content.pop("plan")
    if content != _facts(row):
        raise RowTampered("routes", row.id, "plan")
    return RoutePlan.model_validate_json(json.dumps(plan))


def seal_target(vault: Vault, row: Webhook, target: Target) -> None:
    """Seal a webhook's URL and secret. The row needs its id already."""
    content = {
        "customer_id": row.customer_id,
        "url": target.url,
        "secret": target.secret.hex(),
    }
    row.target = vault.seal(Place("webhooks", row.id, "target"), _canonical(content))


def open_target(vault: Vault, row: Webhook) -> Target:
    """A webhook's URL and secret. Raises VaultTampered."""
    content = json.loads(vault.open(Place("webhooks", row.id, "target"), row.target or b""))
    if content["customer_id"] != row.customer_id:
        raise RowTampered("webhooks", row.id, "target")
    return Target(content["url"], bytes.fromhex(content["secret"]))


def seal_tickets(vault: Vault, row: RouteCheck, ids: Sequence[str]) -> None:
    """Seal the ids of the tickets to check. The row needs its id already."""
    content = {"customer_id": row.customer_id, "ids": list(ids)}
    row.tickets = vault.seal(Place("route_checks", row.id, "tickets"), _canonical(content))


def open_tickets(vault: Vault, row: RouteCheck) -> list[str]:
    """The ids of the tickets to check. Raises VaultTampered."""
    content = json.loads(vault.open(Place("route_checks", row.id, "tickets"), row.tickets))
    if content["customer_id"] != row.customer_id:
        raise RowTampered("route_checks", row.id, "tickets")
    ids: list[str] = content["ids"]
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


def _facts(row: Route) -> dict[str, Any]:
    return {"customer_id": row.customer_id, "name": row.name, "status": str(row.status)}


def _plan_place(row: Route) -> Place:
    return Place("routes", row.id, "plan")


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
