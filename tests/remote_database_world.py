"""A PostgreSQL elsewhere as a provider has it: TLS, a master that is no superuser, a secret."""

import datetime as dt
import importlib.util
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from databases import PostgresqlServer

ROOT = Path(__file__).resolve().parents[1]
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-one-AbCdEf"
REGION = "eu-west-1"
MASTER = "master"


def loaded(path: Path) -> ModuleType:
    """A program of the checkout that is in no package."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


provider_stand_in = loaded(ROOT / "molecule/shared/provider_stand_in.py")


@dataclass
class Elsewhere:
    """What a test is given: where things are, and what is known of them."""

    server: PostgresqlServer
    provider: object
    directory: Path
    ca_file: Path
    metadata_url: str
    endpoint: str

    @property
    def password_file(self) -> Path:
        return self.directory / "database.password"

    def url(self, database: str = "steelyard", user: str = "platform") -> str:
        """The application's, by the name that stands in the certificate."""
        return f"postgresql://{user}@localhost:{self.server.port}/{database}"

    @property
    def log(self) -> list[str]:
        """What the provider was asked."""
        path = self.provider.log
        return path.read_text().splitlines() if path.exists() else []


def self_signed(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate of one host, its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = directory / f"{name}.pem", directory / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


@contextmanager
def elsewhere(directory: Path) -> Iterator[Elsewhere]:
    """All of it on loopback. Raises PostgresqlMissing."""
    certificate, key = self_signed(directory)
    server = PostgresqlServer.start(tls=(certificate, key))
    servers = ()
    try:
        password = secrets.token_urlsafe(24)
        server.sql(
            f"CREATE ROLE {MASTER} LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD '{password}'"
        )
        provider = provider_stand_in.Provider(
            REGION,
            "the-platforms-role",
            {ARN: json.dumps({"username": MASTER, "password": password})},
            {ARN},
            directory / "provider.log",
        )
        servers = provider_stand_in.serving(provider, "127.0.0.1", certificate, key)
        ports = [one.server_address[1] for one in servers]
        yield Elsewhere(
            server,
            provider,
            directory,
            certificate,
            f"http://127.0.0.1:{ports[0]}",
            f"https://localhost:{ports[1]}",
        )
    finally:
        for one in servers:
            one.shutdown()
            one.server_close()
        server.stop()
