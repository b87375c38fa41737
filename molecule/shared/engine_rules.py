"""What the ledger's engines ask of their files, to be checked where there are no engines.

Read from GoQuorum 24.4.1 (params/config.go, core/types/istanbul.go, p2p/enode/urlv4.go) and Tessera
20.10.1 (its classes of the configuration and their validators). Each function gives sentences; none
for a file that is as it must be. The schemas have the names that the engines read and that we
write: what an engine does not know it passes over in silence, so a name more is a finding.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import rlp
from jsonschema import Draft202012Validator

# In the order in which GoQuorum wants them (CheckConfigForkOrder). None after the last: under
# Berlin's rules GoQuorum panics (docs/decisions/network-genesis.md).
FORKS = (
    *("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg"),
    *("istanbul", "muirGlacier"),
)
ISTANBUL_DIGEST = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
# DefaultMinGasLimit: below it, and above it, a node moves its blocks' limit.
GAS_LIMIT = 700_000_000
VANITY_BYTES = 32
ADDRESS_BYTES = 20
# QBFTExtra: vanity, validators, vote, round, seals.
EXTRA_PARTS = 5
# sun_path, without its closing byte.
SOCKET_PATH = 107


def _object(properties: Mapping[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_COUNT = {"type": "integer", "minimum": 0}
_POSITIVE = {"type": "integer", "minimum": 1}
_QUANTITY = {"type": "string", "pattern": "^0x(0|[1-9a-f][0-9a-f]*)$"}
# A fork's block is 0: a fork that is switched on later makes two kinds of blocks.
_GENESIS = _object(
    {
        "config": _object(
            {
                **{f"{fork}Block": {"const": 0} for fork in FORKS},
                "chainId": _POSITIVE,
                # Without it GoQuorum is plain Ethereum and takes no private transaction.
                "isQuorum": {"const": True},
                "txnSizeLimit": {"type": "integer", "minimum": 32, "maximum": 128},
                "maxCodeSizeConfig": {
                    "type": "array",
                    "minItems": 1,
                    "items": _object(
                        {
                            "block": _COUNT,
                            "size": {"type": "integer", "minimum": 24, "maximum": 128},
                        }
                    ),
                },
                "qbft": _object(
                    {
                        "epochlength": _POSITIVE,
                        "blockperiodseconds": _POSITIVE,
                        "emptyblockperiodseconds": _POSITIVE,
                        "requesttimeoutseconds": _POSITIVE,
                        "policy": {"enum": [0, 1]},
                        "ceil2Nby3Block": _COUNT,
                    },
                    "emptyblockperiodseconds",
                ),
            }
        ),
        "nonce": {"const": "0x0"},
        "timestamp": {"const": "0x0"},
        "gasLimit": _QUANTITY,
        "difficulty": {"const": "0x1"},
        "mixHash": {"const": ISTANBUL_DIGEST},
        "coinbase": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
        "alloc": {"type": "object"},
        "extraData": {"type": "string", "pattern": "^0x([0-9a-f]{2})+$"},
    }
)

_PATH = {"type": "string", "pattern": "^/[^\\s]+$"}
_SECRET = {"type": "string", "minLength": 32}
_PEER_URL = {"type": "string", "pattern": "^https://[^/:]+:[0-9]+$"}
_LOCAL_SERVER = {
    "enabled": {"const": True},
    "communicationType": {"const": "REST"},
    "serverAddress": {"type": "string", "pattern": "^unix:/"},
}
_TLS = _object(
    {
        "tls": {"const": "STRICT"},
        "generateKeyStoreIfNotExisted": {"const": False},
        **{
            f"{side}{name}": schema
            for side in ("server", "client")
            for name, schema in {
                "KeyStore": _PATH,
                "KeyStorePassword": _SECRET,
                "TrustMode": {"const": "CA"},
                "TrustCertificates": {"type": "array", "items": _PATH, "minItems": 1},
            }.items()
        },
    }
)
_TESSERA = _object(
    {
        "useWhiteList": {"type": "boolean"},
        "jdbc": _object(
            {
                "username": {"type": "string"},
                "password": {"type": "string"},
                "url": {"type": "string", "pattern": "^jdbc:[a-z0-9]+:"},
                "autoCreateTables": {"type": "boolean"},
            }
        ),
        "serverConfigs": {
            "type": "array",
            "prefixItems": [
                _object({"app": {"const": "Q2T"}, **_LOCAL_SERVER}),
                _object({"app": {"const": "ThirdParty"}, **_LOCAL_SERVER}),
                _object(
                    {
                        "app": {"const": "P2P"},
                        "enabled": {"const": True},
                        "communicationType": {"const": "REST"},
                        "serverAddress": _PEER_URL,
                        "bindingAddress": _PEER_URL,
                        "sslConfig": _TLS,
                    }
                ),
            ],
            "items": False,
            "minItems": 3,
        },
        "peer": {"type": "array", "items": _object({"url": _PEER_URL}), "minItems": 1},
        "keys": _object(
            {
                "passwords": {"type": "array", "maxItems": 0},
                "keyData": {
                    "type": "array",
                    "minItems": 1,
                    "items": _object({"privateKeyPath": _PATH, "publicKeyPath": _PATH}),
                },
            }
        ),
        "alwaysSendTo": {"type": "array", "maxItems": 0},
    }
)


def genesis_problems(document: Any) -> list[str]:
    """What GoQuorum would refuse, or run otherwise than as QBFT without surprises."""
    found = _against(_GENESIS, document)
    return found or [*_limits(document), *_extra_data(document["extraData"])]


def genesis_validators(document: Mapping[str, Any]) -> list[str]:
    """The addresses that make the first blocks: 0x and small hexadecimal digits."""
    return ["0x" + one.hex() for one in rlp.decode(bytes.fromhex(document["extraData"][2:]))[1]]


def member_problems(members: Any) -> list[str]:
    """What is wrong with static-nodes.json or permissioned-nodes.json."""
    found = _against(
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}, members
    )
    return found or [problem for one in members for problem in _enode(one)]


def tessera_problems(document: Any) -> list[str]:
    """What Tessera would refuse, pass over in silence, or open to more than its peers."""
    found = _against(_TESSERA, document)
    return found or [*_servers(document["serverConfigs"]), *_database(document["jdbc"]["url"])]


def _against(schema: Mapping[str, Any], document: Any) -> list[str]:
    errors = Draft202012Validator(schema).iter_errors(document)
    # Not the value: a configuration holds a password.
    return [f"{error.json_path}: not as {json.dumps(_told(error))}" for error in errors]


def _told(error: Any) -> dict[str, Any]:
    wanted = error.validator_value
    return {error.validator: sorted(wanted) if isinstance(wanted, dict) else wanted}


def _limits(document: Mapping[str, Any]) -> Iterator[str]:
    if int(document["gasLimit"], 16) != GAS_LIMIT:
        yield f"$.gasLimit: {document['gasLimit']} would move to {GAS_LIMIT:#x}, block by block"
    blocks = [one["block"] for one in document["config"]["maxCodeSizeConfig"]]
    if blocks[0] != 0 or any(one > other for one, other in pairwise(blocks)):
        yield "$.config.maxCodeSizeConfig: not from block 0 on in ascending order"
    qbft = document["config"]["qbft"]
    if qbft.get("emptyblockperiodseconds", qbft["blockperiodseconds"]) < qbft["blockperiodseconds"]:
        yield "$.config.qbft: empty blocks would come faster than others"


def _extra_data(text: str) -> Iterator[str]:
    """As types.ExtractQBFTExtra reads it; the order is that of a fresh validator set."""
    try:
        parts = rlp.decode(bytes.fromhex(text[2:]))
    except rlp.exceptions.RLPException:
        parts = None
    if not isinstance(parts, list) or len(parts) != EXTRA_PARTS:
        yield "$.extraData: not rlp([vanity, validators, vote, round, seals])"
        return
    vanity, validators, *rest = parts
    if vanity != bytes(VANITY_BYTES):
        yield f"$.extraData: the vanity is not {VANITY_BYTES} zero bytes"
    if rest != [[], b"", []]:
        yield "$.extraData: the first block has a vote, a round or seals"
    if not isinstance(validators, list) or not validators:
        yield "$.extraData: nobody makes blocks"
    elif any(not isinstance(one, bytes) or len(one) != ADDRESS_BYTES for one in validators):
        yield "$.extraData: a validator is no address"
    elif validators != sorted(set(validators)):
        yield "$.extraData: the validators are not in order, or one is there twice"


def _enode(url: str) -> Iterator[str]:
    """As ParseV4 reads it; discport=0 says that nothing listens on UDP."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.scheme != "enode" or not parts.hostname or parts.path:
        yield f"{url}: not enode://KEY@HOST:PORT"
        return
    if not re.fullmatch("[0-9a-f]{128}", parts.username or ""):
        yield f"{url}: the public key is not 128 hexadecimal digits"
    if parse_qs(parts.query) != {"discport": ["0"]}:
        yield f"{url}: not with discport=0 and nothing else"


def _servers(servers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    *local, peers = servers
    sockets = [one["serverAddress"].removeprefix("unix:") for one in local]
    if len(set(sockets)) != len(sockets):
        yield "$.serverConfigs: both local servers have one socket"
    yield from (
        f"{one}: longer than a socket's path may be" for one in sockets if len(one) > SOCKET_PATH
    )
    told, bound = urlsplit(peers["serverAddress"]), urlsplit(peers["bindingAddress"])
    if told.hostname == "0.0.0.0":  # noqa: S104 - what Tessera refuses
        yield "$.serverConfigs[2].serverAddress: no address that peers can call"
    if told.port != bound.port:
        yield "$.serverConfigs[2]: peers are told another port than it listens on"
    if peers["sslConfig"]["serverKeyStore"] != peers["sslConfig"]["clientKeyStore"]:
        yield "$.serverConfigs[2].sslConfig: the host has one certificate, and two key stores"


def _database(url: str) -> Iterator[str]:
    """docs/decisions/tessera-durability.md: a payload that was taken must be on the disk."""
    if url.startswith("jdbc:h2:") and "WRITE_DELAY=0" not in url.split(";"):
        yield "$.jdbc.url: H2 would answer before it has written"
