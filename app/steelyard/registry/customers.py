"""Customers: who owns stations. Each gets an admin node of its own."""

from typing import Any, ClassVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import Problem
from steelyard.identity.principal import Principal
from steelyard.identity.sessions import end_sessions
from steelyard.registry.entities import (
    PERSONS,
    PLATFORM,
    Entities,
    own_customer,
    set_fields,
)
from steelyard.registry.errors import CustomerInUse, NodeInUse, NoFreeNode
from steelyard.registry.fields import EntityId, Name, Sent, Shown, Switch, kept
from steelyard.registry.nodes import named_node
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import (
    Customer,
    Node,
    NodeRole,
    Station,
    Status,
    User,
    delete_softly,
    name_key,
)
from steelyard.store.row_seal import check_row, seal_roster, seal_row
from steelyard.store.vault import Vault
from steelyard.web.endpoint import Call
from steelyard.web.pages import Page, PageQuery


class CustomerDraft(Sent):
    """A customer to register. Without `admin_node_id` it gets the first free admin node by name."""

    name: Name
    admin_node_id: EntityId | None = None


class CustomerPatch(Sent):
    """A change of a customer. While it is disabled, none of its users and stations gets in."""

    name: Name = kept()
    status: Switch = kept()


class CustomerView(Shown):
    """A customer."""

    id: EntityId
    name: str
    status: Status


class CustomerQuery(PageQuery):
    """Filters of the list of customers."""

    name: Name | None = None
    status: Switch | None = None


class Customers(Entities[Customer]):
    """The customers; others than the platform's administrators see their own only."""

    table = Customer
    kind = "customer"
    plural = "customers"
    draft = CustomerDraft
    patch = CustomerPatch
    view = CustomerView
    page = Page[CustomerView]
    page_query = CustomerQuery
    example: ClassVar[dict[str, Any]] = {"name": "Quarry Ltd"}
    readers = PERSONS
    writers = PLATFORM
    creators = PLATFORM
    problems = (NoFreeNode, CustomerInUse)

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database)
        self._vault = vault

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """One's own customer."""
        return own_customer(caller, Customer.id)

    def filters(self, query: CustomerQuery) -> list[ColumnElement[bool]]:
        """By name (without case) and status."""
        conditions: list[ColumnElement[bool]] = []
        if query.name is not None:
            conditions.append(Customer.name_key == name_key(query.name))
        if query.status is not None:
            conditions.append(Customer.status == Status(query.status))
        return conditions

    def show(self, row: Customer) -> CustomerView:
        """The customer."""
        return CustomerView.model_validate(row, from_attributes=True)

    @property
    def create_problems(self) -> tuple[type[Problem], ...]:
        """A node that another has."""
        return (NodeInUse,)

    async def build(self, session: AsyncSession, call: Call[CustomerDraft, Any]) -> Customer:
        """A customer with an admin node: the one that is named, or a free one.

        Raises NoFreeNode, NodeInUse, and InvalidRequest where it is no admin node.
        """
        customer_id = new_id()
        roster = seal_roster(self._vault, customer_id, ())
        row = Customer(id=customer_id, name=call.body.name, roster=roster)
        session.add(row)
        await (
            session.flush()
        )  # the name first: that it is taken says more than that no node is free
        node = await _admin_node(session, call.body.admin_node_id)
        check_row(self._vault, node)
        node.customer_id = row.id
        seal_row(self._vault, node)
        return row

    async def change(self, session: AsyncSession, row: Customer, patch: CustomerPatch) -> None:
        """Name and status."""
        del session
        set_fields(row, patch, "name")
        if "name" in patch.model_fields_set:
            row.name_key = name_key(row.name)
        if "status" in patch.model_fields_set:
            row.status = Status(patch.status)

    async def remove(self, session: AsyncSession, row: Customer) -> None:
        """Delete the customer and its users. Raises CustomerInUse while it has stations."""
        names = await session.scalars(
            select(Station.name)
            .where(Station.customer_id == row.id, Station.deleted_at.is_(None))
            .order_by(Station.name)
            .limit(11)
        )
        if found := list(names):
            more = " and more" if len(found) > 10 else ""
            raise CustomerInUse(f"Its stations are {', '.join(found[:10])}{more}.")
        users = await session.scalars(
            select(User).where(User.customer_id == row.id, User.deleted_at.is_(None))
        )
        for user in users:
            delete_softly(user)
            await end_sessions(session, user, "customer-deleted")
        delete_softly(row)


async def _admin_node(session: AsyncSession, node_id: str | None) -> Node:
    if node_id is None:
        return await _free_admin_node(session)
    return await named_node(
        session, "admin_node_id", node_id, role=NodeRole.ADMIN, customer_id=None
    )


async def _free_admin_node(session: AsyncSession) -> Node:
    node = await session.scalar(
        select(Node)
        .where(Node.role == NodeRole.ADMIN, Node.customer_id.is_(None))
        .order_by(Node.name)
        .limit(1)
        .with_for_update()  # wait rather than skip: who holds it may yet give it back
    )
    if node is None:
        raise NoFreeNode("A customer needs an admin node of its own.")
    return node
