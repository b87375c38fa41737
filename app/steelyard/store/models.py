"""The entities: nodes, customers, users, stations, weighbridges, devices; routes in routes.py.

Rows are deleted softly (`delete_softly`), so that a deleted station's tickets stay readable.
Which names may be used again after that is docs/decisions/vault-names.md.
"""

import enum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from steelyard.store.audit import AuditRecord
from steelyard.store.base import DELETED_CHECK as _DELETED_CHECK
from steelyard.store.base import (
    KEY_LENGTH,
    Base,
    Identifier,
    NamedRow,
    Row,
    Sealed,
    Status,
    name_key,
    words,
)
from steelyard.store.base import live_unique as _live_unique
from steelyard.store.enrolment import Claim, DeviceCertificate
from steelyard.store.grants import RefreshToken, RevokedToken, TokenFamily
from steelyard.store.identifiers import now_ms
from steelyard.store.routes import Delivery, Route, RouteCheck, Webhook

__all__ = [
    "AuditRecord",
    "Base",
    "Claim",
    "Customer",
    "Delivery",
    "Device",
    "DeviceCertificate",
    "DeviceKind",
    "Node",
    "NodeRole",
    "RefreshToken",
    "RevokedToken",
    "Role",
    "Route",
    "RouteCheck",
    "Station",
    "StationStatus",
    "Status",
    "TokenFamily",
    "User",
    "Webhook",
    "Weighbridge",
    "delete_softly",
    "name_key",
]


class NodeRole(enum.StrEnum):
    """What a ledger node is for: the network's operator, a customer's administrator, a station."""

    NETWORK = "network"
    ADMIN = "admin"
    STATION = "station"


class StationStatus(enum.StrEnum):
    """The life of a station; it is pending until its contract is deployed."""

    PENDING = "pending"
    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


class Role(enum.StrEnum):
    """The roles of users, and of a station's access token."""

    PLATFORM_ADMINISTRATOR = "platform-administrator"
    CUSTOMER_ADMINISTRATOR = "customer-administrator"
    CUSTOMER_USER = "customer-user"
    STATION = "station"


class DeviceKind(enum.StrEnum):
    """What a device is."""

    SMARTBOX = "smartbox"
    LOADCELL = "loadcell"


class Customer(NamedRow, Base):
    """Who owns stations. Its admin node is the node of role `admin` assigned to it.

    `roster` is a vault value: the ids of the stations that it has or had (store/row_seal.py).
    """

    __tablename__ = "customers"
    __table_args__ = (
        _live_unique("uq_customers_name_key", "name_key", sentence="a customer has this name"),
        CheckConstraint(_DELETED_CHECK, name="deleted"),
    )

    name: Mapped[str] = mapped_column(String(128))
    status: Mapped[Status] = mapped_column(words(Status), default=Status.ACTIVE)
    roster: Mapped[bytes] = mapped_column(Sealed)


class Node(Row, Base):
    """A ledger node and its privacy manager.

    A node that was a party to a customer's tickets stays that customer's: its private state keeps
    them. Only a registration that was undone before any ticket gives its station node back.
    `rpc_url` and `tessera_url` are vault values; `seal` binds name, role, key and customer.
    """

    __tablename__ = "nodes"
    __table_args__ = (
        UniqueConstraint("name", info={"sentence": "a node has this name"}),
        UniqueConstraint("tessera_key", info={"sentence": "a node has this Tessera key"}),
        UniqueConstraint("id", "customer_id"),
        Index(
            "uq_nodes_admin_customer",
            "customer_id",
            unique=True,
            sqlite_where=text("role = 'admin'"),
            postgresql_where=text("role = 'admin'"),
            info={"sentence": "the customer has an admin node"},
        ),
    )

    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[NodeRole] = mapped_column(words(NodeRole))
    tessera_key: Mapped[str] = mapped_column(String(64))
    rpc_url: Mapped[bytes] = mapped_column(Sealed)
    tessera_url: Mapped[bytes] = mapped_column(Sealed)
    seal: Mapped[bytes] = mapped_column(Sealed)
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))

    customer: Mapped[Customer | None] = relationship(lazy="raise")


class User(Row, Base):
    """A person who logs in. Platform administrators belong to no customer, all others to one.

    `token_epoch` counts up when every token issued so far must stop working. `failed_logins` and
    `locked_until` belong to steelyard.identity and are changed without a new version.
    """

    __tablename__ = "users"
    __table_args__ = (
        _live_unique("uq_users_login_key", "login_key", sentence="a user has this log-in"),
        CheckConstraint(_DELETED_CHECK, name="deleted"),
        CheckConstraint("role <> 'station'", name="person"),
        CheckConstraint(
            "(role = 'platform-administrator') = (customer_id IS NULL)", name="customer"
        ),
        Index("ix_users_customer_id", "customer_id"),
    )

    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))
    login: Mapped[str] = mapped_column(String(254))
    login_key: Mapped[str] = mapped_column(String(KEY_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(words(Role))
    status: Mapped[Status] = mapped_column(words(Status), default=Status.ACTIVE)
    failed_logins: Mapped[int] = mapped_column(BigInteger, default=0)
    locked_until: Mapped[int | None] = mapped_column(BigInteger)
    last_login_at: Mapped[int | None] = mapped_column(BigInteger)
    token_epoch: Mapped[int] = mapped_column(BigInteger, default=0)

    customer: Mapped[Customer | None] = relationship(lazy="raise")

    @validates("login")
    def _fold_login(self, attribute: str, login: str) -> str:
        del attribute
        self.login_key = name_key(login)
        return login


class Station(NamedRow, Base):
    """A weighing station: its log-in, its node, its contract.

    Vault values, all UTF-8 text but the key: `contract_address` (EIP-55), `account_key` (32
    bytes), `node_url`, `tessera_url`, `parties` (a JSON array of base64 Tessera keys). `seal` binds
    the row to its customer, name, node and credentials.
    The name is unique among the customer's stations for ever, because ticket ids begin with it.
    """

    __tablename__ = "stations"
    __table_args__ = (
        UniqueConstraint(
            "customer_id", "name_key", info={"sentence": "a station has, or had, this name"}
        ),
        UniqueConstraint("client_id", info={"sentence": "a station has this client id"}),
        UniqueConstraint("node_id", info={"sentence": "the node is, or was, another station's"}),
        UniqueConstraint("id", "customer_id"),
        ForeignKeyConstraint(["node_id", "customer_id"], ["nodes.id", "nodes.customer_id"]),
        CheckConstraint(_DELETED_CHECK, name="deleted"),
        CheckConstraint(
            "status <> 'active' OR (node_id IS NOT NULL AND contract_address IS NOT NULL"
            " AND account_key IS NOT NULL AND node_url IS NOT NULL AND tessera_url IS NOT NULL"
            " AND parties IS NOT NULL AND client_secret_hash IS NOT NULL)",
            name="complete",
        ),
        Index("ix_stations_customer_id", "customer_id"),
    )

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    name: Mapped[str] = mapped_column(String(64))
    client_id: Mapped[str] = mapped_column(String(64))
    client_secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    token_epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    node_id: Mapped[str | None] = mapped_column(Identifier)
    status: Mapped[StationStatus] = mapped_column(
        words(StationStatus), default=StationStatus.PENDING
    )
    contract_address: Mapped[bytes | None] = mapped_column(Sealed)
    account_key: Mapped[bytes | None] = mapped_column(Sealed)
    node_url: Mapped[bytes | None] = mapped_column(Sealed)
    tessera_url: Mapped[bytes | None] = mapped_column(Sealed)
    parties: Mapped[bytes | None] = mapped_column(Sealed)
    seal: Mapped[bytes] = mapped_column(Sealed)
    deployment_transaction: Mapped[str | None] = mapped_column(String(66))
    deployment_block: Mapped[int | None] = mapped_column(BigInteger)

    customer: Mapped[Customer] = relationship(lazy="raise")
    node: Mapped[Node | None] = relationship(
        lazy="raise", primaryjoin="foreign(Station.node_id) == Node.id"
    )


class Weighbridge(NamedRow, Base):
    """A weighbridge of a station; weights in grams."""

    __tablename__ = "weighbridges"
    __table_args__ = (
        _live_unique(
            "uq_weighbridges_customer_id_scale_serial",
            "customer_id",
            "scale_serial",
            sentence="a weighbridge has this scale serial",
        ),
        _live_unique(
            "uq_weighbridges_station_id_name_key",
            "station_id",
            "name_key",
            sentence="a weighbridge of the station has this name",
        ),
        UniqueConstraint("id", "customer_id"),
        ForeignKeyConstraint(
            ["station_id", "customer_id"], ["stations.id", "stations.customer_id"]
        ),
        CheckConstraint(_DELETED_CHECK, name="deleted"),
        CheckConstraint("max_capacity > 0 AND scale_interval > 0", name="positive"),
        CheckConstraint("scale_interval <= max_capacity", name="interval"),
    )

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    station_id: Mapped[str] = mapped_column(Identifier)
    name: Mapped[str] = mapped_column(String(64))
    scale_serial: Mapped[str] = mapped_column(String(32))
    max_capacity: Mapped[int] = mapped_column(BigInteger)
    scale_interval: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[Status] = mapped_column(words(Status), default=Status.ACTIVE)

    station: Mapped[Station] = relationship(
        lazy="raise", primaryjoin="foreign(Weighbridge.station_id) == Station.id"
    )


class Device(Row, Base):
    """A SmartBox of a station, or a load cell under one of its weighbridges."""

    __tablename__ = "devices"
    __table_args__ = (
        _live_unique(
            "uq_devices_customer_id_serial",
            "customer_id",
            "serial",
            sentence="a device has this serial",
        ),
        _live_unique(
            "uq_devices_certificate_fingerprint",
            "certificate_fingerprint",
            sentence="a device has this certificate",
        ),
        ForeignKeyConstraint(
            ["station_id", "customer_id"], ["stations.id", "stations.customer_id"]
        ),
        ForeignKeyConstraint(
            ["weighbridge_id", "customer_id"], ["weighbridges.id", "weighbridges.customer_id"]
        ),
        CheckConstraint(_DELETED_CHECK, name="deleted"),
        CheckConstraint("(kind = 'loadcell') = (weighbridge_id IS NOT NULL)", name="place"),
        Index("ix_devices_station_id", "station_id"),
        Index("ix_devices_weighbridge_id", "weighbridge_id"),
    )

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    station_id: Mapped[str] = mapped_column(Identifier)
    weighbridge_id: Mapped[str | None] = mapped_column(Identifier)
    kind: Mapped[DeviceKind] = mapped_column(words(DeviceKind))
    serial: Mapped[str] = mapped_column(String(32))
    certificate_fingerprint: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[Status] = mapped_column(words(Status), default=Status.ACTIVE)

    station: Mapped[Station] = relationship(
        lazy="raise", primaryjoin="foreign(Device.station_id) == Station.id"
    )
    weighbridge: Mapped[Weighbridge | None] = relationship(
        lazy="raise", primaryjoin="foreign(Device.weighbridge_id) == Weighbridge.id"
    )


def delete_softly(
    row: Customer | User | Station | Weighbridge | Device | Route | Webhook,
) -> None:
    """Mark a row as deleted; it stays for the tickets and the audit log that name it."""
    row.status = StationStatus.DELETED if isinstance(row, Station) else Status.DELETED
    row.deleted_at = now_ms()
