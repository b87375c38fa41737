"""The server: TLS 1.3, certificates that are renewed, its start and its end."""

import asyncio
import io
import os
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from registry_world import write_certificate
from steelyard.errors import ConfigurationError
from steelyard.web.application import build_application
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.logs import configure_logging
from steelyard.web.openapi import ApiInfo
from steelyard.web.server import running, serve
from steelyard.web.settings import ServerSection
from steelyard.web.tls import ServerCertificate


class Settings(ServerSection):
    section = "test"


def settings(certificate: tuple[Path, Path, Path], **changes: Any) -> Settings:
    values = {"port": 0, "certificate": certificate[1], "private_key": certificate[2]}
    return Settings(**(values | changes))


def application(*endpoints: Endpoint):
    return build_application(ApiInfo("Things", "1", "For tests."), endpoints)


async def status(url: str, authority: Path, path: str = "/healthz") -> int:
    context = ssl.create_default_context(cafile=str(authority))
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url + path) as response,
    ):
        return response.status


async def test_it_serves_over_tls_1_3(certificate) -> None:
    """A client that trusts the authority speaks TLS 1.3; one that wants less is refused."""
    async with running(application(), settings(certificate)) as url:
        assert await status(url, certificate[0]) == 200
        port = int(url.rpartition(":")[2])
        for version, works in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)):
            context = ssl.create_default_context(cafile=str(certificate[0]))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.maximum_version = version
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            except (ssl.SSLError, ConnectionError):
                assert not works
                continue
            assert works
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.close()


async def test_the_chosen_port_is_written(certificate, tmp_path: Path) -> None:
    """With port 0 the file gets the port once it accepts connections."""
    port_file = tmp_path / "port"
    async with running(application(), settings(certificate, port_file=port_file)) as url:
        assert url.endswith(":" + port_file.read_text().strip())
    assert not (tmp_path / "port.partial").exists()


async def test_a_port_in_use_is_one_clear_sentence(certificate) -> None:
    """The settings' names, the address and the reason."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as raised:
            async with running(application(), settings(certificate, port=port)):
                pass
    assert str(raised.value) == (
        f"test.host, test.port: cannot listen on 127.0.0.1 port {port}: Address already in use"
    )


async def test_a_host_that_is_not_ours(certificate) -> None:
    """An address of another machine and a name that is none are told as such."""
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(ConfigurationError, match=f"cannot listen on {host} port 0: "):
            async with running(application(), settings(certificate, host=host)):
                pass


async def test_files_that_are_no_certificate(certificate, tmp_path: Path) -> None:
    """Missing, unreadable, swapped and foreign files: the file's name and what is wrong."""
    _, chain, key = certificate
    other = write_certificate(tmp_path, "other")
    garbage = tmp_path / "garbage"
    garbage.write_text("garbage")
    for file in (garbage, chain):
        file.chmod(0o600)
    for files, said in (
        ((tmp_path / "none", key), "none: cannot be read: No such file"),
        ((chain, tmp_path / "none"), "none: cannot be read: No such file"),
        ((garbage, key), "are not a certificate and its unencrypted key"),
        ((chain, garbage), "are not a certificate and its unencrypted key"),
        ((key, chain), "are not a certificate and its unencrypted key"),
        ((chain, other[2]), "are not a certificate and its unencrypted key"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            ServerCertificate(*files)


async def test_a_key_that_others_can_read_is_refused(certificate, tmp_path: Path) -> None:
    """At the start, and as a renewed one until its mode is mended."""
    _, chain, key = certificate
    key.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"server\.key must .* it has mode 0644"):
        ServerCertificate(chain, key)
    key.chmod(0o600)
    served = ServerCertificate(chain, key)
    _, new_chain, new_key = write_certificate(tmp_path, "new")
    new_key.chmod(0o644)
    new_chain.replace(chain)
    new_key.replace(key)
    with structlog.testing.capture_logs() as logs:
        assert not served.reload_if_changed()
    assert "it has mode 0644" in logs[0]["reason"]
    key.chmod(0o600)
    assert served.reload_if_changed()


async def test_a_renewed_certificate_is_taken(certificate, tmp_path: Path) -> None:
    """New files serve new connections without a restart; bad files leave the old ones in use."""
    old_authority, chain, key = certificate
    other_directory = tmp_path / "other"
    other_directory.mkdir()
    new_authority, new_chain, new_key = write_certificate(other_directory, "new")
    app = application()
    async with running(app, settings(certificate), reload_seconds=0.02) as url:
        assert await status(url, old_authority) == 200
        new_key.replace(key)
        await asyncio.sleep(0.1)  # several looks at a pair that does not fit
        assert await status(url, old_authority) == 200
        new_chain.replace(chain)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await status(url, new_authority) == 200
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.02)
        with pytest.raises(aiohttp.ClientConnectorError):
            await status(url, old_authority)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /?secret HTTP/1.1\r\nAuthorization: Bearer hunter2\r\nbad header: x\r\n\r\n",
        b"hunter2 / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"hunter2" * 10_000 + b"\r\n\r\n",
        b"GET /hunter2 HTTP/9.9\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_not_logged(certificate, request_: bytes) -> None:
    """400, and the log has a line that holds nothing of what was sent."""
    stream = io.StringIO()
    configure_logging("debug", stream)
    try:
        async with running(application(), settings(certificate)) as url:
            port = int(url.rpartition(":")[2])
            context = ssl.create_default_context(cafile=str(certificate[0]))
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(request_)
            answer = await reader.read()
            writer.close()
    finally:
        structlog.reset_defaults()
    assert b" 400 Bad Request" in answer
    assert "request that is no HTTP" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


async def test_a_silent_connection_is_closed(certificate) -> None:
    """Half a head is not waited for; a connection that has spoken is left alone."""
    async with running(application(), settings(certificate, read_seconds=0.2)) as url:
        port = int(url.rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(certificate[0]))
        spoken, silent, half = [
            await asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(3)
        ]
        for _ in range(2):
            spoken[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await spoken[0].readuntil(b"}")).startswith(b"HTTP/1.1 200")
            half[1].write(b"GET /healthz HTTP/1.1\r\n")
            async with asyncio.timeout(10):
                assert await half[0].read() == b""
                assert await silent[0].read() == b""
        for _, writer in (spoken, silent, half):
            writer.close()


class Gate:
    """A request that has begun and waits to be let go."""

    def __init__(self) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()

    def endpoint(self) -> Endpoint:
        return Endpoint(
            method="GET",
            path="/gate",
            handler=self._wait,
            operation_id="gate",
            summary="Wait",
            public=True,
            responses={200: Response("Passed.")},
        )

    async def _wait(self, call: Call[None, Any]) -> Reply:
        self.entered.set()
        await self.open.wait()
        return Reply({"passed": True})


async def test_an_open_request_is_finished_at_the_end(certificate) -> None:
    """On shutdown nothing new is accepted, and what has begun is answered."""
    gate = Gate()
    server = running(application(gate.endpoint()), settings(certificate))
    url = await server.__aenter__()
    request = asyncio.create_task(status(url, certificate[0], "/gate"))
    await gate.entered.wait()
    stopping = asyncio.create_task(server.__aexit__(None, None, None))
    async with asyncio.timeout(10):
        while True:
            try:
                await status(url, certificate[0])
                await asyncio.sleep(0.01)
            except aiohttp.ClientConnectorError:
                break
    assert not request.done()
    gate.open.set()
    assert await request == 200
    await stopping


async def test_a_request_that_does_not_end_is_given_up(certificate) -> None:
    """After `shutdown_seconds` the server goes all the same."""
    gate = Gate()
    server = running(application(gate.endpoint()), settings(certificate, shutdown_seconds=0.1))
    url = await server.__aenter__()
    request = asyncio.create_task(status(url, certificate[0], "/gate"))
    await gate.entered.wait()
    async with asyncio.timeout(10):
        await server.__aexit__(None, None, None)
    with pytest.raises(aiohttp.ClientError):
        await request


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(certificate, capsys, number: signal.Signals) -> None:
    """`serve` prints one line with its URL and ends on a signal."""
    task = asyncio.create_task(serve(application(), settings(certificate), "things"))
    printed = ""
    async with asyncio.timeout(10):
        while not printed.endswith("\n"):
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().out
        assert printed.startswith("steelyard things ready on https://127.0.0.1:")
        url = printed.split()[-1]
        assert await status(url, certificate[0]) == 200
        os.kill(os.getpid(), number)
        await task
    with pytest.raises(aiohttp.ClientConnectorError):
        await status(url, certificate[0])
