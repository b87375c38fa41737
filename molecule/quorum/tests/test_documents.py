"""What the engines and the gateway read: against schemas, and against the engines' own rules."""

import json
import tomllib
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID
from engine_rules import (
    genesis_problems,
    genesis_validators,
    member_problems,
    tessera_problems,
)

from ledger import NODES, PKI, PLACE, STEELYARD, address, document
from steelyard.gateway.settings import GatewaySettings

STORE = "/var/lib/tessera/keystore"
each_node = pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)


def certificate(host, name: str) -> x509.Certificate:
    """A certificate of the host."""
    return x509.load_pem_x509_certificate(host.file(f"{PKI}/{name}.pem").content)


def test_the_genesis_is_one_that_goquorum_takes(host):
    """By the schema and by the rules of its sources; geth itself has read it where there is one."""
    assert genesis_problems(document(host, f"{PLACE}/genesis.json")) == []


def test_the_genesis_is_the_described_networks(host, keys):
    """Chain id, periods, and the validators: the network's and the customers', no station's."""
    genesis = document(host, f"{PLACE}/genesis.json")
    assert genesis["config"]["chainId"] == 1337
    assert genesis["config"]["qbft"]["blockperiodseconds"] == 1
    assert genesis["config"]["qbft"]["emptyblockperiodseconds"] == 5
    assert int(genesis["gasLimit"], 16) == 700_000_000
    voting = {keys[node.name]["address"].lower() for node in NODES if node.validator}
    assert len(voting) == len(NODES) - 1
    assert genesis_validators(genesis) == sorted(voting)


@each_node
def test_keys_and_genesis_belong_together(host, keys, node):
    """As `steelyard node check` finds them; a station's node could vote, and does not."""
    with host.sudo():
        digest = host.file(f"{PLACE}/genesis.json").sha256sum
        told = json.loads(
            host.check_output(
                f"{STEELYARD} node check --directory {node.directory} --sha256 {digest}"
            )
        )
    assert told["address"] == keys[node.name]["address"]
    assert (told["genesis"], told["chain_id"], told["may_vote"]) == (digest, 1337, True)
    assert (told["address"] in told["validators"]) == node.validator


def test_keys_are_each_nodes_own(keys):
    """Five of each kind."""
    for kind in ("address", "identity", "tessera_public_key"):
        assert len({one[kind] for one in keys.values()}) == len(NODES)


@each_node
def test_the_members_are_all_nodes_where_they_are(host, keys, node):
    """The same list for who is called and for who may call: key, address and port of each."""
    wanted = {
        f"enode://{keys[one.name]['identity']}@{address(host)}:{one.peer_port}?discport=0"
        for one in NODES
    }
    for name in ("static-nodes", "permissioned-nodes"):
        members = document(host, f"{node.directory}/geth/{name}.json")
        assert member_problems(members) == []
        assert set(members) == wanted


@each_node
def test_a_node_listens_to_its_peers_at_its_own_port(host, node):
    """And says nothing else in this file."""
    with host.sudo():
        told = tomllib.loads(host.file(f"{node.directory}/geth.toml").content_string)
    assert told == {"Node": {"P2P": {"ListenAddr": f"0.0.0.0:{node.peer_port}"}}}


@each_node
def test_a_privacy_managers_configuration_is_one_that_tessera_takes(host, node):
    """Names as it reads them, and every path and address that node's own."""
    told = document(host, f"{node.directory}/tessera/config.json")
    assert tessera_problems(told) == []
    q2t, clients, peers = told["serverConfigs"]
    assert q2t["serverAddress"] == f"unix:{node.sockets}/tm.ipc"
    assert clients["serverAddress"] == f"unix:{node.sockets}/api.sock"
    assert peers["serverAddress"] == f"https://{address(host)}:{node.privacy_port}"
    assert urlsplit(peers["bindingAddress"]).port == node.privacy_port
    place = f"{node.directory}/tessera"
    assert told["keys"]["keyData"] == [
        {"privateKeyPath": f"{place}/tm.key", "publicKeyPath": f"{place}/tm.pub"}
    ]
    assert told["jdbc"]["url"].startswith(f"jdbc:h2:{place}/database;")
    assert peers["sslConfig"]["serverKeyStore"] == f"{STORE}.p12"
    assert peers["sslConfig"]["serverTrustCertificates"] == [f"{PKI}/ca.pem"]
    assert peers["sslConfig"]["clientTrustCertificates"] == [f"{PKI}/ca.pem"]


def test_privacy_managers_are_told_of_each_other(host):
    """All five, in each one's configuration."""
    wanted = {f"https://{address(host)}:{node.privacy_port}" for node in NODES}
    for node in NODES:
        told = document(host, f"{node.directory}/tessera/config.json")
        assert {one["url"] for one in told["peer"]} == wanted


def test_the_hosts_certificate_proves_it_to_both_sides(host):
    """Signed by the consortium's authority, for this address, to serve and to call."""
    with host.sudo():
        own, authority = certificate(host, "node"), certificate(host, "ca")
    own.verify_directly_issued_by(authority)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(address(host))]
    assert names.get_values_for_type(x509.DNSName) == ["ledger"]
    uses = set(own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert uses == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_the_key_store_holds_the_hosts_certificate_and_key(host):
    """It opens with the password in every configuration, and with no other."""
    with host.sudo():
        password = host.file(f"{STORE}.password").content_string.strip()
        store = host.file(f"{STORE}.p12").content
        own = certificate(host, "node")
    for node in NODES:
        peers = document(host, f"{node.directory}/tessera/config.json")["serverConfigs"][2]
        for side in ("server", "client"):
            assert peers["sslConfig"][f"{side}KeyStorePassword"] == password
    key, held, _ = pkcs12.load_key_and_certificates(store, password.encode())
    assert held == own
    assert key.public_key() == own.public_key()
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_key_and_certificates(store, password[::-1].encode())


def test_java_opens_the_key_store_as_tessera_does(host):
    """As a store of type JKS; `keytool` has the reader that Tessera uses."""
    with host.sudo():
        told = host.check_output(
            f"keytool -J-Duser.language=en -list -keystore {STORE}.p12 -storetype JKS "
            f"-storepass:file {STORE}.password"
        )
        digest = certificate(host, "node").fingerprint(hashes.SHA256()).hex(":").upper()
    assert "tessera-node" in told
    assert "PrivateKeyEntry" in told
    assert digest in told


def test_the_gateway_takes_its_settings(host, tmp_path):
    """By the application's own class: this host's nodes, and the platform for all of them."""
    copy = tmp_path / "gateway.toml"
    with host.sudo():
        copy.write_bytes(host.file("/etc/steelyard/gateway.toml").content)
    settings = GatewaySettings.load(copy)
    assert {(one.name, one.rpc_url, one.tessera) for one in settings.nodes} == {
        (node.name, f"http://127.0.0.1:{node.rpc_port}", f"unix:{node.sockets}/api.sock")
        for node in NODES
    }
    assert [(one.name, one.nodes, one.read_only) for one in settings.clients] == [
        ("platform", ("*",), False)
    ]
    assert (settings.port, settings.metrics_port) == (8600, 8601)
    assert str(settings.client_ca_file) == f"{PKI}/ca.pem"
    assert str(settings.client_crl_file) == f"{PKI}/crl.pem"
    assert str(settings.certificate) == f"{PKI}/node.pem"
