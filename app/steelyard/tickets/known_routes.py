"""The routes and webhooks of a customer, opened by the vault."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.store.database import Database
from steelyard.store.models import Route, Status, Webhook
from steelyard.store.route_seal import open_plan
from steelyard.store.vault import Vault
from steelyard.tickets.judge import ActiveRoute
from steelyard.vehicles import VehiclePattern


@dataclass(frozen=True, slots=True)
class Watched:
    """A customer's routes in force, and the ids of the webhooks that are to hear of them."""

    routes: tuple[ActiveRoute, ...]
    webhooks: tuple[str, ...]


class KnownRoutes:
    """Reads what customers registered at the management API."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def of(self, customer_id: str) -> tuple[ActiveRoute, ...]:
        """The customer's routes that are in force. Raises VaultTampered, and audits it."""
        async with self._database.session(read_only=True) as session:
            return await self._routes(session, customer_id)

    async def watched(self, customer_id: str) -> Watched:
        """The same with the active webhooks; no routes where there is nobody to tell."""
        statement = select(Webhook.id).where(*active_webhooks(customer_id)).order_by(Webhook.id)
        async with self._database.session(read_only=True) as session:
            webhooks = tuple(await session.scalars(statement))
            if not webhooks:
                return Watched((), ())
            return Watched(await self._routes(session, customer_id), webhooks)

    async def _routes(self, session: AsyncSession, customer_id: str) -> tuple[ActiveRoute, ...]:
        rows = await session.scalars(
            select(Route)
            .where(Route.customer_id == customer_id, Route.status == Status.ACTIVE)
            .order_by(Route.id)
        )
        return tuple(self._active(row) for row in rows)

    def _active(self, row: Route) -> ActiveRoute:
        plan = open_plan(self._vault, row)
        return ActiveRoute(row.id, row.name, plan, VehiclePattern(plan.vehicle))


def active_webhooks(customer_id: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions of a customer's webhooks that are to be told."""
    return Webhook.customer_id == customer_id, Webhook.status == Status.ACTIVE
