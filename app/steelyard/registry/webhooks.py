"""Webhooks: where a customer's own systems are told of deviations."""

import base64
import secrets
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import ColumnElement, delete
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.principal import Principal
from steelyard.registry.entities import Entities, caller_of, check_room, own_customer, set_fields
from steelyard.registry.errors import TooMany
from steelyard.registry.fields import EntityId, Sent, Shown, Switch, kept
from steelyard.registry.routes import CUSTOMER_ADMINISTRATORS
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import Delivery, Status, Webhook, delete_softly
from steelyard.store.route_seal import Target, open_target, seal_target
from steelyard.store.vault import Vault
from steelyard.ticket import Timestamp
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import NotFound
from steelyard.web.pages import Page, PageQuery

MAX_WEBHOOKS = 10
SECRET_BYTES = 32
_MAX_URL = 512


def _check_url(value: str) -> str:
    wanted = "must be an https URL with a host, without user and fragment"
    try:
        url = urlsplit(value)
        sound = url.scheme == "https" and url.hostname and url.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    plain = value.isascii() and not any(c <= " " or c in '\x7f\\"<>^`{|}' for c in value)
    if not sound or "@" in url.netloc or "#" in value or not plain:
        raise ValueError(wanted)
    return value


WebhookUrl = Annotated[
    str,
    Field(
        min_length=9,
        max_length=_MAX_URL,
        description="An https URL, without user and fragment.",
        examples=["https://erp.example.com/steelyard"],
    ),
    AfterValidator(_check_url),
]


class WebhookDraft(Sent):
    """A webhook to register; it is the caller's customer's."""

    url: WebhookUrl


class WebhookPatch(Sent):
    """A change of a webhook. While it is disabled nothing is sent, and what waits gets old."""

    url: WebhookUrl = kept()
    status: Switch = kept()


class WebhookView(Shown):
    """A webhook, and how its last deliveries went; `failure` is a word for why one failed."""

    id: EntityId
    customer_id: EntityId
    url: str
    status: Status
    delivered_at: Timestamp | None
    failed_at: Timestamp | None
    failure: str | None


class WebhookSecret(BaseModel):
    """What the events are signed with. It is shown this once and stored sealed."""

    secret: str = Field(repr=False)


class NewWebhook(WebhookView, WebhookSecret):
    """A webhook that was just registered, with its secret."""


class WebhookQuery(PageQuery):
    """Filters of the list of webhooks."""

    status: Switch | None = None


class Webhooks(Entities[Webhook]):
    """The webhooks of the caller's customer, for its administrators."""

    table = Webhook
    kind = "webhook"
    plural = "webhooks"
    draft = WebhookDraft
    patch = WebhookPatch
    view = WebhookView
    page = Page[WebhookView]
    page_query = WebhookQuery
    example: ClassVar[dict[str, Any]] = {"url": "https://erp.example.com/steelyard"}
    readers = CUSTOMER_ADMINISTRATORS
    writers = CUSTOMER_ADMINISTRATORS
    creators = CUSTOMER_ADMINISTRATORS
    problems = (TooMany,)

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database)
        self._vault = vault

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """One's customer's."""
        return own_customer(caller, Webhook.customer_id)

    def filters(self, query: WebhookQuery) -> list[ColumnElement[bool]]:
        """By status."""
        return [] if query.status is None else [Webhook.status == Status(query.status)]

    def show(self, row: Webhook) -> WebhookView:
        """The webhook without its secret. Raises VaultTampered."""
        url = open_target(self._vault, row).url
        names = set(WebhookView.model_fields) - {"url"}
        return WebhookView(url=url, **{name: getattr(row, name) for name in names})

    async def create(self, call: Call[WebhookDraft, Any]) -> Reply:
        """POST: 201 with the secret."""
        secret = secrets.token_bytes(SECRET_BYTES)
        async with self._database.session() as session:
            customer_id = caller_of(call).customer_id or ""
            await check_room(session, Webhook, customer_id, MAX_WEBHOOKS)
            row = Webhook(
                id=new_id(),
                customer_id=customer_id,
                status=Status.ACTIVE,
                delivered_at=None,
                failed_at=None,
                failure=None,
            )
            seal_target(self._vault, row, Target(call.body.url, secret))
            session.add(row)
            await session.flush()
            await self.note(session, call, "create", row.id)
        shown = self.show(row).model_dump()
        return self.created(row, NewWebhook(**shown, secret=shown_secret(secret)))

    async def change(self, session: AsyncSession, row: Webhook, patch: WebhookPatch) -> None:
        """The URL, with the secret kept, and the status."""
        del session
        target = open_target(self._vault, row)
        if "url" in patch.model_fields_set:
            seal_target(self._vault, row, Target(patch.url, target.secret))
        set_fields(row, patch, "status")
        row.status = Status(row.status)

    async def remove(self, session: AsyncSession, row: Webhook) -> None:
        """Delete it, its secret and what waits for it."""
        await session.execute(delete(Delivery).where(Delivery.webhook_id == row.id))
        delete_softly(row)
        row.target = None

    async def rotate(self, call: Call[None, Any]) -> Reply:
        """POST on the secret: a new one, with which everything is signed from now on."""
        secret = secrets.token_bytes(SECRET_BYTES)
        async with self._database.session() as session:
            row = await self.find(session, call, lock=True)
            url = open_target(self._vault, row).url
            seal_target(self._vault, row, Target(url, secret))
            await self.note(session, call, "secret", row.id)
        return Reply(WebhookSecret(secret=shown_secret(secret)))

    @property
    def created_view(self) -> type[BaseModel]:
        """A new webhook is shown with its secret."""
        return NewWebhook

    def endpoints(self) -> list[Endpoint]:
        """The five routes, and the secret's."""
        return [
            *super().endpoints(),
            Endpoint(
                method="POST",
                path="/v1/webhooks/{id}/secret",
                parameters={"id": EntityId},
                handler=self.rotate,
                operation_id="rotateWebhookSecret",
                tag=self.plural,
                summary="Give a webhook a new secret",
                description="The old secret signs nothing any more, at once.",
                roles=CUSTOMER_ADMINISTRATORS,
                responses={200: Response.json(WebhookSecret, "Shown this once.")},
                problems=(NotFound,),
            ),
        ]


def shown_secret(secret: bytes) -> str:
    """A secret in the form that libraries for Standard Webhooks take."""
    return "whsec_" + base64.b64encode(secret).decode()
