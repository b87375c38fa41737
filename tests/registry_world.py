"""A management API on loopback over HTTPS, and a small world of customers in its database."""

import asyncio
import datetime as dt
import ipaddress
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fakes import FakeLedger
from steelyard.identity import keys as identity_keys
from steelyard.identity.settings import IdentitySettings
from steelyard.registry.app import Identity, build
from steelyard.registry.settings import ManagementSettings
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.key_ring import KeyRing
from steelyard.store.models import Role, User
from steelyard.store.settings import StoreSettings
from steelyard.store.vault import Vault
from steelyard.web.server import running

PASSWORD = "three plain words"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def write_certificate(directory: Path, name: str = "server") -> tuple[Path, Path, Path]:
    """A throw-away authority and a certificate for 127.0.0.1: authority, certificate, key."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {name}")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )

    root = builder(authority, authority_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = builder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key()
    ).add_extension(x509.SubjectAlternativeName([address]), critical=False)
    paths = tuple(directory / f"{name}.{end}" for end in ("ca.pem", "pem", "key"))
    pem = Encoding.PEM
    paths[0].write_bytes(root.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    paths[1].write_bytes(leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    paths[2].write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    paths[2].chmod(0o600)
    return paths[0], paths[1], paths[2]


@dataclass
class Secrets:
    """The keys of one test run, on disk where the settings want them there."""

    directory: Path
    ring: KeyRing = field(default_factory=KeyRing.generate)

    def __post_init__(self) -> None:
        self.authority, self.certificate, self.private_key = write_certificate(self.directory)
        key = identity_keys.generate()
        self.signing_key = self.directory / "signing.pem"
        self.signing_key.write_bytes(identity_keys.to_pem(key))
        self.signing_key.chmod(0o600)
        self.jwks = self.directory / "jwks.json"
        published = identity_keys.VerificationKey.of(key.public_key())
        self.jwks.write_bytes(identity_keys.KeySet([published]).as_json())

    def identity(self, **changes: Any) -> IdentitySettings:
        """Real key files, and hashes that cost little."""
        values = {
            "issuer": "https://127.0.0.1:8443",
            "signing_key_file": self.signing_key,
            "jwks_file": self.jwks,
            "argon2_memory_kib": 64,
            "argon2_iterations": 1,
            "argon2_lanes": 1,
        }
        return IdentitySettings(**(values | changes))

    def management(self, **changes: Any) -> ManagementSettings:
        values = {
            "port": 0,
            "certificate": self.certificate,
            "private_key": self.private_key,
            "rate_per_second": 10_000,
            "rate_burst": 100_000,
            "shutdown_seconds": 2,
        }
        return ManagementSettings(**(values | changes))


@dataclass
class Answer:
    """A response, read."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    def fields(self) -> set[str]:
        """The fields that a problem names."""
        return {error["field"] for error in self.json.get("errors", [])}


@dataclass
class Api:
    """A running management API and what it is made of."""

    url: str
    session: aiohttp.ClientSession
    database: Database
    vault: Vault
    ledger: FakeLedger
    identity: Identity

    async def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, **options: Any
    ) -> Answer:
        """One request; `body` is sent as JSON."""
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            options["json"] = body
        async with self.session.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    async def form(self, path: str, headers: Any = None, **fields: str) -> Answer:
        """One request with a form."""
        return await self.call("POST", path, data=fields, headers=headers or {})

    async def log_in(self, login: str, password: str = PASSWORD) -> Answer:
        return await self.form(
            "/oauth2/token", grant_type="password", username=login, password=password
        )

    async def token(self, login: str, password: str = PASSWORD) -> str:
        answer = await self.log_in(login, password)
        assert answer.status == 200, answer.text
        return answer.json["access_token"]

    async def station_token(self, client_id: str, client_secret: str) -> str:
        answer = await self.form(
            "/oauth2/token",
            grant_type="client_credentials",
            client_id=client_id,
            client_secret=client_secret,
        )
        assert answer.status == 200, answer.text
        return answer.json["access_token"]

    async def make(self, token: str, plural: str, **draft: Any) -> Any:
        """Register an entity."""
        answer = await self.call("POST", f"/v1/{plural}", token, draft)
        assert answer.status == 201, answer.text
        return answer.json

    async def change(
        self, method: str, path: str, token: str, body: Any = None, etag: str | None = None
    ) -> Answer:
        """A conditional request; without an ETag it takes the present one."""
        if etag is None:
            etag = (await self.call("GET", path, token)).headers.get("ETag", "*")
        return await self.call(method, path, token, body, headers={"If-Match": etag})


@asynccontextmanager
async def running_api(
    secrets: Secrets,
    store: StoreSettings,
    *,
    ledger: Any = None,
    identity: Any = None,
    enrolment: Any = None,
    **management: Any,
) -> AsyncIterator[Api]:
    """The API on a loopback port, over TLS, with a client that trusts its authority."""
    database = Database(store)
    vault = Vault(secrets.ring)
    ledger = ledger or FakeLedger()
    parts = Identity.from_settings(database, secrets.identity(**(identity or {})))
    settings = secrets.management(**management)
    app = build(settings, database, vault, parts, ledger, enrolment)
    context = ssl.create_default_context(cafile=str(secrets.authority))
    async with running(app, settings) as url:
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Api(url, session, database, vault, ledger, parts)


async def bootstrap(api: Api, login: str = "root@platform.test") -> str:
    """The first platform administrator, as `steelyard identity bootstrap-admin` makes it."""
    hashed = await api.identity.service.new_password(PASSWORD, login=login)
    async with api.database.session() as session:
        session.add(
            User(id=new_id(), login=login, password_hash=hashed, role=Role.PLATFORM_ADMINISTRATOR)
        )
    return await api.token(login)


def node_draft(name: str, role: str) -> dict[str, str]:
    """A node as network.json describes one."""
    import base64
    import hashlib

    number = sum(name.encode()) % 1000
    return {
        "name": name,
        "role": role,
        "rpc_url": f"http://127.0.0.1:{22000 + number}",
        "tessera_url": f"http://127.0.0.1:{9081 + number}",
        "tessera_public_key": base64.b64encode(hashlib.sha256(name.encode()).digest()).decode(),
    }


@dataclass
class World:
    """What `populate` made: ids and log-ins, fit for JSON."""

    root: str
    ids: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, list[str]] = field(default_factory=dict)


async def populate(api: Api) -> World:
    """Two customers, each with an administrator, a user, a station, a weighbridge and devices."""
    root = await bootstrap(api)
    world = World("root@platform.test")
    ids = world.ids
    for name, role in (("admin-1", "admin"), ("admin-2", "admin"), ("admin-3", "admin")):
        ids[name] = (await api.make(root, "nodes", **node_draft(name, role)))["id"]
    for number in range(1, 5):
        draft = node_draft(f"station-node-{number}", "station")
        ids[draft["name"]] = (await api.make(root, "nodes", **draft))["id"]
    for letter in "ab":
        await _populate_customer(api, root, world, letter)
    listed = await api.call("GET", "/v1/users?login=root%40platform.test", root)
    ids["root"] = listed.json["items"][0]["id"]
    return world


async def _populate_customer(api: Api, root: str, world: World, letter: str) -> None:
    ids = world.ids
    customer = await api.make(root, "customers", name=f"Customer {letter}")
    customer_id = ids[f"customer_{letter}"] = customer["id"]
    for kind, role in (("admin", "customer-administrator"), ("user", "customer-user")):
        login = f"{kind}@{letter}.test"
        made = await api.make(
            root, "users", login=login, password=PASSWORD, role=role, customer_id=customer_id
        )
        ids[f"{kind}_{letter}"] = made["id"]
    station = await api.make(root, "stations", name=f"station-{letter}", customer_id=customer_id)
    ids[f"station_{letter}"] = station["id"]
    world.credentials[letter] = [station["client_id"], station["client_secret"]]
    bridge = await api.make(
        root,
        "weighbridges",
        station_id=station["id"],
        name="wb-1",
        scale_serial="WB-1",
        max_capacity=60_000_000,
        scale_interval=20_000,
    )
    ids[f"weighbridge_{letter}"] = bridge["id"]
    cell = await api.make(
        root,
        "devices",
        station_id=station["id"],
        weighbridge_id=bridge["id"],
        kind="loadcell",
        serial="LC-1",
    )
    ids[f"cell_{letter}"] = cell["id"]
    box = await api.make(root, "devices", station_id=station["id"], kind="smartbox", serial="SB-1")
    ids[f"box_{letter}"] = box["id"]
    administrator = await api.token(f"admin@{letter}.test")
    route = await api.make(
        administrator,
        "routes",
        name="to-the-plant",
        vehicle="BH-*",
        stops=[{"station_id": station["id"], "scale_serial": "WB-1"}],
        expectations=[{"at": 1, "grams": 15_000_000, "tolerance_percent": 2.5}],
    )
    ids[f"route_{letter}"] = route["id"]
    webhook = await api.make(administrator, "webhooks", url=f"https://erp.{letter}.test/weighings")
    ids[f"webhook_{letter}"] = webhook["id"]


def prepare(secrets: Secrets, migrated: Path, directory: Path) -> tuple[Path, World]:
    """A database file with the world in it, to be copied for each test."""
    path = directory / "world.db"
    shutil.copyfile(migrated, path)
    path.chmod(0o600)

    async def work() -> World:
        async with running_api(secrets, StoreSettings(url=f"sqlite:///{path}")) as api:
            return await populate(api)

    return path, asyncio.run(work())
