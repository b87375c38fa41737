"""The consortium as its tests see it: machines, the two customers' log-ins, the nodes."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from scenario import machine

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

MACHINES = ["network", "customer-1", "customer-2", "platform", "box-1", "box-2"]
SECRETS = "/etc/steelyard/platform/secrets"


class Machines:
    """The scenario's machines by name, as root."""

    def __getitem__(self, name: str):
        return machine(name)

    def address(self, name: str) -> str:
        """Its address on the wire between the machines."""
        return str(self[name].backend.get_variables()["ansible_host"])


class Api:
    """Both APIs, as a user of a customer."""

    def __init__(self, machines: Machines, tmp: Path, login: str) -> None:
        platform = machines["platform"]
        authority = tmp / "ca.pem"
        authority.write_text(platform.file("/etc/steelyard/pki/ca.pem").content_string)
        self._context = ssl.create_default_context(cafile=str(authority))
        self._host = machines.address("platform")
        password = platform.file(f"{SECRETS}/user-{login}.password").content_string.strip()
        form = {"grant_type": "password", "username": login, "password": password}
        told = self._open(8443, "/oauth2/token", urllib.parse.urlencode(form).encode())
        self._token = told["access_token"]

    def management(self, path: str):
        """What the management API answers."""
        return self._open(8443, path)

    def tickets(self, path: str):
        """What the tickets API answers."""
        return self._open(8444, path)

    def _open(self, port: int, path: str, body: bytes | None = None):
        request = urllib.request.Request(f"https://{self._host}:{port}{path}", body)
        if body is None:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(  # noqa: S310 - https, as it is written above
            request, context=self._context, timeout=60
        ) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def machines():
    return Machines()


@pytest.fixture(scope="session")
def consortium():
    """The description that the machines were set up from."""
    place = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "weighings/consortium.json"
    return json.loads(place.read_text())


@pytest.fixture(scope="session")
def customers(machines, tmp_path_factory):
    """Each customer's own view of the APIs, when all weighings have become tickets."""
    found = {
        name: Api(machines, tmp_path_factory.mktemp(name), f"user@{name}.example")
        for name in ("customer-1", "customer-2")
    }
    until = time.monotonic() + 600
    while any(one.tickets("/v1/ticket-count")["count"] < 300 for one in found.values()):
        assert time.monotonic() < until, "300 tickets a customer were not there in ten minutes"
        time.sleep(2)
    return found


@pytest.fixture(scope="session")
def nodes(consortium, machines):
    """The ledger's nodes, as the roles were told of them."""
    from infra.consortium.checks import parse
    from infra.consortium.nodes import node_views

    return node_views(parse(consortium), {name: machines.address(name) for name in MACHINES})
