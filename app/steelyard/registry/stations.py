"""Stations: registered with a contract of their own, and with credentials shown once."""

import json
from typing import Any, ClassVar

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import Problem
from steelyard.identity.clients import new_client_secret
from steelyard.identity.principal import Principal
from steelyard.identity.sessions import end_sessions
from steelyard.ledger.errors import (
    LedgerProblem,
    NodeUnavailable,
    PrivacyManagerUnavailable,
    TransactionFailed,
    TransactionPending,
)
from steelyard.registry.enrolment.certificates import revoke_certificates
from steelyard.registry.entities import (
    ADMINISTRATORS,
    EVERYBODY,
    PLATFORM,
    Entities,
    caller_of,
    own_customer,
    request_id,
)
from steelyard.registry.errors import (
    NodeInUse,
    NoFreeNode,
    RegistrationFailed,
    RegistrationInProgress,
    StationPending,
)
from steelyard.registry.fields import EntityId, IdName, Sent, Shown, Switch, kept
from steelyard.registry.registration import Requester, StationRegistrar
from steelyard.store.database import Database
from steelyard.store.models import Device, Role, Station, StationStatus, delete_softly, name_key
from steelyard.store.row_seal import check_row, seal_row
from steelyard.store.vault import Place, Vault
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import NotFound
from steelyard.web.pages import Page, PageQuery

CUSTOMERS_PEOPLE = frozenset({Role.CUSTOMER_ADMINISTRATOR.value, Role.CUSTOMER_USER.value})


class StationDraft(Sent):
    """A station to register. The name begins its tickets' ids and never changes.

    `node_id` is the node that is to emit its tickets; without it, the first free one by name.
    """

    customer_id: EntityId
    name: IdName
    node_id: EntityId | None = None


class StationPatch(Sent):
    """A change of a station. While it is disabled it neither logs in nor registers tickets."""

    status: Switch = kept()


class StationView(Shown):
    """A station."""

    id: EntityId
    customer_id: EntityId
    name: str
    status: StationStatus
    client_id: str


class StationCredentials(BaseModel):
    """What a station logs in with. The secret is shown this once and stored as a digest only."""

    client_id: str
    client_secret: str = Field(repr=False)


class NewStation(StationView, StationCredentials):
    """A station that was just registered, with its credentials."""


class StationContract(BaseModel):
    """Where a station's tickets are, for checking them at one's own node."""

    contract_address: str
    deployment_transaction: str | None
    deployment_block: int | None
    parties: list[str] = Field(description="Tessera keys of the parties beside the station's node.")


class StationQuery(PageQuery):
    """Filters of the list of stations."""

    customer_id: EntityId | None = None
    name: IdName | None = None
    status: Switch | None = None


class Stations(Entities[Station]):
    """The stations; a station sees itself, the others their customer's."""

    table = Station
    kind = "station"
    plural = "stations"
    draft = StationDraft
    patch = StationPatch
    view = StationView
    page = Page[StationView]
    page_query = StationQuery
    example: ClassVar[dict[str, Any]] = {
        "customer_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XA",
        "name": "station-1",
    }
    readers = EVERYBODY
    writers = ADMINISTRATORS
    creators = PLATFORM
    problems: ClassVar[tuple[type[Problem], ...]] = (
        NoFreeNode,
        RegistrationInProgress,
        StationPending,
    )

    def __init__(
        self, database: Database, vault: Vault, registrar: StationRegistrar, create_seconds: float
    ) -> None:
        super().__init__(database)
        self._vault = vault
        self._registrar = registrar
        self._create_seconds = create_seconds

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """Oneself, or one's customer's."""
        if caller.role is Role.STATION:
            return Station.id == caller.id
        return own_customer(caller, Station.customer_id)

    def filters(self, query: StationQuery) -> list[ColumnElement[bool]]:
        """By customer, name and status."""
        conditions: list[ColumnElement[bool]] = []
        if query.customer_id is not None:
            conditions.append(Station.customer_id == query.customer_id)
        if query.name is not None:
            conditions.append(Station.name_key == name_key(query.name))
        if query.status is not None:
            conditions.append(Station.status == StationStatus(query.status))
        return conditions

    def show(self, row: Station) -> StationView:
        """The station, without anything of its contract and node. Raises VaultTampered."""
        check_row(self._vault, row)
        return StationView.model_validate(row, from_attributes=True)

    async def create(self, call: Call[StationDraft, Any]) -> Reply:
        """POST: 201 with the credentials."""
        draft = call.body
        requester = Requester(caller_of(call).actor, request_id(call))
        made = await self._registrar.register(
            draft.customer_id, draft.name, requester, draft.node_id
        )
        shown = self.show(made.station).model_dump()
        return self.created(made.station, NewStation(**shown, client_secret=made.client_secret))

    async def change(self, session: AsyncSession, row: Station, patch: StationPatch) -> None:
        """Status; any change of it ends the station's log-ins."""
        _check_complete(row)
        if "status" in patch.model_fields_set:
            row.status = StationStatus(patch.status)
            await end_sessions(session, row, "station-changed")

    async def remove(self, session: AsyncSession, row: Station) -> None:
        """Delete the station: its key and its secret go, its contract stays readable."""
        if row.status is StationStatus.PENDING:
            await self._registrar.release(session, row)
            return
        check_row(self._vault, row)
        delete_softly(row)
        row.account_key = None
        row.client_secret_hash = None
        seal_row(self._vault, row)
        await end_sessions(session, row, "station-deleted")
        devices = await session.scalars(select(Device.id).where(Device.station_id == row.id))
        await revoke_certificates(session, "station-deleted", *devices)

    async def rotate(self, call: Call[None, Any]) -> Reply:
        """POST on the credentials: a new secret; the old one and all tokens end at once."""
        secret, digest = new_client_secret()
        async with self._database.session() as session:
            row = await self.find(session, call, lock=True)
            _check_complete(row)
            check_row(self._vault, row)
            row.client_secret_hash = digest
            seal_row(self._vault, row)
            await end_sessions(session, row, "credentials-rotated")
            await self.note(session, call, "credentials", row.id)
        return Reply(StationCredentials(client_id=row.client_id, client_secret=secret))

    async def contract(self, call: Call[None, Any]) -> Reply:
        """GET on the contract, for the customer's people only."""
        async with self._database.session(read_only=True) as session:
            row = await self.find(session, call)
            if row.contract_address is None or row.parties is None:
                raise StationPending
            check_row(self._vault, row)
            address = self._vault.open_text(
                Place("stations", row.id, "contract_address"), row.contract_address
            )
            parties = self._vault.open_text(Place("stations", row.id, "parties"), row.parties)
        return Reply(
            StationContract(
                contract_address=address,
                deployment_transaction=row.deployment_transaction,
                deployment_block=row.deployment_block,
                parties=json.loads(parties),
            )
        )

    @property
    def created_view(self) -> type[BaseModel]:
        """A new station is shown with its credentials."""
        return NewStation

    @property
    def create_seconds(self) -> float:
        """A deployment takes longer than other requests."""
        return self._create_seconds

    @property
    def create_problems(self) -> tuple[type[Problem], ...]:
        """A node that another has, and what the ledger may answer to a deployment."""
        return (
            NodeInUse,
            RegistrationFailed,
            LedgerProblem,
            NodeUnavailable,
            PrivacyManagerUnavailable,
            TransactionPending,
            TransactionFailed,
        )

    def endpoints(self) -> list[Endpoint]:
        """The five routes, the credentials' and the contract's."""
        return [
            *super().endpoints(),
            Endpoint(
                method="POST",
                path="/v1/stations/{id}/credentials",
                parameters={"id": EntityId},
                handler=self.rotate,
                operation_id="rotateCredentials",
                tag=self.plural,
                summary="Give a station a new client secret",
                description="The old secret and all of the station's tokens end at once.",
                roles=ADMINISTRATORS,
                responses={200: Response.json(StationCredentials, "Shown this once.")},
                problems=(NotFound, StationPending),
            ),
            Endpoint(
                method="GET",
                path="/v1/stations/{id}/contract",
                parameters={"id": EntityId},
                handler=self.contract,
                operation_id="getContract",
                tag=self.plural,
                summary="Get where a station's contract is",
                roles=CUSTOMERS_PEOPLE,
                responses={200: Response.json(StationContract, "The contract.")},
                problems=(NotFound, StationPending),
            ),
        ]


def _check_complete(row: Station) -> None:
    if row.status is StationStatus.PENDING:
        raise StationPending
