"""What role platform leaves on a host with PostgreSQL, and on one with SQLite."""

import json
import re
import shlex
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from scenario import assert_confined

APIS = ("steelyard-management-api", "steelyard-tickets-api")
UNITS = (*APIS, "steelyard-database")
SECRETS = "/etc/steelyard/platform"
TICKET = {
    "ticketID": "north_1_1605161160000",
    "terminalSerialNumber": "T-1",
    "terminalRestartValue": 1,
    "timestamp": "2020-11-12T06:06:00.000Z",
    "scaleSerialNumber": "S-1",
    "scaleStatus": "ok",
    "scaleGross": 20_000,
    "scaleTare": 5_000,
    "scaleNet": 15_000,
    "vehicle": "AA-00-BB",
    "cells": [
        {"cellSerialNumber": "LC-1", "cellWeight": 10_000},
        {"cellSerialNumber": "LC-2", "cellWeight": 10_000},
    ],
}


@pytest.fixture
def root(host):
    """The machine, as root."""
    with host.sudo():
        yield host


# A load cell as far as enrolment goes: its key and request, the proof of its code, and the seal.
DEVICE = """
import json, sys
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from steelyard.pki.claims import ClaimCode
from steelyard.pki.fresh import FreshDevice, Papers
device = FreshDevice(Path("/root/cell"), ClaimCode.parse(sys.argv[1]))
request = device.request("LC-1")
if sys.argv[2:]:
    told = json.loads(sys.argv[2])
    der = lambda load, pem: load(pem.encode()).public_bytes(Encoding.DER)
    device.check(Papers(
        der(x509.load_pem_x509_certificate, told["certificate"]),
        der(x509.load_pem_x509_certificate, told["authority"]),
        der(x509.load_pem_x509_crl, told["revocations"]), bytes.fromhex(told["seal"])))
    print("good")
else:
    print(json.dumps({"claim": device.code.locator, "proof": device.proof(request).hex(),
                      "request": request.public_bytes(Encoding.PEM).decode()}))
"""


def has_ledger(host) -> bool:
    """Whether stations are registered on this machine."""
    return (
        host.run("test -d /var/lib/steelyard/sandbox").rc == 0
        or host.file("/etc/systemd/system/steelyard-sandbox.service").exists
    )


def program(host) -> str:
    """The application on this machine."""
    name = "sandbox" if has_ledger(host) else "server"
    return f"/opt/steelyard/{name}/current/venv/bin/steelyard"


def curl(host, path: str, *options: str, port: int = 8443):
    """An answer of an API, as JSON."""
    said = host.run(
        f"curl -sS --cacert /etc/steelyard/pki/ca.pem {' '.join(options)}"
        f" https://127.0.0.1:{port}{path}"
    )
    assert said.rc == 0, said.stderr
    return json.loads(said.stdout)


def token(host, **form: str) -> str:
    """A token of the management API; the form goes by a file, not by an argument."""
    text = "&".join(f"{name}={value}" for name, value in form.items())
    host.run(f"umask 077; printf %s '{text}' > /root/form")
    return curl(host, "/oauth2/token", "-d @/root/form")["access_token"]


def test_both_apis_run_and_are_ready(root):
    """After the boot as well; with TLS 1.3 by the consortium's authority."""
    for name in APIS:
        assert root.service(name).is_running
        assert root.service(name).is_enabled
    for port in (8443, 8444):
        assert curl(root, "/readyz", "--tlsv1.3", port=port)
        old = root.run(f"curl -sS --tls-max 1.2 -k https://127.0.0.1:{port}/readyz")
        assert old.rc != 0


def test_units_are_confined(root):
    """systemd-analyze's exposure is at most 2.5."""
    for name in UNITS:
        assert_confined(root, name)


def test_secrets_are_roots(root):
    """Each file 0600 in a directory 0700; the service's user reads none of them."""
    directory = root.file(SECRETS)
    assert (directory.user, directory.mode) == ("root", 0o700)
    found = root.check_output(f"find {SECRETS} -type f -perm /077 ! -name jwks.json").split()
    assert found == []
    for name in ("vault.json", "signing-key.pem", "audit.key", "administrator.password"):
        assert root.file(f"{SECRETS}/{name}").user == "root"
        assert root.run(f"runuser -u steelyard -- cat {SECRETS}/{name}").rc != 0


def test_no_secret_is_in_an_environment_a_log_or_the_configuration(root):
    """Neither of the vault, nor of the tokens, nor the administrator's password."""
    lines = [
        root.file(f"{SECRETS}/{name}").content_string.strip()
        for name in ("audit.key", "administrator.password")
    ]
    lines += re.findall(
        r'"([A-Za-z0-9+/=_-]{40,})"', root.file(f"{SECRETS}/vault.json").content_string
    )
    assert len(lines) >= 3
    shown = root.run("journalctl -o cat --no-pager -u 'steelyard-*'").stdout
    shown += root.file("/etc/steelyard/platform.toml").content_string
    for name in APIS:
        number = root.check_output(f"systemctl show -P MainPID {name}")
        shown += root.run(f"tr '\\0' ' ' < /proc/{number}/environ").stdout
        shown += root.run(f"tr '\\0' ' ' < /proc/{number}/cmdline").stdout
    assert all(line not in shown for line in lines)


def test_tables_are_made_before_the_apis_start(root):
    """A restart brings them to the version; the check of the database finds nothing wrong."""
    root.check_output("systemctl restart steelyard-management-api")
    log = root.check_output("journalctl -o cat --no-pager -u steelyard-database")
    assert "The database is at revision" in log
    config = "--config /etc/steelyard/platform.toml"
    assert "is in order" in root.check_output(f"{program(root)} database check {config}")
    assert "open" in root.check_output(f"{program(root)} vault check {config}")


def test_a_killed_api_comes_back(root):
    """By systemd, ready again."""
    root.check_output("systemctl kill -s KILL steelyard-management-api")
    root.check_output(
        "curl -sS --retry 30 --retry-delay 1 --retry-all-errors --fail -o /dev/null"
        " --cacert /etc/steelyard/pki/ca.pem https://127.0.0.1:8443/readyz"
    )


def test_settings_of_the_inventory_are_in_force(root):
    """Of any section."""
    password = root.file(f"{SECRETS}/administrator.password").content_string.strip()
    root.run(
        "umask 077; printf %s "
        f"'grant_type=password&username=admin@platform.example&password={password}' > /root/form"
    )
    assert curl(root, "/oauth2/token", "-d @/root/form")["expires_in"] == 300


def test_a_provisioned_station_registers_a_ticket(root):
    """With the secret that was left for it; the customer's user, with the password, reads it."""
    if not has_ledger(root):
        pytest.skip("no ledger on this machine")
    stations = json.loads(root.file(f"{SECRETS}/stations.json").content_string)
    assert stations["north"]["node"] == "b-node"
    secret = root.file(f"{SECRETS}/secrets/station-north.secret").content_string.strip()
    station = token(
        root,
        grant_type="client_credentials",
        client_id=stations["north"]["client_id"],
        client_secret=secret,
    )
    root.run(f"printf %s '{json.dumps(TICKET)}' > /root/ticket.json")
    made = curl(
        root,
        "/v1/tickets",
        f"-H 'Authorization: Bearer {station}' -H 'Content-Type: application/json'",
        "-d @/root/ticket.json",
        port=8444,
    )
    assert made["ticketID"] == TICKET["ticketID"], made
    password = root.file(f"{SECRETS}/secrets/user-ops@acme.example.password").content_string
    user = token(
        root, grant_type="password", username="ops@acme.example", password=password.strip()
    )
    page = curl(root, "/v1/tickets", f"-H 'Authorization: Bearer {user}'", port=8444)
    assert [one["ticketID"] for one in page["tickets"]] == [TICKET["ticketID"]]


def test_the_devices_authority_is_roots(root):
    """Beside the other secrets, and good for no host; the service reads it as a credential."""
    directory = root.file(f"{SECRETS}/enrolment")
    assert (directory.user, directory.mode) == ("root", 0o700)
    for name in ("authority.key", "authority.pem", "crl.pem"):
        file = root.file(f"{SECRETS}/enrolment/{name}")
        assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    assert not root.file(f"{SECRETS}/enrolment.new").exists
    said = root.check_output(f"{program(root)} pki show --authority {SECRETS}/enrolment")
    assert said.startswith("Devices of the scenario, until ")
    pem = root.file(f"{SECRETS}/enrolment/authority.pem").content
    constraints = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
        x509.NameConstraints
    )
    assert constraints.critical
    assert constraints.value.excluded_subtrees
    owned = {
        name: root.check_output(f"systemctl cat steelyard-{name}")
        for name in ("management-api", "tickets-api")
    }
    assert f"enrolment-key:{SECRETS}/enrolment/authority.key" in owned["management-api"]
    assert "enrolment" not in owned["tickets-api"]


def test_a_load_cell_enrols_by_a_claim_code(root):
    """An administrator makes the code; the certificate is of the authority, for 30 days."""
    if not has_ledger(root):
        pytest.skip("no device is registered on this machine")
    password = root.file(f"{SECRETS}/secrets/user-ops@acme.example.password").content_string
    user = token(
        root, grant_type="password", username="ops@acme.example", password=password.strip()
    )
    bearer = f"-H 'Authorization: Bearer {user}'"
    found = curl(root, "/v1/devices", bearer)["items"]
    (cell,) = (one for one in found if one["serial"] == "LC-1")
    code = curl(root, f"/v1/devices/{cell['id']}/claim", bearer, "-X POST")["code"]
    python = f"{program(root).rpartition('/')[0]}/python"
    device = f"{python} -c {shlex.quote(DEVICE)} {code}"
    root.run(f"printf %s {shlex.quote(root.check_output(device))} > /root/enrolment.json")
    answer = curl(
        root, "/v1/enrolment", "-H 'Content-Type: application/json' -d @/root/enrolment.json"
    )
    assert root.check_output(f"{device} {shlex.quote(json.dumps(answer))}") == "good"
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=31)
    kept = root.file(f"{SECRETS}/enrolment/authority.pem").content
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(kept))


def test_the_database_is_the_services_own(root):
    """PostgreSQL by its socket, or a file that nobody else reads."""
    if has_ledger(root):
        found = root.run("runuser -u steelyard -- psql -XAt -c 'SELECT count(*) FROM stations'")
        assert found.stdout.strip() == "1"
        assert root.run("ss -Hltn 'sport = :5432'").stdout == ""
        return
    file = root.file("/var/lib/steelyard/platform/steelyard.db")
    assert (file.user, file.mode & 0o077) == ("steelyard", 0)
