"""Makes the application's role and database in a PostgreSQL elsewhere, as its master, by TLS.

Runs on the platform's host, as root, with Debian's own Python, curl and psql. Where the application
comes in with its own password already, nothing is asked of anybody. Otherwise the master's password
is read once from the provider's store, by the host's own credentials (IMDSv2, AWS Signature
version 4), and forgotten at the end. Secrets go by standard input and by the environment of a
child; none is printed. Prints `there`, `missing` (with --look) or `made`. Exit status 1, and one
sentence on standard error, when it cannot be.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_SECONDS = 30
_ITERATIONS = 4096  # of SCRAM, PostgreSQL's own number
# The server itself said no: it was reached, and its certificate is the right one.
_REFUSED_BY_SERVER = "FATAL"
_LOOK = """
SELECT pg_get_userbyid(datdba) = current_user AND NOT EXISTS (
  SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0
) FROM pg_database WHERE datname = current_database();
"""
_STATE = """
SELECT 'role' FROM pg_roles WHERE rolname = :'user';
SELECT 'powerful' FROM pg_roles WHERE rolname = :'user'
  AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls);
SELECT 'owner ' || pg_get_userbyid(datdba) FROM pg_database WHERE datname = :'database';
"""
_CREATE_ROLE = """CREATE ROLE :"user"
  LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'verifier';"""
_ALTER_ROLE = """ALTER ROLE :"user" LOGIN PASSWORD :'verifier';"""
# Only who could become the owner may give him a database. It is undone at the end.
_JOIN = """GRANT :"user" TO CURRENT_USER;"""
_LEAVE = """REVOKE :"user" FROM CURRENT_USER;"""
_CREATE_DATABASE = (
    """CREATE DATABASE :"database" OWNER :"user" TEMPLATE template0 ENCODING 'UTF8';"""
)
_GIVE_DATABASE = """ALTER DATABASE :"database" OWNER TO :"user";"""
_SHUT_OTHERS_OUT = """REVOKE ALL ON DATABASE :"database" FROM PUBLIC;"""


class Refused(Exception):
    """It cannot be done; the message is one sentence, without a secret."""


@dataclass(frozen=True)
class Server:
    """Where a database is, and who comes. `password` is never shown."""

    host: str
    port: int
    user: str
    database: str
    ca_file: Path
    password: str

    def __repr__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class Store:
    """The provider's store of secrets. `ca_file`: None for the host's own authorities."""

    arn: str
    endpoint: str
    ca_file: Path | None
    metadata_url: str

    @property
    def region(self) -> str:
        """The region that the secret's address names."""
        parts = self.arn.split(":")
        if len(parts) < 7 or parts[0] != "arn" or parts[2] != "secretsmanager" or not parts[3]:
            raise Refused(
                f"{self.arn} is no secret: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME"
            )
        return parts[3]


def parse_url(url: str, ca_file: Path, password: str) -> Server:
    """The server that a URL names. Raises Refused."""
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    try:
        port = parts.port or 5432
    except ValueError:
        port = 0
    named = parts.scheme in ("postgresql", "postgres") and parts.hostname and parts.username
    if not named or not name or "/" in name or not port or parts.password is not None:
        raise Refused("the database's URL must be postgresql://USER@HOST:PORT/NAME")
    return Server(str(parts.hostname), port, unquote(str(parts.username)), name, ca_file, password)


def psql(server: Server, statements: str, names: Mapping[str, str] | None = None) -> Any:
    """Run statements; names are no secrets. The finished process."""
    words = [word for name, value in (names or {}).items() for word in ("-v", f"{name}={value}")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        # No client certificate and no password of whoever runs this.
        "HOME": "/nonexistent",
        "PGPASSFILE": "/dev/null",
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.user,
        "PGDATABASE": server.database,
        "PGPASSWORD": server.password,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(server.ca_file),
        "PGCONNECT_TIMEOUT": str(_SECONDS),
        "PGAPPNAME": "steelyard-setup",
    }
    return subprocess.run(  # noqa: S603 - our own arguments
        ["/usr/bin/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *words],
        # Terse: a statement's text, with the password's hash, is not repeated in a message.
        input=f"\\set VERBOSITY terse\nSET client_min_messages = warning;\n{statements}",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * _SECONDS,
    )


def is_there(server: Server) -> bool:
    """Whether the application comes in, owns its database, and nobody else may connect.

    Raises Refused where the server is not reached, or is not the one that its name says.
    """
    done = psql(server, _LOOK)
    if done.returncode == 0:
        return bool(done.stdout.strip() == "t")
    if _REFUSED_BY_SERVER in done.stderr:
        return False
    raise Refused(f"{server} cannot be reached: {_last(done.stderr)}")


def curl(options: Sequence[tuple[str, str]]) -> bytes:
    """What an address answers. Options go by standard input. Raises Refused."""
    lines = [f'{name} = "{_escaped(value)}"' for name, value in options]
    done = subprocess.run(
        ["/usr/bin/curl", "-q", "--config", "-"],
        input="\n".join(["silent", "show-error", "fail-with-body", *lines]).encode(),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    url = next(value for name, value in options if name == "url")
    why = _said(done.stdout) or _last(done.stderr.decode(errors="replace"))
    raise Refused(f"{url} did not answer: {why}")


def _escaped(value: str) -> str:
    if any(ord(one) < 32 for one in value):
        raise Refused("an answer of the provider has a control character in it")
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _said(body: bytes) -> str:
    """What the provider says of an error."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    kind = str(told.get("__type", "")).rpartition("#")[2]
    return f"{kind} {told.get('message') or told.get('Message') or ''}".strip()


def host_credentials(metadata_url: str) -> dict[str, str]:
    """The host's own credentials, from its metadata service (IMDSv2). Raises Refused."""
    common = [("max-time", str(_SECONDS)), ("noproxy", "*"), ("proto", "=http")]
    token = curl(
        [
            *common,
            ("request", "PUT"),
            ("header", "X-aws-ec2-metadata-token-ttl-seconds: 60"),
            ("url", f"{metadata_url}/latest/api/token"),
        ]
    ).decode()
    place = f"{metadata_url}/latest/meta-data/iam/security-credentials/"
    asking = [*common, ("header", f"X-aws-ec2-metadata-token: {token}")]
    role = curl([*asking, ("url", place)]).decode().strip().splitlines()
    if not role:
        raise Refused("this host has no instance profile: it may ask nothing of the provider")
    told = json.loads(curl([*asking, ("url", f"{place}{role[0]}")]))
    return {name: str(told[name]) for name in ("AccessKeyId", "SecretAccessKey", "Token")}


def master_of(server: Server, store: Store) -> Server:
    """The database's master, by the provider's secret. Raises Refused."""
    region = store.region
    own = host_credentials(store.metadata_url)
    endpoint = store.endpoint or f"https://secretsmanager.{region}.amazonaws.com"
    trusted = [("cacert", str(store.ca_file))] if store.ca_file else []
    answer = curl(
        [
            ("max-time", str(_SECONDS)),
            ("proto", "=https"),
            *trusted,
            ("aws-sigv4", f"aws:amz:{region}:secretsmanager"),
            ("user", f"{own['AccessKeyId']}:{own['SecretAccessKey']}"),
            ("header", f"X-Amz-Security-Token: {own['Token']}"),
            ("header", "X-Amz-Target: secretsmanager.GetSecretValue"),
            ("header", "Content-Type: application/x-amz-json-1.1"),
            ("data-raw", json.dumps({"SecretId": store.arn})),
            ("url", f"{endpoint}/"),
        ]
    )
    told = json.loads(json.loads(answer)["SecretString"])
    if told["username"] == server.user:
        raise Refused(
            f"{server} is the provider's own master, whose password changes: "
            "the application must have another user"
        )
    return replace(server, user=told["username"], password=told["password"], database="postgres")


def verifier_of(password: str) -> str:
    """A password as PostgreSQL keeps it (RFC 5803): the server never sees the password itself."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown = [
        base64.b64encode(one).decode() for one in (salt, hashlib.sha256(client).digest(), server)
    ]
    return f"SCRAM-SHA-256${_ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"


def make(server: Server, master: Server) -> None:
    """Make the role and the database what they must be. Safe to repeat. Raises Refused."""
    names = {"user": server.user, "database": server.database}
    found = _run(master, _STATE, names).splitlines()
    owner = next((one.removeprefix("owner ") for one in found if one.startswith("owner ")), None)
    if "powerful" in found:
        raise Refused(f"{server.user} has rights beyond its own database at {server.host}")
    if owner not in (None, server.user, master.user):
        raise Refused(f"the database {server.database} at {server.host} is {owner}'s")
    statements = [
        f"\\set verifier '{verifier_of(server.password)}'",
        _ALTER_ROLE if "role" in found else _CREATE_ROLE,
        _JOIN,
        _CREATE_DATABASE if owner is None else _GIVE_DATABASE if owner == master.user else "",
        _SHUT_OTHERS_OUT,
        _LEAVE,
    ]
    _run(master, "\n".join(statements), names)


def _run(server: Server, statements: str, names: Mapping[str, str]) -> str:
    done = psql(server, statements, names)
    if done.returncode != 0:
        raise Refused(f"{server} refused: {_last(done.stderr)}")
    return str(done.stdout)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def _password(path: Path) -> str:
    text = path.read_text("utf-8").strip()
    if len(text) < 16 or not text.isascii() or not text.isprintable():
        raise Refused(f"{path} must hold a password of at least 16 ASCII characters")
    return text


def settled(given: argparse.Namespace) -> str:
    """Look, and make what is missing: `there`, `missing` or `made`. Raises Refused."""
    server = parse_url(given.url, given.ca_file, _password(given.password_file))
    if is_there(server):
        return "there"
    if not given.secret_arn:
        raise Refused(
            f"{server} does not let the application in as the owner of its database, and no "
            "secret of a master is named: make both there, or give postgresql_remote_secret_arn"
        )
    if given.look:
        return "missing"
    ca_file = Path(given.endpoint_ca_file) if given.endpoint_ca_file else None
    store = Store(given.secret_arn, given.endpoint, ca_file, given.metadata_url)
    make(server, master_of(server, store))
    if not is_there(server):
        raise Refused(f"{server} is made, and does not come in with its password")
    return "made"


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="The application's role in a PostgreSQL elsewhere")
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca-file", required=True, type=Path)
    parser.add_argument("--password-file", required=True, type=Path)
    parser.add_argument("--secret-arn", default="")
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--endpoint-ca-file", default="")
    parser.add_argument("--metadata-url", default="http://169.254.169.254")
    parser.add_argument("--look", action="store_true")
    given = parser.parse_args(arguments)
    try:
        print(settled(given))
    except Refused as problem:
        print(problem, file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as problem:
        # The exception's own text might have a secret in it.
        what = problem.filename if isinstance(problem, OSError) else "an answer of the provider"
        print(f"{type(problem).__name__}: {what}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
