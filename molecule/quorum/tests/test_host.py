"""What is whose on the host, and what it shows to others; with engines and without."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from ledger import ENGINES, NODES, PKI, PLACE, RUNNING, address

STAND_INS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "stand-ins"
GETH = Path(os.environ[ENGINES[0]]) if RUNNING else STAND_INS / "geth"
STORE = "/var/lib/tessera"
NO_HANDSHAKE = 35  # CURLE_SSL_CONNECT_ERROR
# Secrets, and the only user beside root who can read them.
SECRETS = {
    **{f"{node.directory}/geth/geth/nodekey": "quorum" for node in NODES},
    **{f"{node.directory}/tessera/tm.key": "tessera" for node in NODES},
    f"{STORE}/keystore.p12": "tessera",
    f"{STORE}/keystore.password": None,
    f"{PKI}/node.key": None,
}


@pytest.mark.parametrize("name", ["quorum", "tessera", "steelyard"])
def test_users_cannot_log_in(host, name):
    """System users without shell and password."""
    user = host.user(name)
    assert user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"
    with host.sudo():
        assert host.check_output(f"getent shadow {name}").split(":")[1] in {"!", "!*"}


def test_the_nodes_may_open_their_privacy_managers_sockets(host):
    """By the group; nobody else is in it."""
    assert host.check_output("getent group tessera").split(":")[3] == "quorum"


def test_the_programs_are_those_of_the_controller(host):
    """Pinned by their checksums, and nobody's but root's."""
    digest = hashlib.sha256(GETH.read_bytes()).hexdigest()
    geth = host.file("/opt/quorum/24.4.1/geth")
    assert geth.sha256sum == digest
    assert host.file("/opt/quorum/24.4.1/.checksum").content_string.strip() == digest
    place = Path("/opt/tessera/20.10.1" if RUNNING else "/opt/tessera/24.4.2")
    tessera = host.file(
        str(place / (Path(os.environ[ENGINES[1]]).name if RUNNING else "bin/tessera"))
    )
    for program in (geth, tessera):
        assert (program.user, program.group, program.mode & 0o022) == ("root", "root", 0)
    assert geth.mode & 0o111 == 0o111
    assert RUNNING or tessera.mode & 0o111 == 0o111


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_files_have_their_owners_and_modes(host, node):
    """A service writes its data; its configuration it may only read."""
    wanted = {
        "": ("root", "root", 0o755),
        "geth": ("quorum", "quorum", 0o750),
        "geth/geth": ("quorum", "quorum", 0o700),
        "geth/geth/nodekey": ("quorum", "quorum", 0o600),
        "geth/static-nodes.json": ("root", "quorum", 0o640),
        "geth/permissioned-nodes.json": ("root", "quorum", 0o640),
        "geth.toml": ("root", "quorum", 0o640),
        "tessera": ("tessera", "tessera", 0o750),
        "tessera/tm.key": ("tessera", "tessera", 0o600),
        "tessera/tm.pub": ("tessera", "tessera", 0o644),
        "tessera/config.json": ("root", "tessera", 0o640),
    }
    with host.sudo():
        files = {name: host.file(f"{node.directory}/{name}".rstrip("/")) for name in wanted}
        found = {name: (one.user, one.group, one.mode) for name, one in files.items()}
        # `geth init` ran as the nodes' user: what is root's there the node could not write.
        chain = host.file(f"{node.directory}/geth/geth/chaindata")
        assert (chain.is_directory, chain.user) == (True, "quorum")
    assert found == wanted


@pytest.mark.parametrize("path", SECRETS)
def test_secrets_are_for_their_users_only(host, path):
    """Asked of the kernel, as each user."""
    with host.sudo():
        assert host.file(path).size > 0
        readers = {
            user
            for user in ("quorum", "tessera", "steelyard", "nobody")
            if host.run(f"runuser -u {user} -- cat {path}").rc == 0
        }
    assert readers == ({SECRETS[path]} - {None})


def test_the_shared_files_are_roots(host):
    """Genesis, the gateway's settings, and what everyone may see of the authority."""
    wanted = {
        PLACE: ("root", "root", 0o755),
        f"{PLACE}/genesis.json": ("root", "root", 0o644),
        "/etc/steelyard/gateway.toml": ("root", "steelyard", 0o640),
        f"{PKI}/ca.pem": ("root", "root", 0o644),
        f"{PKI}/crl.pem": ("root", "root", 0o644),
    }
    with host.sudo():
        files = {path: host.file(path) for path in wanted}
        assert {path: (one.user, one.group, one.mode) for path, one in files.items()} == wanted


def test_only_peers_and_the_gateway_listen_for_others(host):
    """JSON-RPC is on loopback; Tessera's client API has no TCP port at all."""
    with host.sudo():
        sockets = host.check_output("ss -Hltn").splitlines()
    places = [line.split()[3].rsplit(":", 1) for line in sockets]
    inside = {int(port) for found, port in places if found in {"127.0.0.1", "[::1]"}}
    outside = {int(port) for found, port in places if found not in {"127.0.0.1", "[::1]"}}
    peers = {port for node in NODES for port in (node.peer_port, node.privacy_port)}
    assert outside == {22, 8600} | (peers if RUNNING else set())
    assert inside >= {8601} | ({node.rpc_port for node in NODES} if RUNNING else set())
    assert not (inside | outside) & set(range(9080, 9100))


def test_the_gateway_answers_to_the_listed_only(host):
    """Without a certificate, with that of this host, and by an older TLS: each is refused."""
    url = f"https://{address(host)}:8600/network-1/tessera/upcheck"
    curl = f"curl --silent --show-error --cacert {PKI}/ca.pem --max-time 20"
    own = f"--cert {PKI}/node.pem --key {PKI}/node.key"
    with host.sudo():
        # TLS 1.3 asks for it after the client has said that it is done: the connection just ends.
        stranger = host.run(f"{curl} {url}")
        assert stranger.rc != 0
        assert stranger.stdout == ""
        older = host.run(f"{curl} {own} --tls-max 1.2 {url}")
        assert older.rc == NO_HANDSHAKE, older.stderr
        known = host.check_output(f"{curl} {own} --write-out ' %{{http_code}}' {url}")
    told, status = known.rsplit(" ", 1)
    assert status == "403"
    assert json.loads(told)["type"].endswith("client-refused")


def test_no_secret_is_on_a_command_line_or_in_the_journal(host):
    """Nor in what systemd shows."""
    with host.sudo():
        secrets = [host.file(f"{STORE}/keystore.password").content_string.strip()]
        secrets += [
            host.file(f"{node.directory}/geth/geth/nodekey").content_string.strip()
            for node in NODES
        ]
        secrets += [
            json.loads(host.file(f"{node.directory}/tessera/tm.key").content_string)["data"][
                "bytes"
            ]
            for node in NODES
        ]
        seen = host.check_output("ps -ewwo args; journalctl --no-pager -o cat; systemctl show '*'")
    assert "ansible" in seen
    for secret in secrets:
        assert len(secret) >= 32
        assert secret not in seen
