"""The ledger's nodes on their host: who runs, what listens, what is whose."""

import json

import pytest
from scenario import assert_confined

NODES = ["network-1", "network-2", "acme-admin", "acme-north", "birch-admin"]
VALIDATORS = ["network-1", "network-2", "acme-admin", "birch-admin"]
PLACE = "/var/lib/steelyard/nodes"
STEELYARD = "/opt/steelyard/server/current/venv/bin/steelyard"


def rpc(host, node: str, method: str, *params):
    """A call of JSON-RPC on the host itself."""
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    port = 22000 + NODES.index(node)
    answer = host.check_output(
        "curl --silent --fail -H 'Content-Type: application/json' --data %s http://127.0.0.1:%s",
        request,
        str(port),
    )
    return json.loads(answer)["result"]


@pytest.fixture(scope="module")
def keys(host):
    """The public halves of the nodes' keys."""
    with host.sudo():
        return {
            name: json.loads(
                host.check_output(f"{STEELYARD} node show-keys --directory {PLACE}/{name}")
            )
            for name in NODES
        }


def test_units_run_and_are_confined(host):
    """Each node, its privacy manager, and the gateway: exposure 2.5 at most."""
    units = [f"steelyard-{kind}-{name}" for kind in ("tessera", "quorum") for name in NODES]
    for unit in [*units, "steelyard-gateway"]:
        assert host.service(unit).is_running, unit
        assert host.service(unit).is_enabled, unit
        assert_confined(host, unit)


def test_blocks_come_and_the_described_validators_make_them(host, keys):
    """A station's node follows and does not vote."""
    voting = {one.lower() for one in rpc(host, "acme-north", "istanbul_getValidators", "latest")}
    assert voting == {keys[name]["address"].lower() for name in VALIDATORS}
    assert int(rpc(host, "acme-north", "eth_blockNumber"), 16) > 3
    for name in NODES:
        assert int(rpc(host, name, "net_peerCount"), 16) == len(NODES) - 1


def test_privacy_managers_know_each_other(host, keys):
    """Over TLS, by which both sides prove themselves."""
    for name in NODES:
        with host.sudo():
            host.check_output(
                f"{STEELYARD} node status --rpc http://127.0.0.1:{22000 + NODES.index(name)} "
                f"--tessera unix:/run/steelyard-tessera-{name}/api.sock --peers {len(NODES) - 1} "
                + " ".join(f"--key '{one['tessera_public_key']}'" for one in keys.values())
            )


def test_keys_are_for_their_users_only(host):
    """Private halves have mode 0600, and nobody else's group reads the directories."""
    with host.sudo():
        for name in NODES:
            node_key = host.file(f"{PLACE}/{name}/geth/geth/nodekey")
            assert (node_key.user, node_key.mode) == ("quorum", 0o600)
            pair = host.file(f"{PLACE}/{name}/tessera/tm.key")
            assert (pair.user, pair.mode) == ("tessera", 0o600)
            assert host.file(f"{PLACE}/{name}/geth").mode & 0o007 == 0
            assert host.file(f"{PLACE}/{name}/tessera/config.json").mode == 0o640


def test_only_peers_and_the_gateway_listen_for_others(host):
    """JSON-RPC is on loopback; Tessera's client API has no TCP port at all."""
    with host.sudo():
        sockets = host.check_output("ss -Hltn").splitlines()
    places = [line.split()[3].rsplit(":", 1) for line in sockets]
    ports = {int(port): address for address, port in places}
    slots = range(len(NODES))
    outside = {port for port, address in ports.items() if address not in {"127.0.0.1", "[::1]"}}
    assert outside == {22, 8600, *(30303 + n for n in slots), *(9000 + n for n in slots)}
    assert {22000 + n for n in slots} <= set(ports) - outside
    assert not set(ports) & set(range(9080, 9100))


def test_a_stranger_is_refused_by_the_privacy_managers(host):
    """Without a certificate of the authority nobody speaks to the peers' port."""
    said = host.run("openssl s_client -connect $(hostname -I | cut -d' ' -f1):9000 </dev/null")
    assert "Acceptable client certificate CA names" in said.stdout + said.stderr
    refused = host.run(
        "(printf 'GET /upcheck HTTP/1.0\\r\\n\\r\\n'; sleep 1) | "
        "openssl s_client -quiet -connect $(hostname -I | cut -d' ' -f1):9000"
    )
    assert "I'm up" not in refused.stdout


def test_no_secret_is_on_a_command_line_or_in_the_journal(host):
    """Nor the key store's password in what systemd shows."""
    with host.sudo():
        secrets = [host.check_output("cat /var/lib/tessera/keystore.password")]
        secrets += [host.check_output(f"cat {PLACE}/{name}/geth/geth/nodekey") for name in NODES]
        seen = host.check_output("ps -ewwo args; journalctl --no-pager -o cat; systemctl show '*'")
    for secret in secrets:
        assert len(secret) >= 32
        assert secret not in seen


def test_one_genesis_for_all(host):
    """Each node's first block is that of the file."""
    first = {rpc(host, name, "eth_getBlockByNumber", "0x0", False)["hash"] for name in NODES}
    assert len(first) == 1
