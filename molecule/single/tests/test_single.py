"""A small operator's host: from load cells to the customer's query on one machine."""

import json
import urllib.parse

import pytest
from consortia import CONFIG, SECRETS, SMARTBOX, wait_for
from scenario import assert_confined, machine

UNITS = [
    *(f"steelyard-{kind}-{name}" for kind in ("tessera", "quorum") for name in ("network",)),
    *("steelyard-quorum-customer-1-admin", "steelyard-quorum-station-1-node"),
    *("steelyard-gateway", "steelyard-management-api", "steelyard-tickets-api"),
    "steelyard-smartbox",
]
LOGIN = "user@customer-1.example"
CURL = "curl --silent --show-error --fail --cacert /etc/steelyard/pki/ca.pem"


@pytest.fixture(scope="module")
def one():
    return machine("one")


@pytest.fixture(scope="module")
def token(one):
    """A token of the customer's user, got on the machine itself."""
    password = one.file(f"{SECRETS}/user-{LOGIN}.password").content_string.strip()
    form = urllib.parse.urlencode(
        {"grant_type": "password", "username": LOGIN, "password": password}
    )
    told = one.check_output(f"{CURL} --data %s https://127.0.0.1:8443/oauth2/token", form)
    return json.loads(told)["access_token"]


def tickets(one, token, path):
    """What the tickets API answers."""
    told = one.check_output(
        f"{CURL} --header %s https://127.0.0.1:8444/v1/{path}", f"Authorization: Bearer {token}"
    )
    return json.loads(told)


def test_everything_runs_confined(one):
    """On one machine as on many."""
    for unit in UNITS:
        assert one.service(unit).is_running, unit
        assert_confined(one, unit)


def test_300_weighings_become_tickets(one, token):
    """Through DTLS, HTTPS and the ledger, back to the customer's query."""
    wait_for("300 tickets", lambda: tickets(one, token, "ticket-count")["count"] == 300)
    status = json.loads(one.check_output(f"{SMARTBOX} status {CONFIG}"))["tickets"]
    assert (status["registered"], status["refused"]) == (300, 0)


def test_only_ssh_and_the_apis_are_open(one):
    """The ledger's ports are for members on other hosts, and there are none."""
    rules = one.check_output("nft list ruleset")
    for port in (8443, 8444, 22):
        assert f"dport {port}" in rules
    for port in (22000, 30303, 9000, 8600, 5432):
        assert f"dport {port}" not in rules
