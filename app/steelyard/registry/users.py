"""Users: the platform's administrators, and each customer's people."""

from typing import Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import FieldError, InvalidRequest
from steelyard.identity.errors import InvalidGrant, TooManyAttempts, WeakPassword
from steelyard.identity.principal import Principal
from steelyard.identity.service import IdentityService, Origin
from steelyard.identity.sessions import end_sessions
from steelyard.registry.entities import (
    ADMINISTRATORS,
    PERSONS,
    Entities,
    caller_of,
    own_customer,
    request_id,
    unknown,
)
from steelyard.registry.errors import LastAdministrator
from steelyard.registry.fields import EntityId, Login, Password, Sent, Shown, Switch, kept
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import Customer, Role, Status, User, delete_softly, name_key
from steelyard.ticket import Timestamp
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import NotFound
from steelyard.web.pages import Page, PageQuery

UserRole = Literal["platform-administrator", "customer-administrator", "customer-user"]
CustomerRole = Literal["customer-administrator", "customer-user"]


class UserDraft(Sent):
    """A user to register. A customer's administrator may leave `customer_id` out: it is the own."""

    login: Login
    password: Password = Field(repr=False)
    role: UserRole
    customer_id: EntityId | None = None


class UserPatch(Sent):
    """A change of a user; it ends the user's log-ins."""

    role: CustomerRole = kept()
    status: Switch = kept()


class UserView(Shown):
    """A user; platform administrators have no customer."""

    id: EntityId
    customer_id: EntityId | None
    login: str
    role: Role
    status: Status
    last_login_at: Timestamp | None


class UserQuery(PageQuery):
    """Filters of the list of users."""

    customer_id: EntityId | None = None
    login: Login | None = None
    role: UserRole | None = None
    status: Switch | None = None


class PasswordChange(Sent):
    """A new password; with the current one, unless an administrator sets another's."""

    new_password: Password = Field(repr=False)
    current_password: Password | None = Field(None, repr=False)


class Users(Entities[User]):
    """The users; a customer's user sees itself, its administrator all of the customer's."""

    table = User
    kind = "user"
    plural = "users"
    draft = UserDraft
    patch = UserPatch
    view = UserView
    page = Page[UserView]
    page_query = UserQuery
    example: ClassVar[dict[str, Any]] = {
        "login": "ana@quarry.example",
        "password": "three plain words",
        "role": "customer-user",
        "customer_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XA",
    }
    readers = PERSONS
    writers = ADMINISTRATORS
    creators = ADMINISTRATORS
    problems = (LastAdministrator, WeakPassword)

    def __init__(self, database: Database, identity: IdentityService) -> None:
        super().__init__(database)
        self._identity = identity

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """Oneself, or one's customer's users."""
        if caller.role is Role.CUSTOMER_USER:
            return User.id == caller.id
        return own_customer(caller, User.customer_id)

    def filters(self, query: UserQuery) -> list[ColumnElement[bool]]:
        """By customer, log-in (without case), role and status."""
        conditions: list[ColumnElement[bool]] = []
        if query.customer_id is not None:
            conditions.append(User.customer_id == query.customer_id)
        if query.login is not None:
            conditions.append(User.login_key == name_key(query.login))
        if query.role is not None:
            conditions.append(User.role == Role(query.role))
        if query.status is not None:
            conditions.append(User.status == Status(query.status))
        return conditions

    def show(self, row: User) -> UserView:
        """The user, without anything of the password."""
        return UserView.model_validate(row, from_attributes=True)

    async def create(self, call: Call[UserDraft, Any]) -> Reply:
        """POST; the password is hashed before a transaction is opened."""
        draft, caller = call.body, caller_of(call)
        customer_id = _customer_of(draft, caller)
        hashed = await self._identity.new_password(draft.password, login=draft.login)

        async def build(session: AsyncSession) -> User:
            if customer_id is not None:
                await _check_customer(session, caller, customer_id)
            return User(
                id=new_id(),
                login=draft.login,
                customer_id=customer_id,
                password_hash=hashed,
                role=Role(draft.role),
            )

        return await self.add(call, build)

    async def change(self, session: AsyncSession, row: User, patch: UserPatch) -> None:
        """Role (of a customer's user) and status."""
        if "role" in patch.model_fields_set:
            if row.role is Role.PLATFORM_ADMINISTRATOR:
                raise InvalidRequest(
                    "A platform administrator has no other role.",
                    errors=[FieldError("role", "must be absent for a platform administrator")],
                )
            row.role = Role(patch.role)
        if "status" in patch.model_fields_set:
            if patch.status == "disabled":
                await _keep_an_administrator(session, row)
            row.status = Status(patch.status)
        if patch.model_fields_set:
            await end_sessions(session, row, "user-changed")

    async def remove(self, session: AsyncSession, row: User) -> None:
        """Delete the user and end all log-ins."""
        await _keep_an_administrator(session, row)
        delete_softly(row)
        await end_sessions(session, row, "user-deleted")

    async def set_password(self, call: Call[PasswordChange, Any]) -> Reply:
        """POST on the password: the own with the current one, another's as an administrator."""
        caller = caller_of(call)
        if call.path["id"] == caller.id:
            await self._change_own(call, caller)
        else:
            await self._reset(call)
        return Reply(status=204)

    async def _change_own(self, call: Call[PasswordChange, Any], caller: Principal) -> None:
        current = call.body.current_password
        if current is None:
            raise InvalidRequest(
                "The current password is needed to change one's own.",
                errors=[FieldError("current_password", "is required for one's own password")],
            )
        origin = Origin(call.request.remote or "", request_id(call))
        await self._identity.change_password(caller.id, current, call.body.new_password, origin)

    async def _reset(self, call: Call[PasswordChange, Any]) -> None:
        async with self._database.session(read_only=True) as session:
            login = (await self.find(session, call)).login
        hashed = await self._identity.new_password(call.body.new_password, login=login)
        async with self._database.session() as session:
            row = await self.find(session, call, lock=True)
            row.password_hash = hashed
            row.failed_logins, row.locked_until = 0, None
            await end_sessions(session, row, "password-reset")
            await self.note(session, call, "password-reset", row.id)

    def endpoints(self) -> list[Endpoint]:
        """The five routes and the password's."""
        return [
            *super().endpoints(),
            Endpoint(
                method="POST",
                path="/v1/users/{id}/password",
                parameters={"id": EntityId},
                handler=self.set_password,
                operation_id="setPassword",
                tag=self.plural,
                summary="Set a user's password",
                description="One's own with the current one; an administrator sets another's. "
                "All of the user's log-ins end.",
                body=PasswordChange,
                body_example={
                    "current_password": "three plain words",
                    "new_password": "four other plain words",
                },
                roles=PERSONS,
                responses={204: Response("It was set.")},
                problems=(NotFound, WeakPassword, InvalidGrant, TooManyAttempts),
            ),
        ]


def _customer_of(draft: UserDraft, caller: Principal) -> str | None:
    """The customer that a new user belongs to. Raises InvalidRequest."""
    if draft.role == "platform-administrator":
        if caller.role is not Role.PLATFORM_ADMINISTRATOR:
            raise InvalidRequest(
                "You may not give this role.",
                errors=[FieldError("role", "must be customer-administrator or customer-user")],
            )
        if draft.customer_id is not None:
            raise InvalidRequest(
                "A platform administrator belongs to no customer.",
                errors=[FieldError("customer_id", "must be absent for a platform administrator")],
            )
        return None
    customer_id = draft.customer_id or caller.customer_id
    if customer_id is None:
        raise InvalidRequest(
            "A customer's user needs a customer.",
            errors=[FieldError("customer_id", "is required for this role")],
        )
    return customer_id


async def _check_customer(session: AsyncSession, caller: Principal, customer_id: str) -> None:
    found = await session.scalar(
        select(Customer.id)
        .where(
            Customer.id == customer_id,
            Customer.deleted_at.is_(None),
            own_customer(caller, Customer.id),
        )
        .with_for_update(read=True)  # it must not be deleted meanwhile
    )
    if found is None:
        raise unknown("customer_id", "customer")


async def _keep_an_administrator(session: AsyncSession, row: User) -> None:
    if row.role is not Role.PLATFORM_ADMINISTRATOR or row.status is not Status.ACTIVE:
        return
    # The rows are locked, so that two administrators cannot remove each other at the same time.
    others = await session.scalars(
        select(User.id)
        .where(User.role == Role.PLATFORM_ADMINISTRATOR, User.status == Status.ACTIVE)
        .order_by(User.id)
        .with_for_update()
    )
    if not set(others) - {row.id}:
        raise LastAdministrator
