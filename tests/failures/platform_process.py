"""The platform's two APIs as an operator's processes, and what they say of themselves."""

import asyncio
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import tomli_w
from prometheus_client.parser import text_string_to_metric_families

from steelyard.pki.authority import Authority

STEELYARD = Path(sys.executable).with_name("steelyard")
LOOPBACK = "127.0.0.1"
ADMINISTRATOR = "administrator@platform.test"
WATCH_SECONDS = 0.5


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, held all at once so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass
class Readiness:
    """What /readyz answered; status 0 when nobody did."""

    status: int
    body: Any


class Platform:
    """One directory with the platform's configuration; the APIs run as processes of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        management, tickets = free_ports(2)
        self.management_url = f"https://{LOOPBACK}:{management}"
        self.tickets_url = f"https://{LOOPBACK}:{tickets}"
        authority = Authority.create(directory / "authority", "Test HTTPS")
        self.ca_file = authority.certificate_path
        issued = authority.issue_server("platform", [LOOPBACK], directory)
        keys = directory / "token-keys"
        keys.mkdir(mode=0o700)
        server = {
            "host": LOOPBACK,
            "certificate": str(issued.certificate_path),
            "private_key": str(issued.key_path),
            "rate_per_second": 10_000.0,
            "rate_burst": 10_000,
        }
        self._config = directory / "steelyard.toml"
        self._config.write_text(
            tomli_w.dumps(
                {
                    "management": {**server, "port": management},
                    "tickets": {**server, "port": tickets, "node_watch_seconds": WATCH_SECONDS},
                    "store": {"url": f"sqlite:///{directory / 'steelyard.db'}"},
                    "vault": {"key_ring_file": str(directory / "vault.json")},
                    "identity": {
                        "issuer": self.management_url,
                        "signing_key_file": str(keys / "signing-key.pem"),
                        "jwks_file": str(keys / "jwks.json"),
                    },
                }
            )
        )
        self._keys = keys
        self._password = secrets.token_urlsafe(18)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def prepare(self) -> None:
        """Make the vault, the keys, the database and the administrator."""
        password = self.directory / "administrator-password"
        password.touch(mode=0o600)
        password.write_text(self._password + "\n")
        for arguments in (
            ("vault", "init"),
            ("identity", "make-keys", "--directory", str(self._keys)),
            ("database", "upgrade"),
            (
                *("identity", "bootstrap-admin", "--login", ADMINISTRATOR),
                *("--password-file", str(password)),
            ),
        ):
            done = subprocess.run(
                [STEELYARD, *arguments],
                env=self._environment,
                check=False,
                capture_output=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr.decode()

    @property
    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STEELYARD_")}
        return {**kept, "STEELYARD_CONFIG": str(self._config)}

    def start(self, name: str) -> None:
        """Start `tickets-api` or `management-api`."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [STEELYARD, name], env=self._environment, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """End it by SIGKILL."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End what runs."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def tls(self) -> ssl.SSLContext:
        """What trusts the platform's authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    async def log_in(
        self, session: aiohttp.ClientSession, login: str = ADMINISTRATOR, password: str = ""
    ) -> str:
        """An access token of the administrator, or of another user."""
        secret = password or self._password
        form = {"grant_type": "password", "username": login, "password": secret}
        url = self.management_url + "/oauth2/token"
        async with session.post(url, data=form) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["access_token"]

    async def make(
        self, session: aiohttp.ClientSession, token: str, plural: str, **draft: Any
    ) -> dict[str, Any]:
        """Register an entity."""
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.management_url}/v1/{plural}"
        async with session.post(url, json=draft, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    async def readiness(self, session: aiohttp.ClientSession, base: str | None = None) -> Readiness:
        """What /readyz of the tickets API says."""
        try:
            async with session.get((base or self.tickets_url) + "/readyz") as answer:
                return Readiness(answer.status, await answer.json())
        except aiohttp.ClientError as error:
            return Readiness(0, type(error).__name__)

    async def wait_until_ready(self, session: aiohttp.ClientSession) -> None:
        """Until both APIs are."""
        for base in (self.management_url, self.tickets_url):
            async with asyncio.timeout(90):
                while (await self.readiness(session, base)).status != 200:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)

    async def metric(
        self, session: aiohttp.ClientSession, name: str, node: str | None = None
    ) -> float | None:
        """A sample of the tickets API's metrics."""
        async with session.get(self.tickets_url + "/metrics") as answer:
            text = await answer.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"steelyard_ledger_{name}" and (
                    node is None or sample.labels.get("node") == node
                ):
                    return sample.value
        return None
