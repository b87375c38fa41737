"""Only the display's own pages reach it, under its own names."""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from display_kit import Front
from smartbox_kit import Stage

from steelyard.errors import ConfigurationError
from steelyard.smartbox.display.guard import HEADERS
from steelyard.smartbox.display.guesses import MOST, MOST_ADDRESSES, WINDOW_SECONDS, Guesses

Start = Callable[..., Awaitable[Front]]
PASSWORD = "a-good-long-password"


async def test_a_read_from_elsewhere_is_refused(front: Start) -> None:
    """A rebound name, another port's page, another site's image: 403, with one sentence."""
    one = await front()
    own = f"127.0.0.1:{one.port}"
    for headers, status in (
        ({"Host": own}, 200),
        ({"Host": f"localhost:{one.port}"}, 200),
        ({"Host": f"[::1]:{one.port}"}, 200),
        ({"Host": f"LOCALHOST:{one.port}"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": f"127.0.0.1.evil.example:{one.port}"}, 403),
        ({"Host": f"evil@{own}"}, 403),
        ({"Host": own, "Origin": f"http://{own}"}, 200),
        ({"Host": own, "Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": own, "Origin": f"https://{own}"}, 403),
        ({"Host": own, "Origin": "null"}, 403),
        ({"Host": own, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": own, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Host": own, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Host": own, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": own, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
    ):
        got, body = await one.get("/display/", **headers)
        assert got == status, (headers, body)


async def test_no_page_of_elsewhere_presses_a_button(front: Start) -> None:
    """Not by a form, a script, a link or a rebound name; nothing changes at the scale."""
    one = await front()
    await one.stand(1.5)
    own = f"127.0.0.1:{one.port}"
    json_type = {"Content-Type": "application/json"}
    url = f"{one.url}/weighbridges/wb-1/tare"
    for headers, status in (
        ({"Host": "evil.example", **json_type}, 403),
        ({"Origin": "https://evil.example", **json_type}, 403),
        ({"Origin": "null", **json_type}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", **json_type}, 403),
        ({"Sec-Fetch-Site": "same-site", **json_type}, 403),
        ({"Origin": f"http://{own}", "Content-Type": "text/plain"}, 422),
        ({"Origin": f"http://{own}", "Content-Type": "application/x-www-form-urlencoded"}, 422),
    ):
        async with one.session.post(url, data=b'{"grams": 20000}', headers=headers) as answer:
            assert answer.status == status, headers
        assert one.live.bridge("wb-1").tare.grams == 0
    headers = {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin", **json_type}
    async with one.session.post(url, data=b'{"grams": 20000}', headers=headers) as answer:
        assert answer.status == 200
    assert one.live.bridge("wb-1").tare.grams == 20_000


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[" * 2000, "the body must be JSON"),
        (b"\xff\xfe", "the body must be JSON"),
        (b"[]", "the body must be a JSON object"),
        (b'{"x": "' + b"y" * 5000 + b'"}', "the body must be at most 4096 bytes"),
        (b'{"grams": 1e400}', "grams: must be an integer"),
        (b'{"grams": true}', "grams: must be an integer"),
        (b'{"load": "1"}', "load: must be an integer"),
        (b'{"kilograms": 1}', "the body of tare may have: grams, load"),
    ],
)
async def test_a_body_that_is_no_wish_gets_one_sentence(
    front: Start, body: bytes, sentence: str
) -> None:
    """Of what is allowed."""
    one = await front()
    url = f"{one.url}/weighbridges/wb-1/tare"
    headers = {"Content-Type": "application/json"}
    async with one.session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 422
        assert (await answer.json(content_type=None))["detail"].startswith(sentence)


async def test_every_answer_carries_the_policy(front: Start) -> None:
    """Pages, files, the stream, refusals and what is not there."""
    one = await front()
    for path in ("/display/", "/display/files/main.js", "/display/events", "/nowhere", "/display"):
        async with one.session.get(one.url + path, allow_redirects=False) as answer:
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (path, name)
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


async def test_only_the_display_s_own_files_are_served(front: Start) -> None:
    """No path leads out of the room; what is known already is not sent again."""
    one = await front()
    for path in ("/display/files/../views.py", "/display/files/..%2fviews.py", "/display/files/"):
        assert (await one.get(path))[0] == 404
    async with one.session.get(one.url + "/display/files/de.json") as answer:
        tag = answer.headers["ETag"]
    assert await one.get("/display/files/de.json", **{"If-None-Match": tag}) == (304, b"")


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"operator:{password}".encode()).decode()


class Remote:
    """A front that is open for other machines, and a client of it."""

    def __init__(self, front: Front, stage: Stage) -> None:
        assert front.remote is not None
        self.url = front.remote.removesuffix("/display/")
        context = ssl.create_default_context(cafile=str(stage.https.certificate_path))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context = context

    async def get(self, path: str, password: str | None = None, **headers: str) -> int:
        if password is not None:
            headers["Authorization"] = basic(password)
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, headers=headers, ssl=self.context) as answer,
        ):
            self.headers = answer.headers
            return answer.status

    async def post(self, path: str) -> int:
        headers = {"Authorization": basic(PASSWORD)}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(self.url + path, json={}, ssl=self.context) as answer,
        ):
            return answer.status


def opened(stage: Stage, directory: Path, **changes: Any) -> dict[str, Any]:
    path = directory / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return {
        "display_host": "127.0.0.1",
        "display_port": 0,
        "display_names": ["localhost"],
        "display_password_file": path,
        "display_certificate_file": stage.server.certificate_path,
        "display_key_file": stage.server.key_path,
        **changes,
    }


async def test_another_machine_needs_tls_the_name_and_the_password(
    front: Start, stage: Stage, tmp_path: Path
) -> None:
    """Then it sees the display, but presses nothing, and has no status page."""
    one = await front(**opened(stage, tmp_path))
    remote = Remote(one, stage)
    assert await remote.get("/display/") == 401
    assert "Basic" in remote.headers["WWW-Authenticate"]
    assert await remote.get("/display/", "wrong") == 401
    assert await remote.get("/display/", PASSWORD) == 200
    assert await remote.get("/display/", PASSWORD, Host="127.0.0.1") == 403
    assert await remote.get("/", PASSWORD) == 404
    assert await remote.post("/weighbridges/wb-1/clear-tare") == 404
    assert (await one.told("station"))["commands"] is True
    with pytest.raises(aiohttp.ClientError):
        async with one.session.get(remote.url.replace("https", "http") + "/display/"):
            pass


async def test_its_buttons_work_where_the_settings_say_so(
    front: Start, stage: Stage, tmp_path: Path
) -> None:
    """`display_commands`."""
    one = await front(**opened(stage, tmp_path, display_commands=True))
    assert await Remote(one, stage).post("/weighbridges/wb-1/clear-tare") == 200


async def test_who_guesses_is_stopped(front: Start, stage: Stage, tmp_path: Path) -> None:
    """After MOST wrong passwords even the right one waits; to ask without one is no guess."""
    one = await front(**opened(stage, tmp_path))
    remote = Remote(one, stage)
    for _ in range(MOST + 1):
        assert await remote.get("/display/") == 401
    got = await asyncio.gather(*(remote.get("/display/", "x") for _ in range(MOST)))
    assert set(got) == {401}
    assert await remote.get("/display/", PASSWORD) == 429
    assert int(remote.headers["Retry-After"]) <= WINDOW_SECONDS + 1


def test_guesses_are_forgotten() -> None:
    """After the window; and no crowd of addresses fills the memory."""
    now = 0.0
    guesses = Guesses(lambda: now)
    for _ in range(MOST):
        assert guesses.wait("a") == 0
        guesses.note("a")
    assert guesses.wait("a") == WINDOW_SECONDS
    assert guesses.wait("b") == 0
    now = WINDOW_SECONDS
    assert guesses.wait("a") == 0
    for number in range(MOST_ADDRESSES + 10):
        guesses.note(str(number))
    assert len(guesses._wrong) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"display_names": []}, "display_names: must name the SmartBox"),
        ({"display_password_file": None}, "display_password_file: must be set"),
        ({"display_key_file": None}, "must be set together"),
        ({"display_names": ["http://x"]}, "must be a host's name"),
        ({"display_time_zone": "Mars/Base"}, "must be a time zone"),
    ],
)
def test_an_open_display_without_its_locks_is_refused(
    stage: Stage, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    """With the setting's name."""
    with pytest.raises(ValueError, match=sentence):
        stage.load(tmp_path, "https://localhost", **opened(stage, tmp_path, **changes))


async def test_a_short_password_and_a_foreign_key_are_refused(stage: Stage, tmp_path: Path) -> None:
    """At the start, in one sentence."""
    for changes, sentence in (
        ({}, "smartbox.display_password_file: must have at least 12 characters"),
        ({"display_key_file": stage.smartbox.key_path}, "and its private key in PEM"),
    ):
        values = opened(stage, tmp_path, **changes)
        if not changes:
            values["display_password_file"].write_text("short")
        one = Front(stage, tmp_path / "data", **values)
        with pytest.raises(ConfigurationError, match=sentence):
            await one.start()
        one.remote = None
        one.session = aiohttp.ClientSession()
        await one.close()
