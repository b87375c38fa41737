"""Real databases for tests: a PostgreSQL server that they start themselves, and rows."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.store.identifiers import new_id
from steelyard.store.models import (
    Customer,
    Device,
    DeviceKind,
    Node,
    NodeRole,
    Role,
    Station,
    User,
    Weighbridge,
)

_START_SECONDS = 60
_MEMORY_BYTES = 1 << 30


class PostgresqlMissing(Exception):
    """The server's programs are not on this machine, or no user may run them."""


def _programs() -> Path:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for name in ("initdb", "postgres"):
        if found := shutil.which(name):
            candidates.append(Path(found).resolve().parent)
    for directory in candidates:
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    raise PostgresqlMissing("no initdb and postgres in /usr/lib/postgresql/*/bin or on the path")


def _as_other_user(directory: Path) -> list[str]:
    """PostgreSQL refuses to run as root: give the directory, and the programs, to another user."""
    setpriv = shutil.which("setpriv")
    dies_with_us = [setpriv, "--pdeathsig", "INT"] if setpriv else []
    if os.geteuid() != 0:
        return dies_with_us
    if not setpriv:
        raise PostgresqlMissing("root cannot run PostgreSQL, and there is no setpriv")
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        for path in (directory, *directory.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [*dies_with_us, *ids]
    raise PostgresqlMissing("root cannot run PostgreSQL, and there is no other user for it")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _memory() -> str | None:
    """A file system in memory with enough room, if there is one."""
    path = "/dev/shm"  # noqa: S108 - mkdtemp makes a directory of our own in it
    usable = os.access(path, os.W_OK) and shutil.disk_usage(path).free > _MEMORY_BYTES
    return path if usable else None


@dataclass
class PostgresqlServer:
    """A throw-away server on a socket in a directory of its own; log-in with a password."""

    directory: Path
    programs: Path
    process: subprocess.Popen | None = None
    port: int | None = None
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @classmethod
    def start(cls, tls: tuple[Path, Path] | None = None) -> "PostgresqlServer":
        """Make a cluster and start it. Raises PostgresqlMissing with the reason to skip.

        `tls`: certificate and key, with which it listens on 127.0.0.1 as well, by TLS alone.
        """
        programs = _programs()
        # Not below pytest's directory: a socket's path has at most 107 bytes. In memory where that
        # is possible: making a database for each test is nothing but writing files.
        server = cls(Path(tempfile.mkdtemp(prefix="steelyard-pg-", dir=_memory())), programs)
        try:
            if tls is not None:
                server.port = _free_port()
                for source, name in zip(tls, ("server.pem", "server.key"), strict=True):
                    shutil.copyfile(source, server.directory / name)
                    (server.directory / name).chmod(0o600)
            server._start()
        except BaseException:
            server.stop()
            raise
        return server

    def _start(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        prefix = _as_other_user(self.directory)
        cluster = self.directory / "cluster"
        initdb = [self.programs / "initdb", "-D", cluster, "-U", "steelyard", "-E", "UTF8"]
        subprocess.run(
            [*prefix, *initdb, "--no-sync", "--auth=scram-sha-256", f"--pwfile={password_file}"],
            check=True,
            env=environment,
            cwd=self.directory,
            capture_output=True,
        )
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "60",
        }
        if self.port is not None:
            options |= {
                "listen_addresses": "127.0.0.1",
                "port": str(self.port),
                "ssl": "on",
                "ssl_cert_file": str(self.directory / "server.pem"),
                "ssl_key_file": str(self.directory / "server.key"),
            }
            access = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
            (cluster / "pg_hba.conf").write_text(access)
        arguments = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, self.programs / "postgres", "-D", cluster, *arguments],
                env=environment,
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        ready = [self.programs / "pg_isready", "-q", "-h", self.directory, "-U", "steelyard"]
        ready += ["-p", str(self.port or 5432)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text())
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start in time")
            time.sleep(0.05)

    def sql(self, statement: str) -> None:
        """Run one statement as the superuser."""
        subprocess.run(
            [
                *(self.programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1"),
                *("-h", self.directory, "-p", str(self.port or 5432)),
                *("-U", "steelyard", "-d", "postgres", "-c", statement),
            ],
            check=True,
            env={"PGPASSWORD": self.password, "PATH": "/usr/bin:/bin"},
            capture_output=True,
        )

    def url(self, name: str) -> str:
        """The URL of a database, without the password."""
        return f"postgresql://steelyard@/{name}?host={self.directory}"

    def stop(self) -> None:
        """Stop the server at once and remove its directory."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class FakeClock:
    """A clock in milliseconds that stands still until it is moved."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * 1000)


def a_customer(name: str = "Leite & Filhos") -> Customer:
    return Customer(id=new_id(), name=name, roster=b"sealed")


def a_user(customer: Customer | None, login: str = "ann@example.org", **fields) -> User:
    role = Role.CUSTOMER_USER if customer else Role.PLATFORM_ADMINISTRATOR
    values = {"id": new_id(), "role": role, "password_hash": "none", "login": login} | fields
    return User(customer_id=customer.id if customer else None, **values)


def a_node(customer: Customer | None, role: NodeRole = NodeRole.STATION, **fields) -> Node:
    key = secrets.token_urlsafe(32)
    values = {
        "name": f"node-{key[:8]}",
        "tessera_key": key,
        "rpc_url": b"x",
        "tessera_url": b"y",
        "seal": b"z",
    }
    return Node(
        id=new_id(), customer_id=customer.id if customer else None, role=role, **(values | fields)
    )


def a_station(customer: Customer, name: str = "North", **fields) -> Station:
    values = {"id": new_id(), "client_id": f"station-{secrets.token_hex(8)}", "seal": b"z"} | fields
    return Station(customer_id=customer.id, name=name, **values)


def an_active_station(customer: Customer, node: Node, name: str = "North", **fields) -> Station:
    sealed = ("contract_address", "account_key", "node_url", "tessera_url", "parties")
    values = dict.fromkeys(sealed, b"sealed")
    values |= {"status": "active", "node_id": node.id, "client_secret_hash": bytes(32)} | fields
    return a_station(customer, name, **values)


def a_weighbridge(station: Station, scale_serial: str = "WB-1", **fields) -> Weighbridge:
    values = {"name": scale_serial, "max_capacity": 60_000_000, "scale_interval": 20_000} | fields
    return Weighbridge(
        id=new_id(),
        customer_id=station.customer_id,
        station_id=station.id,
        scale_serial=scale_serial,
        **values,
    )


def a_load_cell(weighbridge: Weighbridge, serial: str = "LC-1", **fields) -> Device:
    return Device(
        id=new_id(),
        customer_id=weighbridge.customer_id,
        station_id=weighbridge.station_id,
        weighbridge_id=weighbridge.id,
        kind=DeviceKind.LOADCELL,
        serial=serial,
        **fields,
    )
