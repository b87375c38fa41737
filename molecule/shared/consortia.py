"""A consortium as the tests of scenarios see it: nodes, customers' queries, SmartBoxes."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

from scenario import address, machine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from infra.consortium.checks import parse  # noqa: E402
from infra.consortium.nodes import all_nodes, node_views  # noqa: E402

SECRETS = "/etc/steelyard/platform/secrets"
NODES = "/var/lib/steelyard/nodes"
SMARTBOX = "/opt/steelyard/station/current/venv/bin/steelyard smartbox"
CONFIG = "--config /etc/steelyard/smartbox.toml"


class Machines:
    """The scenario's machines by name, as root."""

    def __getitem__(self, name: str):
        return machine(name)

    def address(self, name: str) -> str:
        """Its address on the wire between the machines."""
        return address(name)


class Api:
    """Both APIs, as a user of a customer."""

    def __init__(self, machines: Machines, platform: str, tmp: Path, login: str) -> None:
        host = machines[platform]
        authority = tmp / "ca.pem"
        authority.write_text(host.file("/etc/steelyard/pki/ca.pem").content_string)
        self._context = ssl.create_default_context(cafile=str(authority))
        self._host = machines.address(platform)
        self._login = login
        self._password = host.file(f"{SECRETS}/user-{login}.password").content_string.strip()
        self._token = ""
        self.log_in()

    def log_in(self) -> None:
        """Get an access token."""
        form = {"grant_type": "password", "username": self._login, "password": self._password}
        told = self._open(8443, "/oauth2/token", urllib.parse.urlencode(form).encode())
        self._token = told["access_token"]

    def management(self, path: str):
        """What the management API answers."""
        return self._open(8443, path)

    def tickets(self, path: str):
        """What the tickets API answers."""
        return self._open(8444, path)

    def every_ticket(self, query: str = ""):
        """All pages of a query."""
        found, cursor = [], ""
        while True:
            page = self.tickets(f"/v1/tickets?limit=100{query}{cursor}")
            found += page["tickets"]
            if not page.get("next"):
                return found
            cursor = f"&cursor={page['next']}"

    def count(self) -> int:
        """How many tickets the customer has."""
        return int(self.tickets("/v1/ticket-count")["count"])

    def _open(self, port: int, path: str, body: bytes | None = None):
        request = urllib.request.Request(f"https://{self._host}:{port}{path}", body)
        if body is None:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(  # noqa: S310 - https, as it is written above
                request, context=self._context, timeout=60
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 401 or body is not None:
                raise
        # Scenarios last longer than a token.
        self.log_in()
        return self._open(port, path)


def description() -> dict:
    """The description that the machines are set up from now."""
    return json.loads(_place("consortium").read_text())


def describe(name: str) -> None:
    """Let the inventory have another description from now on, as its operator would edit it."""
    _place("consortium").write_text(_place(name).read_text())


def nodes(machines: Machines) -> list[dict]:
    """The ledger's nodes, as the roles are told of them."""
    spec = parse(description())
    hosts = {node.host for node, *_ in all_nodes(spec)}
    return node_views(spec, {host: machines.address(host) for host in hosts})


def rpc(machines: Machines, node: dict, method: str, *params):
    """A call to a node, on its own host."""
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = machines[node["host"]].check_output(
        "curl --silent --fail -H 'Content-Type: application/json' --data %s http://127.0.0.1:%s",
        request,
        str(node["rpc_port"]),
    )
    return json.loads(answer)["result"]


def public_keys(machines: Machines, node: dict) -> dict:
    """The public halves of a node's keys."""
    return json.loads(
        machines[node["host"]].check_output(
            "/opt/steelyard/server/current/venv/bin/steelyard node show-keys "
            f"--directory {NODES}/{node['name']}"
        )
    )


def lasting(machines: Machines, members: Iterable[dict]) -> dict[str, str]:
    """Hashes of what is made once: genesis, node keys, privacy managers' keys."""
    found = {}
    for one in members:
        place = f"{NODES}/{one['name']}"
        told = machines[one["host"]].check_output(
            f"sha256sum {NODES}/genesis.json {place}/geth/geth/nodekey {place}/tessera/tm.key"
        )
        found |= {f"{one['host']}:{line.split()[1]}": line.split()[0] for line in told.splitlines()}
    return found


def starts(machines: Machines, members: Iterable[dict]) -> dict[str, str]:
    """Which start of each node's units runs: another id is a restart."""
    found = {}
    for one in members:
        units = [f"steelyard-quorum-{one['name']}", f"steelyard-tessera-{one['name']}"]
        told = machines[one["host"]].check_output(
            "systemctl show --property=InvocationID --value " + " ".join(units)
        )
        found |= dict(zip(units, told.split(), strict=True))
    return found


def smartbox(machines: Machines, host: str) -> dict:
    """A SmartBox's status."""
    return json.loads(machines[host].check_output(f"{SMARTBOX} status {CONFIG}"))


def receipts(machines: Machines, host: str) -> set[str]:
    """The tickets for which a SmartBox has the platform's receipts."""
    told = machines[host].check_output(
        f"STEELYARD_SMARTBOX_CLIENT_SECRET_FILE=/dev/null {SMARTBOX} receipts {CONFIG}"
    )
    return {json.loads(line)["ticketID"] for line in told.splitlines()}


def wait_for(what: str, true: Callable[[], bool], seconds: float = 600) -> None:
    """Wait until something is so; an AssertionError says what was not."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not in {seconds:.0f} seconds"
        time.sleep(2)


def _place(name: str) -> Path:
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / f"weighings/{name}.json"
