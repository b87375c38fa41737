"""The third-party API of a Tessera privacy manager, as far as we need it."""

from base64 import b64decode, b64encode

import aiohttp

from steelyard.json_text import read_json
from steelyard.ledger.errors import PartyUnreachable, PrivacyManagerUnavailable
from steelyard.ledger.jsonrpc import OUTCOME_HEADER

DIGEST_LENGTH = 64  # bytes of the hash that stands in a private transaction for its payload


class Tessera:
    """One privacy manager; `name` is its node's, its URL is shown nowhere."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, name: str, request_timeout: float
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._name = name
        self._timeout = aiohttp.ClientTimeout(total=request_timeout)

    async def store_raw(self, payload: bytes, sender: str) -> bytes:
        """Store a payload encrypted for `sender` (base64 public key); 64 bytes name it.

        The payload reaches no other party yet. A name can be distributed once only: every signed
        transaction needs a fresh one. Storing again after a failure is harmless.
        """
        body = {"payload": b64encode(payload).decode(), "from": sender}
        status, answer = await self._post("/storeraw", body)
        if status == 404:
            raise PartyUnreachable(
                f"The privacy manager of {self._name} does not hold the key it was asked to use"
            )
        if status != 200:
            raise PrivacyManagerUnavailable(
                f"The privacy manager of {self._name} refused the payload with HTTP {status}"
            )
        try:
            digest = b64decode(read_json(answer)["key"], validate=True)
        except (ValueError, KeyError, TypeError):
            digest = b""
        if len(digest) != DIGEST_LENGTH:
            raise PrivacyManagerUnavailable(
                f"The privacy manager of {self._name} gave no name for the payload"
            )
        return digest

    async def is_up(self) -> bool:
        """Whether it says that it is up; never raises."""
        try:
            async with self._session.get(f"{self._url}/upcheck", timeout=self._timeout) as response:
                text = await response.text(errors="replace")
                return response.status == 200 and text.startswith("I'm up")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return False

    async def keys(self) -> tuple[str, ...]:
        """The public keys that it holds, base64; none if it does not tell. Never raises.

        Before Tessera 0.10.2 there is no such call.
        """
        try:
            async with self._session.get(f"{self._url}/keys", timeout=self._timeout) as response:
                keys = read_json(await response.read())["keys"]
                return tuple(str(one["key"]) for one in keys)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError):
            return ()

    async def _post(self, path: str, body: dict[str, str]) -> tuple[int, bytes]:
        try:
            async with self._session.post(
                self._url + path, json=body, timeout=self._timeout
            ) as response:
                if OUTCOME_HEADER not in response.headers:
                    return response.status, await response.read()
                # The gateway's own answer: its 404 says nothing about a key.
                reason = f"cannot be reached: its gateway answers HTTP {response.status}"
        except TimeoutError:
            reason = "did not answer in time"
        except (aiohttp.ClientError, OSError, ValueError):
            reason = "cannot be reached"
        raise PrivacyManagerUnavailable(f"The privacy manager of {self._name} {reason}")
