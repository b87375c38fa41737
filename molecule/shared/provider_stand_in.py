"""Stands in for a cloud's metadata service (IMDSv2) and its store of secrets, and is as strict.

    python provider_stand_in.py CONFIGURATION.json

The store answers only who signed the request by AWS Signature version 4 with the credentials that
the metadata service gave out, session token and every other x-amz header among what is signed. It
writes a line for each request to the file `log`, without a secret.
"""

import hashlib
import hmac
import json
import re
import secrets
import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

_ROLES = "/latest/meta-data/iam/security-credentials/"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/"
    r"(?P<service>[^/,]+)/aws4_request, ?SignedHeaders=(?P<signed>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_DIFFERENCE = timedelta(minutes=15)


@dataclass
class Provider:
    """What the provider knows: a role's credentials, and secrets by their addresses (ARN).

    `secrets`: what SecretString is. `allowed`: the addresses that the role may read.
    """

    region: str
    role: str
    secrets: dict[str, str]
    allowed: set[str]
    log: Path
    key_id: str = field(default_factory=lambda: "ASIA" + secrets.token_hex(8).upper())
    key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(60) + "/+==", repr=False)
    tokens: set[str] = field(default_factory=set, repr=False)

    def note(self, line: str) -> None:
        """A line of the log."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def signature_problem(
    provider: Provider, path: str, headers: Mapping[str, str], body: bytes
) -> str | None:
    """Why a POST is not the role's, by AWS Signature version 4; None when it is."""
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    match = _AUTHORIZATION.fullmatch(lower.get("authorization", ""))
    if match is None:
        return "the header Authorization is no signature"
    signed = match["signed"].split(";")
    must = {"host"} | {name for name in lower if name.startswith("x-amz-")}
    if signed != sorted(signed) or not must <= set(signed):
        return f"these must be signed, in order: {', '.join(sorted(must - set(signed)))}"
    who = (match["key"], match["region"], match["service"], lower.get("x-amz-security-token"))
    if who != (provider.key_id, provider.region, "secretsmanager", provider.session):
        return "another key, session, region or service"
    date = lower.get("x-amz-date", "")
    try:
        when = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "no date"
    if abs(datetime.now(UTC) - when) > _DIFFERENCE or not date.startswith(match["day"]):
        return "the date is another"
    split = urlsplit(path)
    canonical = "\n".join(
        [
            "POST",
            quote(split.path or "/", safe="/-_.~"),
            split.query,
            *(f"{name}:{lower.get(name, '')}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{match['day']}/{provider.region}/secretsmanager/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{provider.key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    right = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return None if hmac.compare_digest(right, match["signature"]) else "the signature is wrong"


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """The provider's own log has what is of interest."""

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class _Metadata(_Handler):
    """The metadata service: nothing without a token (IMDSv2)."""

    def do_PUT(self) -> None:
        if self.path != "/latest/api/token" or not self.headers.get(
            "X-aws-ec2-metadata-token-ttl-seconds"
        ):
            self._answer(400, "")
            return
        token = secrets.token_urlsafe(32)
        self.provider.tokens.add(token)
        self._answer(200, token)

    def do_GET(self) -> None:
        provider = self.provider
        if self.headers.get("X-aws-ec2-metadata-token") not in provider.tokens:
            self._answer(401, "")
        elif self.path == _ROLES:
            self._answer(200, provider.role)
        elif self.path == f"{_ROLES}{provider.role}":
            provider.note("credentials given")
            told = {
                "Code": "Success",
                "AccessKeyId": provider.key_id,
                "SecretAccessKey": provider.key,
                "Token": provider.session,
            }
            self._answer(200, json.dumps(told))
        else:
            self._answer(404, "")


class _Secrets(_Handler):
    """The store of secrets: one call."""

    def do_POST(self) -> None:
        provider = self.provider
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        problem = signature_problem(provider, self.path, dict(self.headers.items()), body)
        if problem is not None:
            self._refuse("InvalidSignatureException", problem)
            return
        if self.headers.get("X-Amz-Target") != "secretsmanager.GetSecretValue":
            self._refuse("UnknownOperationException", "")
            return
        arn = json.loads(body)["SecretId"]
        if arn not in provider.allowed:
            self._refuse("AccessDeniedException", f"not authorized to read {arn}")
            return
        provider.note(f"secret given: {arn}")
        self._answer(200, json.dumps({"ARN": arn, "SecretString": provider.secrets[arn]}))

    def _refuse(self, kind: str, message: str) -> None:
        self.provider.note(f"refused: {kind} {message}")
        self._answer(400, json.dumps({"__type": kind, "Message": message}))


def serving(
    provider: Provider, host: str, certificate: Path, key: Path, ports: tuple[int, int] = (0, 0)
) -> tuple[ThreadingHTTPServer, ThreadingHTTPServer]:
    """The metadata service and, by TLS, the store; both serve in threads until shut down."""
    servers = [
        ThreadingHTTPServer((host, port), type(kind.__name__, (kind,), {"provider": provider}))
        for kind, port in zip((_Metadata, _Secrets), ports, strict=True)
    ]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
    for one in servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    return servers[0], servers[1]


def main(arguments: list[str]) -> None:
    """Serve what a file says, until the end."""
    told = json.loads(Path(arguments[0]).read_text("utf-8"))
    provider = Provider(
        told["region"], told["role"], told["secrets"], set(told["allowed"]), Path(told["log"])
    )
    serving(
        provider,
        told["host"],
        Path(told["certificate"]),
        Path(told["key"]),
        (told["metadata_port"], told["secrets_port"]),
    )
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
