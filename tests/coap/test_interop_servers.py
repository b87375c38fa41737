"""Our load cell's end speaks with servers that we did not write, and refuses them like our own."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiocoap import CONTENT, CREATED, GET, PUT, Message
from coap_harness import Bench, sample_request, until

from steelyard.coap.client import ChannelLost

SERVERS = ("coap-server-openssl", "coap-server-gnutls")


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: libcoap3-bin, openssl)")


def free_port() -> int:
    """A UDP port whose successor is free, too: libcoap speaks DTLS on that one."""
    for _ in range(100):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as next_one,
        ):
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with suppress(OSError, OverflowError):
                next_one.bind(("127.0.0.1", port + 1))
                return port
    raise AssertionError("no two ports side by side")


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[bytearray]:
    """A server process, and all that it prints."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = bytearray()

    async def read() -> None:
        assert process.stdout is not None
        while part := await process.stdout.read(4096):
            said.extend(part)

    reading = asyncio.create_task(read())
    try:
        yield said
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def libcoap(name: str, bench: Bench, port: int, own: str = "SB-1") -> list[str]:
    """A libcoap server with the SmartBox's certificate."""
    files = bench.pki.credentials(own)
    return [
        *(name, "-A", "127.0.0.1", "-p", str(port), "-c", str(files.certificate)),
        *("-j", str(files.private_key), "-R", str(files.authority)),
    ]


@pytest.mark.parametrize("name", SERVERS)
async def test_libcoap_serves_our_client(bench: Bench, name: str) -> None:
    """Both certificates are checked; a request with and one without a payload are answered."""
    need(name)
    port = free_port()
    async with program(*libcoap(name, bench, port)):
        client = await bench.client()
        root = f"coaps://127.0.0.1:{port + 1}"
        read = await client.request(Message(code=GET, uri=f"{root}/time")).response
        assert read.code is CONTENT
        assert read.payload
        put = Message(code=PUT, uri=f"{root}/example_data", payload=b"20000")
        assert (await client.request(put).response).code is CREATED
        again = await client.request(Message(code=GET, uri=f"{root}/example_data")).response
        assert again.payload == b"20000"
        assert client.counters.handshakes_ok == 1


@pytest.mark.parametrize("name", SERVERS)
async def test_a_libcoap_server_with_a_cells_certificate_is_refused(
    bench: Bench, name: str
) -> None:
    """A load cell cannot pass for the SmartBox, whatever program it runs."""
    need(name)
    port = free_port()
    async with program(*libcoap(name, bench, port, own="LC-2")):
        client = await bench.client()
        with pytest.raises(ChannelLost):
            await client.request(
                Message(code=GET, uri=f"coaps://127.0.0.1:{port + 1}/time")
            ).response
        assert client.counters.handshakes_ok == 0


async def test_openssl_serves_our_client(bench: Bench) -> None:
    """s_server verifies the cell's chain and sees its request: the handshake is OpenSSL's own."""
    need("openssl")
    port = free_port()
    box = bench.pki.credentials("SB-1")
    options = (
        *("openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-listen"),
        *("-Verify", "1", "-verify_return_error", "-CAfile", str(box.authority)),
        *("-cert", str(box.certificate), "-key", str(box.private_key)),
    )
    async with program(*options) as said:
        await until(lambda: b"ACCEPT" in said, "s_server listens")
        client = await bench.client()
        request = client.request(sample_request(("127.0.0.1", port)))
        await until(lambda: client.counters.handshakes_ok == 1, "a handshake")
        # It speaks no CoAP: what it prints is the request as it came out of the record.
        await until(lambda: b"samples" in said, "the request")
        assert b"CN = LC-1" in said or b"CN=LC-1" in said
        request.response.cancel()
