"""The rules by which scenarios judge the engines' files find what is wrong with one.

A rule that found nothing would make the scenario `quorum` pass whatever the roles write.
"""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import rlp

from steelyard.network.genesis import extra_data, genesis
from steelyard.network.settings import NetworkSettings

sys.path.append(str(Path(__file__).resolve().parents[2] / "molecule/shared"))

from engine_rules import (
    genesis_problems,
    genesis_validators,
    member_problems,
    tessera_problems,
)

ADDRESSES = [f"0x{n:02x}{'0' * 38}" for n in (1, 2, 3, 4)]
KEY = "ab" * 64
MEMBER = f"enode://{KEY}@192.0.2.1:30303?discport=0"
PASSWORD = "correct horse battery staple, and more of it"


def good_genesis() -> dict[str, Any]:
    """What `steelyard node genesis` writes."""
    settings = NetworkSettings.model_construct(
        consensus="qbft", chain_id=1337, block_period=1, empty_block_period=5
    )
    return genesis(settings, ADDRESSES)


def good_tessera() -> dict[str, Any]:
    """What role tessera writes."""
    store = {
        f"{side}{name}": value
        for side in ("server", "client")
        for name, value in {
            "KeyStore": "/var/lib/tessera/keystore.p12",
            "KeyStorePassword": PASSWORD,
            "TrustMode": "CA",
            "TrustCertificates": ["/etc/steelyard/pki/ca.pem"],
        }.items()
    }
    rest = {"enabled": True, "communicationType": "REST"}
    return {
        "useWhiteList": False,
        "jdbc": {
            "username": "sa",
            "password": "",
            "url": "jdbc:h2:/x/database;MODE=Oracle;WRITE_DELAY=0",
            "autoCreateTables": True,
        },
        "serverConfigs": [
            {"app": "Q2T", "serverAddress": "unix:/run/x/tm.ipc", **rest},
            {"app": "ThirdParty", "serverAddress": "unix:/run/x/api.sock", **rest},
            {
                "app": "P2P",
                "serverAddress": "https://192.0.2.1:9000",
                "bindingAddress": "https://0.0.0.0:9000",
                "sslConfig": {"tls": "STRICT", "generateKeyStoreIfNotExisted": False, **store},
                **rest,
            },
        ],
        "peer": [{"url": "https://192.0.2.1:9000"}],
        "keys": {
            "passwords": [],
            "keyData": [{"privateKeyPath": "/x/tm.key", "publicKeyPath": "/x/tm.pub"}],
        },
        "alwaysSendTo": [],
    }


def changed(document: Any, place: str, value: Any) -> Any:
    """A copy with another value at a place; None takes the member away."""
    document = copy.deepcopy(document)
    *path, last = [int(one) if one.isdigit() else one for one in place.split("/")]
    inner = document
    for one in path:
        inner = inner[one]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return document


def extra(*parts: Any) -> str:
    """An extraData of these parts."""
    return "0x" + rlp.encode(list(parts)).hex()


def test_what_is_as_it_must_be_has_no_findings():
    """So a finding is about the file."""
    assert genesis_problems(good_genesis()) == []
    assert genesis_validators(good_genesis()) == ADDRESSES
    assert member_problems([MEMBER]) == []
    assert tessera_problems(good_tessera()) == []


VANITY = bytes(32)
TWO = [bytes.fromhex(one[2:]) for one in ADDRESSES[:2]]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("config/isQuorum", False, "$.config.isQuorum"),
        ("config/isQuorum", None, "$.config"),
        ("config/berlinBlock", 0, "$.config"),
        ("config/petersburgBlock", None, "$.config"),
        ("config/istanbulBlock", 10, "$.config.istanbulBlock"),
        ("config/istanbul", {"epoch": 30_000}, "$.config"),
        ("config/qbft", None, "$.config"),
        ("config/qbft/blockperiodseconds", 0, "$.config.qbft.blockperiodseconds"),
        ("config/qbft/blockperiodseconds", 9, "empty blocks would come faster"),
        ("config/qbft/emptyBlockPeriodSeconds", 5, "$.config.qbft"),
        ("config/txnSizeLimit", 129, "$.config.txnSizeLimit"),
        ("config/maxCodeSizeConfig/0/size", 129, "$.config.maxCodeSizeConfig[0].size"),
        ("config/maxCodeSizeConfig/0/block", 1, "not from block 0 on"),
        ("config/chainId", "1337", "$.config.chainId"),
        ("gasLimit", "0x1000", "would move to 0x29b92700"),
        ("gasLimit", 700_000_000, "$.gasLimit"),
        ("difficulty", "0x0", "$.difficulty"),
        ("mixHash", "0x" + "0" * 64, "$.mixHash"),
        ("extraData", "0x1234", "not rlp("),
        ("extraData", extra(VANITY, TWO, [], b""), "not rlp("),
        ("extraData", extra(b"x" * 32, TWO, [], b"", []), "the vanity"),
        ("extraData", extra(VANITY, TWO, [], b"\x01", []), "a vote, a round or seals"),
        ("extraData", extra(VANITY, [], [], b"", []), "nobody makes blocks"),
        ("extraData", extra(VANITY, [b"x" * 19], [], b"", []), "no address"),
        ("extraData", extra(VANITY, TWO[::-1], [], b"", []), "not in order"),
        ("extraData", extra(VANITY, [TWO[0]] * 2, [], b"", []), "there twice"),
    ],
)
def test_a_wrong_genesis_is_found_out(place, value, said):
    """What GoQuorum refuses, and what it takes in silence and runs otherwise."""
    found = genesis_problems(changed(good_genesis(), place, value))
    assert len(found) == 1
    assert said in found[0]


def test_the_order_of_the_validators_is_the_applications_own():
    """It writes them in order, whichever way they are told."""
    assert extra_data(ADDRESSES[::-1]) == extra_data(ADDRESSES)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "$"),
        ([MEMBER, MEMBER], "$"),
        ({}, "$"),
        ([MEMBER.replace("enode", "http")], "not enode://"),
        ([MEMBER.replace(":30303", "")], "not enode://"),
        ([MEMBER.replace(":30303", ":99999")], "not enode://"),
        ([MEMBER.replace("192.0.2.1", "")], "not enode://"),
        ([MEMBER.replace(KEY, KEY[:-2])], "128 hexadecimal digits"),
        ([MEMBER.replace(KEY, "0x" + KEY[2:])], "128 hexadecimal digits"),
        ([MEMBER.replace("?discport=0", "")], "discport=0"),
        ([MEMBER + "&raftport=50400"], "discport=0"),
    ],
)
def test_a_wrong_list_of_members_is_found_out(members, said):
    """An address that GoQuorum cannot read shuts its node out."""
    found = member_problems(members)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("peers", [], "$"),
        ("peer", [], "$.peer"),
        ("peer/0/url", "http://192.0.2.1:9000", "$.peer[0].url"),
        ("serverConfigs/0/serverAddress", "http://127.0.0.1:9001", "serverConfigs[0]"),
        ("serverConfigs/1/serverAddress", "http://127.0.0.1:9081", "serverConfigs[1]"),
        ("serverConfigs/1/serverAddress", "unix:/run/x/tm.ipc", "one socket"),
        ("serverConfigs/1/serverAddress", "unix:/" + "x" * 107, "longer than"),
        ("serverConfigs/1/enabled", None, "serverConfigs[1]"),
        ("serverConfigs/2/serverAddress", "https://0.0.0.0:9000", "no address that peers"),
        ("serverConfigs/2/serverAddress", "https://192.0.2.1", "serverAddress"),
        ("serverConfigs/2/bindingAddress", "https://0.0.0.0:9001", "another port"),
        ("serverConfigs/2/sslConfig/tls", "OFF", "sslConfig.tls"),
        ("serverConfigs/2/sslConfig", None, "serverConfigs[2]"),
        ("serverConfigs/2/sslConfig/serverTrustMode", "NONE", "serverTrustMode"),
        ("serverConfigs/2/sslConfig/clientTrustMode", "TOFU", "clientTrustMode"),
        ("serverConfigs/2/sslConfig/clientKeyStorePassword", "short", "clientKeyStorePassword"),
        ("serverConfigs/2/sslConfig/clientKeyStore", "/other.p12", "two key stores"),
        ("keys/keyData/0/privateKey", "secret", "$.keys.keyData[0]"),
        ("jdbc/url", "jdbc:h2:/x/database;MODE=Oracle", "before it has written"),
        ("jdbc/url", "jdbc:h2:/x/database;WRITE_DELAY=0500", "before it has written"),
    ],
)
def test_a_wrong_configuration_of_tessera_is_found_out(place, value, said):
    """And no finding shows the key store's password."""
    found = tessera_problems(changed(good_tessera(), place, value))
    assert len(found) == 1
    assert said in found[0]
    assert PASSWORD not in found[0]


def test_another_database_needs_no_setting_of_h2s():
    """PostgreSQL flushes by itself."""
    assert (
        tessera_problems(changed(good_tessera(), "jdbc/url", "jdbc:postgresql://x/tessera")) == []
    )
