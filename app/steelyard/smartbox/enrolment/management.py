"""The management API as a SmartBox sees it: certificates and the revocation list."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from steelyard.json_text import read_json
from steelyard.pki.fresh import Papers
from steelyard.smartbox.errors import EnrolmentRefused, PlatformProblem
from steelyard.smartbox.uplink.answers import read_problem
from steelyard.smartbox.uplink.asking import failures_told, read_bounded
from steelyard.smartbox.uplink.platform import make_timeout

MAX_ANSWER_BYTES = 1024 * 1024
# Of one request. None of these waits for the ledger, and a device that is revoked is out within a
# minute: a list that does not come, another look (20 s) and two seconds make less than that.
ANSWER_SECONDS = 20.0
_REFUSALS = frozenset({400, 403, 404, 409, 413, 422})


@dataclass(frozen=True, slots=True)
class Certified:
    """An answer with a certificate: for which device, the papers, and a SmartBox's settings."""

    serial: str
    kind: str
    papers: Papers
    configuration: Mapping[str, Any] | None


class Management:
    """The routes under /v1/enrolment. Nothing here keeps a state but the list's ETag."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._session = session
        self._timeout = make_timeout(answer_seconds)
        self._url = f"{url}/v1/enrolment"
        self._etag = ""

    async def enrol(self, claim: str, request_pem: str, proof: bytes) -> Certified:
        """A fresh device's certificate. Raises EnrolmentRefused, PlatformProblem."""
        body = {"claim": claim, "request": request_pem, "proof": proof.hex()}
        return _certified(await self._post(self._url, body, {}))

    async def renew(self, token: str, request_pem: str) -> Certified:
        """A new certificate for the request's key. Raises EnrolmentRefused, PlatformProblem."""
        headers = {"Authorization": f"Bearer {token}"}
        body = {"request": request_pem}
        return _certified(await self._post(f"{self._url}/renewals", body, headers))

    async def revocations(self) -> bytes | None:
        """The revocation list in DER; None when it is the one that was given last.

        Raises EnrolmentRefused, PlatformProblem.
        """
        headers = {"If-None-Match": self._etag} if self._etag else {}
        status, answer, answered = await self._ask("GET", f"{self._url}/revocations", None, headers)
        if status == 304:
            return None
        _require_ok(status, answer)
        self._etag = answered.get("ETag", "")
        return answer

    def forget_revocations(self) -> None:
        """Get the list anew the next time: the last one was not taken."""
        self._etag = ""

    async def _post(self, url: str, body: Mapping[str, str], headers: dict[str, str]) -> bytes:
        status, answer, _ = await self._ask("POST", url, body, headers)
        _require_ok(status, answer)
        return answer

    async def _ask(
        self, method: str, url: str, body: Mapping[str, str] | None, headers: dict[str, str]
    ) -> tuple[int, bytes, Mapping[str, str]]:
        with failures_told(url):
            async with self._session.request(
                method,
                url,
                json=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                answer = await read_bounded(response, MAX_ANSWER_BYTES)
                return response.status, answer, response.headers


def _require_ok(status: int, answer: bytes) -> None:
    if status == 200:
        return
    problem = read_problem(answer, status)
    told = str(problem.get("detail") or problem.get("title", ""))[:300].rstrip(".")
    detail = f"the management API answers {status}: {told}"
    if status in _REFUSALS:
        hint = str(problem.get("hint", ""))[:300]
        raise EnrolmentRefused(f"{detail}. {hint}" if hint else detail)
    raise PlatformProblem(detail)


def _certified(answer: bytes) -> Certified:
    try:
        document = read_json(answer)
        given = document.get("configuration")
        configuration = None if given is None else dict(given)
        seal = bytes.fromhex(document.get("seal", ""))
        certificate, authority, revocations = (
            pem_to_der(document[name]) for name in ("certificate", "authority", "revocations")
        )
        papers = Papers(certificate, authority, revocations, seal)
        return Certified(str(document["serial"]), str(document["kind"]), papers, configuration)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlatformProblem("the management API's answer is not valid") from None


def pem_to_der(text: str) -> bytes:
    """What stands between the lines of a PEM text. Raises ValueError, TypeError."""
    lines = text.strip().splitlines()
    if len(lines) < 3 or not lines[0].startswith("-----BEGIN "):
        raise ValueError("not PEM")
    return base64.b64decode("".join(lines[1:-1]), validate=True)
