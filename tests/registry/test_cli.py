"""`steelyard management-api` as its operator sees it."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from registry_world import Secrets
from steelyard.store.settings import StoreSettings


@pytest.fixture
def config(secrets: Secrets, empty_store: StoreSettings, tmp_path: Path) -> Path:
    """A configuration file for a database with its tables."""
    ring = tmp_path / "ring.json"
    secrets.ring.write(ring)
    path = tmp_path / "steelyard.toml"
    sections = {
        "store": {"url": empty_store.url},
        "vault": {"key_ring_file": ring},
        "identity": {"signing_key_file": secrets.signing_key, "jwks_file": secrets.jwks},
        "management": {
            "port": 0,
            "port_file": tmp_path / "port",
            "certificate": secrets.certificate,
            "private_key": secrets.private_key,
        },
    }
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value, default=str)}" for name, value in values.items()]
    path.write_text("\n".join(lines))
    return path


@asynccontextmanager
async def command(config: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process; at the end it is gone."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from steelyard.cli import main; main()"),
        *("management-api", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_says_when_it_is_ready_and_ends_on_a_signal(
    config: Path, secrets: Secrets, tmp_path: Path
) -> None:
    """One line with the URL on standard output, JSON lines on standard error, exit status 0."""
    import ssl

    async with command(config) as process:
        ready = (await process.stdout.readline()).decode()
        url = ready.split()[-1]
        assert ready == f"steelyard management-api ready on {url}\n"
        assert url.endswith(":" + (tmp_path / "port").read_text().strip())
        context = ssl.create_default_context(cafile=str(secrets.authority))
        async with (
            ClientSession(connector=TCPConnector(ssl=context)) as session,
            session.get(f"{url}/readyz") as response,
        ):
            assert response.status == 200
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
        assert (process.returncode, out) == (0, b"")
        assert [json.loads(line)["route"] for line in err.splitlines()] == ["/readyz"]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("MANAGEMENT_PORT", "{taken}", "Address already in use"),
        ("MANAGEMENT_CERTIFICATE", "/none.pem", "/none.pem: cannot be read: No such file"),
        ("VAULT_KEY_RING_FILE", "/none.json", "/none.json cannot be read: No such file"),
        ("STORE_URL", "sqlite:///{directory}/new.db", "the database is at revision none"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    config: Path, tmp_path: Path, setting: str, value: str, said: str
) -> None:
    """Exit status 1, one line that names what is wrong, no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        filled = value.format(taken=taken.getsockname()[1], directory=tmp_path)
        async with command(config, **{f"STEELYARD_{setting}": filled}) as process:
            out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    (line,) = err.decode().splitlines()
    assert line.startswith("steelyard: ")
    assert said in line
