"""A GoQuorum network with Tesseras on this machine's loopback, for the conformance suite.

QBFT, one Tessera a node, everything below one directory. It ends only the processes that it
started. docs/decisions/ledger-real-network.md says why the configuration is as it is.
"""

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import rlp
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from steelyard.ledger.protocol import NodeRef

CHAIN_ID = 1337
START_TIMEOUT = 240  # seconds: a Java virtual machine a node, on two cores that others share
QBFT_MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
# Without Berlin: GoQuorum 24.4.1 panics on a private state's first write under its rules.
FORKS = ("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg")
FORKS += ("istanbul", "muirGlacier")


@dataclass(slots=True)
class Member:
    """One node with its privacy manager: keys, ports, files and processes."""

    name: str
    directory: Path
    node_key: PrivateKey
    tessera_key: X25519PrivateKey
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.tessera_key.public_key().public_bytes_raw()).decode()

    @property
    def validator(self) -> bytes:
        return self.node_key.public_key.to_canonical_address()

    @property
    def enode(self) -> str:
        key = self.node_key.public_key.to_bytes().hex()
        return f"enode://{key}@127.0.0.1:{self.ports['peer']}?discport=0"

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def as_ref(self) -> NodeRef:
        return NodeRef(self.name, self.url("rpc"), self.url("third_party"), self.public_key)


class RealNetwork:
    """The network: `await start()`, then `members`; `stop()` always."""

    def __init__(self, directory: Path, geth: Path, tessera: Path, size: int) -> None:
        self._geth = geth
        self._tessera = tessera
        ports = iter(_free_ports(4 * size))
        names = ("rpc", "peer", "third_party", "privacy_peer")
        self.members = [
            Member(
                name=f"node-{number}",
                directory=directory / f"node-{number}",
                node_key=PrivateKey(secrets.token_bytes(32)),
                tessera_key=X25519PrivateKey.generate(),
                ports={name: next(ports) for name in names},
            )
            for number in range(1, size + 1)
        ]
        self._genesis = directory / "genesis.json"

    async def start(self) -> None:
        """Start everything and wait until blocks come and every manager knows every key."""
        self._genesis.write_text(json.dumps(genesis([one.validator for one in self.members])))
        for member in self.members:
            self._prepare(member)
            self._start_tessera(member)
        async with aiohttp.ClientSession() as session:
            probe = _Probe(session, self.members)
            await probe.until("privacy managers are up", probe.privacy_managers_up)
            for member in self.members:
                self._start_geth(member)
            await probe.until("nodes see their peers", probe.peers_seen)
            await probe.until("blocks come", probe.blocks_come)
            await probe.until("keys are known everywhere", probe.keys_known)

    def stop(self) -> None:
        """End the processes, nodes first, by signal to each process that we started."""
        for kind in ("geth", "tessera"):
            running = [one.processes[kind] for one in self.members if kind in one.processes]
            for process in running:
                process.terminate()
            for process in running:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)

    def suspend(self, member: Member, kind: str) -> None:
        """Hold a process as it is: its connections stay open and nothing is answered."""
        member.processes[kind].send_signal(signal.SIGSTOP)

    def resume(self, member: Member, kind: str) -> None:
        member.processes[kind].send_signal(signal.SIGCONT)

    def _prepare(self, member: Member) -> None:
        node, privacy = member.directory / "geth", member.directory / "tessera"
        (node / "geth").mkdir(parents=True)
        privacy.mkdir()
        (node / "geth" / "nodekey").write_text(member.node_key.to_bytes().hex())
        enodes = json.dumps([one.enode for one in self.members])
        (node / "static-nodes.json").write_text(enodes)
        (node / "permissioned-nodes.json").write_text(enodes)
        config = tessera_config(member, [one.url("privacy_peer") for one in self.members])
        (privacy / "config.json").write_text(json.dumps(config))
        with (member.directory / "geth-init.log").open("wb") as log:
            command = [self._geth, "--datadir", node, "init", self._genesis]
            subprocess.run(command, check=True, stdout=log, stderr=log)

    def _start_tessera(self, member: Member) -> None:
        privacy = member.directory / "tessera"
        command = [*tessera_command(self._tessera), "-configfile", str(privacy / "config.json")]
        self._start(member, "tessera", command, {})

    def _start_geth(self, member: Member) -> None:
        options = {
            "--datadir": member.directory / "geth",
            "--networkid": CHAIN_ID,
            "--nat": "none",
            "--syncmode": "full",
            "--miner.threads": 1,
            "--miner.gasprice": 0,
            "--miner.recommit": "1s",
            "--port": member.ports["peer"],
            "--http.addr": "127.0.0.1",
            "--http.port": member.ports["rpc"],
            "--http.api": "eth,net,web3,istanbul,quorumExtension",
        }
        switches = ["--nodiscover", "--mine", "--permissioned", "--http", "--ipcdisable"]
        pairs = [str(part) for option in options.items() for part in option]
        environment = {"PRIVATE_CONFIG": str(member.directory / "tessera" / "tm.ipc")}
        self._start(member, "geth", [str(self._geth), *switches, *pairs], environment)

    def _start(
        self, member: Member, kind: str, command: list[str], environment: dict[str, str]
    ) -> None:
        with (member.directory / f"{kind}.log").open("ab") as log:
            member.processes[kind] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=member.directory,
                env=os.environ | environment,
            )


class _Probe:
    """Looks whether the network has come to life."""

    def __init__(self, session: aiohttp.ClientSession, members: list[Member]) -> None:
        self._session = session
        self._members = members

    async def until(self, what: str, holds: Callable[[Member], object]) -> None:
        """Wait for every member, or raise TimeoutError that names who did not come."""
        waiting = list(self._members)
        for _ in range(START_TIMEOUT * 2):
            for member in list(waiting):
                for kind, process in member.processes.items():
                    if process.poll() is not None:
                        log = member.directory / f"{kind}.log"
                        raise RuntimeError(f"{kind} of {member.name} ended, see {log}")
                try:
                    if await holds(member):
                        waiting.remove(member)
                except (aiohttp.ClientError, OSError, ValueError, KeyError):
                    continue
            if not waiting:
                return
            await asyncio.sleep(0.5)
        names = ", ".join(member.name for member in waiting)
        raise TimeoutError(f"{what}: not {names} after {START_TIMEOUT} s")

    async def privacy_managers_up(self, member: Member) -> bool:
        socket_exists = (member.directory / "tessera" / "tm.ipc").exists()
        return socket_exists and (await self._get(member, "/upcheck")).startswith("I'm up")

    async def peers_seen(self, member: Member) -> bool:
        return int(await self._rpc(member, "net_peerCount"), 16) == len(self._members) - 1

    async def blocks_come(self, member: Member) -> bool:
        return int(await self._rpc(member, "eth_blockNumber"), 16) >= 3

    async def keys_known(self, member: Member) -> bool:
        answer = json.loads(await self._get(member, "/partyinfo/keys"))
        known = {one["key"] for one in answer["keys"]}
        return known >= {one.public_key for one in self._members}

    async def _get(self, member: Member, path: str) -> str:
        async with self._session.get(member.url("third_party") + path) as response:
            return await response.text()

    async def _rpc(self, member: Member, method: str) -> str:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": []}
        async with self._session.post(member.url("rpc"), json=request) as response:
            return (await response.json())["result"]


def genesis(validators: list[bytes]) -> dict:
    """A QBFT genesis: a block a second, also when empty; contracts up to 128 KB."""
    extra = rlp.encode([bytes(32), sorted(validators), [], b"", []])
    qbft = {
        "epochlength": 30000,
        "blockperiodseconds": 1,
        "requesttimeoutseconds": 4,
        "policy": 0,
        "ceil2Nby3Block": 0,
    }
    config = {f"{fork}Block": 0 for fork in FORKS} | {
        "chainId": CHAIN_ID,
        "isQuorum": True,
        "txnSizeLimit": 128,
        "maxCodeSizeConfig": [{"block": 0, "size": 128}],
        "qbft": qbft,
    }
    return {
        "config": config,
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": "0xe0000000",
        "difficulty": "0x1",
        "mixHash": QBFT_MIX_HASH,
        "coinbase": "0x" + 40 * "0",
        "alloc": {},
        "extraData": "0x" + extra.hex(),
    }


def tessera_config(member: Member, peers: list[str]) -> dict:
    """Three servers: the node's by a socket, third parties' and peers' on the loopback."""
    directory = member.directory / "tessera"
    private_key = base64.b64encode(member.tessera_key.private_bytes_raw()).decode()

    def server(app: str, address: str, **more: object) -> dict:
        common = {"app": app, "enabled": True, "communicationType": "REST"}
        return common | {"serverAddress": address} | more

    return {
        "useWhiteList": False,
        "jdbc": {
            "username": "sa",
            "password": "",
            "url": f"jdbc:h2:{directory}/database;MODE=Oracle;TRACE_LEVEL_SYSTEM_OUT=0",
            "autoCreateTables": True,
        },
        "serverConfigs": [
            server("Q2T", f"unix:{directory}/tm.ipc"),
            server("ThirdParty", member.url("third_party")),
            server("P2P", member.url("privacy_peer"), sslConfig={"tls": "OFF"}),
        ],
        "peer": [{"url": url} for url in peers],
        "keys": {
            "passwords": [],
            "keyData": [{"privateKey": private_key, "publicKey": member.public_key}],
        },
        "alwaysSendTo": [],
    }


def tessera_command(tessera: Path) -> list[str]:
    """An uber jar needs Java's internals opened; an unpacked distribution starts itself."""
    if tessera.suffix != ".jar":
        return [str(tessera)]
    opened = [f"java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "util", "net", "io")]
    options = [part for one in opened for part in ("--add-opens", one)]
    small = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *small, *options, "-jar", str(tessera)]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
