"""Lost datagrams, killed servers: the client gets through in the end."""

import asyncio
import sys
from pathlib import Path

import pytest
from aiocoap import CHANGED
from aiocoap.error import LibraryShutdown, NetworkError
from coap_harness import Bench, sample_request, until

from steelyard.coap.client import ClientTimes
from steelyard.coap.server import ServerLimits


@pytest.mark.slow
async def test_first_requests_survive_heavy_loss(bench: Bench) -> None:
    """At 20 % loss each way, ten cells' first requests, handshake included, all succeed."""
    server = await bench.server(limits=ServerLimits(max_sessions_per_certificate=100))
    requests = []
    for seed in range(10):
        proxy = await bench.proxy(server, loss=0.2, seed=seed)
        client = await bench.client()
        requests.append((proxy, client.request(sample_request(proxy.address)).response))
    answers = await asyncio.gather(*(response for _, response in requests))
    assert {answer.code for answer in answers} == {CHANGED}
    assert sum(proxy.lost for proxy, _ in requests) > 5


class Process:
    """The server of server_process.py."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.address = ("127.0.0.1", port)

    @classmethod
    async def start(cls, pki: Path, port: int = 0) -> "Process":
        script = Path(__file__).parent / "server_process.py"
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, str(port), str(pki), stdout=asyncio.subprocess.PIPE
        )
        return cls(process, int(await process.stdout.readline()))

    async def kill(self) -> None:
        """SIGKILL: no good-bye is said."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def processes(bench: Bench):
    started: list[Process] = []

    async def start(port: int = 0) -> Process:
        started.append(await Process.start(bench.pki.directory, port))
        return started[-1]

    yield start
    for process in started:
        await process.kill()


@pytest.mark.slow
async def test_client_recovers_from_a_killed_server(bench: Bench, processes) -> None:
    """After SIGKILL and restart the server keeps silent; the request finds its way all the same."""
    server = await processes()
    client = await bench.client(times=ClientTimes(silence=0.5))
    assert (await client.request(sample_request(server.address)).response).code == CHANGED
    await server.kill()
    again = await processes(server.address[1])
    assert again.address == server.address
    assert (await client.request(sample_request(server.address)).response).code == CHANGED
    assert client.counters.reconnects == 1
    assert client.counters.handshakes_ok == 2


@pytest.mark.slow
async def test_request_outlasts_an_absent_server(bench: Bench, processes) -> None:
    """A request that was made while the server was down is answered once it is back."""
    server = await processes()
    client = await bench.client(times=ClientTimes(silence=0.5))
    await client.request(sample_request(server.address)).response
    await server.kill()
    waiting = asyncio.ensure_future(client.request(sample_request(server.address)).response)
    await until(lambda: client.counters.reconnects >= 2, "handshakes in vain")
    assert not waiting.done()
    await processes(server.address[1])
    assert (await waiting).code == CHANGED


async def test_silence_ends_when_nobody_waits(bench: Bench, monkeypatch) -> None:
    """A client whose requests were given up does not knock for ever."""
    monkeypatch.setattr("steelyard.coap.link._FORGET_SECONDS", 0.2)
    server = await bench.server()
    proxy = await bench.proxy(server)
    client = await bench.client(times=ClientTimes(silence=0.1, handshake=0.1))
    await client.request(sample_request(proxy.address)).response
    proxy.filter = lambda *_: False
    request = client.request(sample_request(proxy.address))
    await until(lambda: client.counters.reconnects >= 1, "a try")
    request.response.cancel()
    link = next(iter(client._links.values()))
    await until(lambda: link._session is None and link._timer is None, "rest")


async def test_acknowledgements_do_not_wake_the_silence_timer(bench: Bench) -> None:
    """After an answered request nothing waits, so a quiet client keeps its session."""
    server = await bench.server()
    client = await bench.client(times=ClientTimes(silence=0.05))
    await client.request(sample_request(server)).response
    link = next(iter(client._links.values()))
    assert link._timer is None
    await asyncio.sleep(0.2)
    await client.request(sample_request(server)).response
    assert client.counters.handshakes_ok == 1


async def test_lost_final_flight(bench: Bench) -> None:
    """When the server's Finished is lost, the client's retransmission brings it again."""
    server = await bench.server()
    proxy = await bench.proxy(server)
    dropped: list[bytes] = []

    def lose_first_finished(origin: str, data: bytes) -> bool:
        if origin == "server" and data[0] == 20 and not dropped:
            dropped.append(data)
            return False
        return True

    proxy.filter = lose_first_finished
    client = await bench.client()
    assert (await client.request(sample_request(proxy.address)).response).code == CHANGED
    assert dropped
    assert server.counters.handshakes_ok == 1


async def test_lost_server_flight(bench: Bench) -> None:
    """When the server's first flight is lost, the same handshake goes on: none is begun anew."""
    server = await bench.server()
    proxy = await bench.proxy(server)
    dropped: list[bytes] = []

    def lose_certificates(origin: str, data: bytes) -> bool:
        if origin == "server" and data[13] == 2 and not dropped:
            dropped.append(data)
            return False
        return True

    proxy.filter = lose_certificates
    client = await bench.client()
    assert (await client.request(sample_request(proxy.address)).response).code == CHANGED
    assert dropped
    assert server.counters.handshakes_ok == 1
    assert server.counters.handshakes_refused == {}
    assert server.counters.sessions_ended == {}


async def test_shutdown_ends_waiting_requests(bench: Bench) -> None:
    """A client that is shut down does not leave its callers waiting."""
    server = await bench.server()
    proxy = await bench.proxy(server)
    proxy.filter = lambda *_: False
    client = await bench.client()
    waiting = asyncio.ensure_future(client.request(sample_request(proxy.address)).response)
    await until(lambda: client.counters.datagrams_out > 0, "the hello is out")
    await client.shutdown()
    with pytest.raises(LibraryShutdown):
        await waiting


async def test_second_address_of_a_host(bench: Bench, monkeypatch) -> None:
    """A host with an address where nobody answers is found at its next one."""
    server = await bench.server()
    loop = asyncio.get_running_loop()
    genuine = loop.getaddrinfo

    async def two_addresses(host: str, port: int, **options: object) -> list:
        found = await genuine("127.0.0.1" if host == "box.test" else host, port, **options)
        if host != "box.test":
            return found
        family, kind, protocol, name, _ = found[0]
        return [(family, kind, protocol, name, (one, port)) for one in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
    client = await bench.client(times=ClientTimes(silence=0.2))
    request = sample_request(("box.test", server.address[1]))
    assert (await client.request(request).response).code == CHANGED
    assert client.counters.reconnects == 1
    again = sample_request(("box.test", server.address[1]))
    assert (await client.request(again).response).code == CHANGED
    assert client.counters.handshakes_ok == 1


async def test_unknown_host(bench: Bench) -> None:
    """A host that does not resolve is a network error, at once."""
    client = await bench.client()
    with pytest.raises(NetworkError, match="no way to nowhere"):
        await client.request(sample_request(("nowhere.invalid", 5684))).response
