"""A claim code from the management API, for the SmartBox that a card is for.

Asked for last, when the image is on the card: a code does not live long.
"""

import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from infra.flash.errors import FlashRefused
from steelyard.json_text import read_json
from steelyard.station.card import Card

TIMEOUT_SECONDS = 60
_MAX_ANSWER_BYTES = 1024 * 1024
# What reading somebody else's answer may raise: it is no HTTP, or no JSON.
_STRANGE = (http.client.HTTPException, ValueError)


class Platform:
    """The management API as an administrator sees it."""

    def __init__(self, url: str, ca_file: Path, token: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cafile=ca_file)
        self._url = url
        self._token = token
        handler = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(handler, _NoRedirect())

    def new_claim(self, device: str) -> str:
        """A claim code; earlier ones of the device are void. Raises FlashRefused."""
        answer = self._ask("POST", f"/v1/devices/{urllib.parse.quote(device, safe='')}/claim")
        return self._text(answer, "code")

    def smartbox_of(self, station: str, serial: str | None) -> str:
        """The id of a station's SmartBox. Raises FlashRefused unless there is exactly one."""
        stations = self._items("stations", {"name": station})
        if len(stations) != 1:
            raise FlashRefused(
                f"{station}: the platform knows {len(stations)} stations of this name, and not "
                "one: register it first, or name its SmartBox's id, device_id"
            )
        words = {
            "station_id": self._text(stations[0], "id"),
            "kind": "smartbox",
            "status": "active",
        }
        found = self._items("devices", words | ({"serial": serial} if serial else {}))
        if len(found) != 1:
            raise FlashRefused(
                f"{station}: the platform knows {len(found)} SmartBoxes there"
                f"{f' with the serial {serial}' if serial else ''}, and not one: register it, or "
                "name its id, device_id"
            )
        return self._text(found[0], "id")

    def _items(self, kind: str, query: dict[str, str]) -> list[Any]:
        items = self._ask("GET", f"/v1/{kind}?{urllib.parse.urlencode(query)}").get("items")
        if not isinstance(items, list):
            raise self._strange()
        return items

    def _text(self, answer: Any, name: str) -> str:
        found = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(found, str):
            raise self._strange()
        return found

    def _strange(self) -> FlashRefused:
        return FlashRefused(f"{self._url} does not answer as a management API does")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the card's URL is https
            self._url + path, method=method, headers={"Authorization": f"Bearer {self._token}"}
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                answer = read_json(response.read(_MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise FlashRefused(f"{self._url} answers {error.code}: {_told(error)}") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise FlashRefused(f"{self._url} cannot be reached: {reason}") from None
        except _STRANGE:
            answer = None
        if not isinstance(answer, dict):
            raise self._strange()
        return answer


def fetch_claim(card: Card, platform: Platform, device: str | None) -> str:
    """A new claim code for a card, whose SmartBox has this id. Raises FlashRefused."""
    return platform.new_claim(device or platform.smartbox_of(card.station, card.serial))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection would carry the token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """None is followed."""


def _told(error: urllib.error.HTTPError) -> str:
    try:
        problem = read_json(error.read(_MAX_ANSWER_BYTES))
        return str(problem.get("detail") or problem["title"])[:300]
    except (*_STRANGE, KeyError, AttributeError, OSError):
        return str(error.reason)
