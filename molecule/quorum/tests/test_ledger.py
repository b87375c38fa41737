"""The running ledger: who makes blocks, who knows whom, what answers."""

from ledger import NODES, STEELYARD, needs_engines, rpc

pytestmark = needs_engines


def test_units_run(host):
    """Each node and its privacy manager."""
    for node in NODES:
        assert host.service(f"steelyard-tessera-{node.name}").is_running
        assert host.service(f"steelyard-quorum-{node.name}").is_running


def test_blocks_come_and_the_described_validators_make_them(host, keys):
    """A station's node follows and does not vote."""
    station = next(node for node in NODES if not node.validator)
    voting = {one.lower() for one in rpc(host, station, "istanbul_getValidators", "latest")}
    assert voting == {keys[node.name]["address"].lower() for node in NODES if node.validator}
    assert int(rpc(host, station, "eth_blockNumber"), 16) > 3
    for node in NODES:
        assert int(rpc(host, node, "net_peerCount"), 16) == len(NODES) - 1


def test_privacy_managers_know_each_other(host, keys):
    """Over TLS, by which both sides prove themselves."""
    known = " ".join(f"--key '{one['tessera_public_key']}'" for one in keys.values())
    for node in NODES:
        with host.sudo():
            host.check_output(
                f"{STEELYARD} node status --rpc http://127.0.0.1:{node.rpc_port} "
                f"--tessera unix:{node.sockets}/api.sock --peers {len(NODES) - 1} {known}"
            )


def test_a_stranger_is_refused_by_the_privacy_managers(host):
    """Without a certificate of the authority nobody speaks to the peers' port."""
    said = host.run("openssl s_client -connect $(hostname -I | cut -d' ' -f1):9000 </dev/null")
    assert "Acceptable client certificate CA names" in said.stdout + said.stderr
    refused = host.run(
        "(printf 'GET /upcheck HTTP/1.0\\r\\n\\r\\n'; sleep 1) | "
        "openssl s_client -quiet -connect $(hostname -I | cut -d' ' -f1):9000"
    )
    assert "I'm up" not in refused.stdout


def test_every_node_is_on_the_genesis_that_is_here(host):
    """Each node's first block is that of the file, and one for all."""
    for node in NODES:
        with host.sudo():
            host.check_output(
                f"{STEELYARD} node check --directory {node.directory} "
                f"--rpc http://127.0.0.1:{node.rpc_port}"
            )
    first = {rpc(host, node, "eth_getBlockByNumber", "0x0", False)["hash"] for node in NODES}
    assert len(first) == 1
