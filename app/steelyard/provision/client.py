"""The management API as an administrator's program uses it."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from steelyard.errors import ConfigurationError
from steelyard.provision.errors import ProvisioningFailed

# A registration waits for its block; the API's own limit is 90 seconds unless it is set otherwise.
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10)
_AT_ONCE = 8
_PAGE = "200"
# Longer than the lease of a registration whose process died (deploy_seconds and a minute).
_PATIENCE_SECONDS = 240.0
_COME_BACK = {429, 409}
_MARGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LogIn:
    """A platform administrator."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


class Management:
    """Lists, makes, changes and deletes entities. Raises ProvisioningFailed with one sentence.

    It comes back when the API says when (Retry-After with 429, or with 409 for a registration that
    is under way), for four minutes at most.
    """

    def __init__(self, session: aiohttp.ClientSession, base: str, log_in: LogIn) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self._log_in = log_in
        self._token = ""
        self._renew_at = 0.0
        self._family: str | None = None
        self._one_logs_in = asyncio.Lock()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def entities(self, plural: str, **query: str) -> list[dict[str, Any]]:
        """A whole list, page after page."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            asked = {"limit": _PAGE, **query, **cursor}
            page = (await self._expect(200, "GET", f"/v1/{plural}", query=asked)).body
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    async def create(self, plural: str, draft: Mapping[str, Any]) -> dict[str, Any]:
        """Register an entity; what the API shows of it."""
        made: dict[str, Any] = (await self._expect(201, "POST", f"/v1/{plural}", body=draft)).body
        return made

    async def change(self, plural: str, entity_id: str, patch: Mapping[str, Any]) -> None:
        """Change an entity in its present version."""
        path = f"/v1/{plural}/{entity_id}"
        await self._expect(200, "PATCH", path, body=patch, headers=await self._match(path))

    async def delete(self, plural: str, entity_id: str) -> None:
        """Delete an entity in its present version."""
        path = f"/v1/{plural}/{entity_id}"
        await self._expect(204, "DELETE", path, headers=await self._match(path))

    async def new_credentials(self, station_id: str) -> dict[str, Any]:
        """Give a station a new secret; the old one ends at once."""
        path = f"/v1/stations/{station_id}/credentials"
        given: dict[str, Any] = (await self._expect(200, "POST", path)).body
        return given

    async def log_out(self) -> None:
        """End the log-in, as far as the API can be reached."""
        if self._family is not None:
            form = {"token": self._family}
            try:
                await self._ask("POST", "/oauth2/revoke", form=form)
            except ProvisioningFailed:
                return

    async def _match(self, path: str) -> dict[str, str]:
        return {"If-Match": (await self._expect(200, "GET", path)).headers["ETag"]}

    async def _expect(self, status: int, method: str, path: str, **arguments: Any) -> _Answer:
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            token = await self._access_token()
            headers = {"Authorization": f"Bearer {token}", **arguments.get("headers", {})}
            async with self._places:
                answer = await self._ask(method, path, **(arguments | {"headers": headers}))
            if answer.status == status:
                return answer
            pause = answer.headers.get("Retry-After", "")
            if answer.status not in _COME_BACK or not pause.isdecimal():
                break
            if time.monotonic() + int(pause) > until:
                break
            await asyncio.sleep(int(pause))
        raise ProvisioningFailed(f"{method} {path}: {_said(answer)}")

    async def _access_token(self) -> str:
        async with self._one_logs_in:
            if not self._token or time.monotonic() >= self._renew_at:
                form = {
                    "grant_type": "password",
                    "username": self._log_in.login,
                    "password": self._log_in.password,
                }
                answer = await self._ask("POST", "/oauth2/token", form=form)
                if answer.status != 200:
                    raise ProvisioningFailed(
                        f"{self._log_in.login} cannot log in at {self._base}: {_said(answer)}"
                    )
                self._token = answer.body["access_token"]
                self._family = answer.body.get("refresh_token")
                lifetime = float(answer.body["expires_in"])
                self._renew_at = time.monotonic() + lifetime - min(_MARGIN_SECONDS, lifetime / 2)
            return self._token

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        try:
            async with self._session.request(
                method,
                self._base + path,
                json=body,
                data=form,
                params=query,
                headers=headers,
                allow_redirects=False,
            ) as response:
                raw = await response.read()
                parsed = json.loads(raw) if raw else None
                return _Answer(response.status, parsed, response.headers)
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "") or "it is not trusted"
            raise ProvisioningFailed(f"{self._base}: the server's certificate: {reason}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProvisioningFailed(
                f"{self._base} does not answer {method} {path} ({type(error).__name__})"
            ) from None
        except ValueError:
            raise ProvisioningFailed(
                f"{self._base} does not answer {method} {path} in JSON: is it the management API?"
            ) from None


def _said(answer: _Answer) -> str:
    """What a problem says, with the fields that it names."""
    problem = answer.body if isinstance(answer.body, dict) else {}
    told = problem.get("detail") or problem.get("error_description") or problem.get("title")
    fields = [f"{one['field']} {one['message']}" for one in problem.get("errors", [])]
    return "; ".join([str(told or f"status {answer.status}").rstrip("."), *fields])


@asynccontextmanager
async def management(base: str, ca_file: Path, log_in: LogIn) -> AsyncIterator[Management]:
    """A client over TLS 1.3 that trusts only this authority; at the end it is logged out.

    Raises ConfigurationError for an authority that cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError:
        raise ConfigurationError(f"--ca-file: {ca_file} has no certificate in PEM") from None
    except OSError as error:
        raise ConfigurationError(f"--ca-file: {ca_file} cannot be read: {error.strerror}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
        client = Management(session, base, log_in)
        try:
            yield client
        finally:
            await client.log_out()
