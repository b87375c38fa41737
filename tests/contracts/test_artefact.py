"""The committed artefact is the sources' and fits the engine."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from contract_bed import Station, load_artefact, type_of

CONTRACTS = Path(__file__).parents[2] / "contracts"
ARCHITECTURE = Path(__file__).parents[2] / "docs/architecture.md"


def test_the_artefact_belongs_to_the_sources():
    """Its hash is that of the committed sources, so a change without a build shows at once."""
    sources = {
        path.name: {"content": path.read_text("utf-8")} for path in sorted(CONTRACTS.glob("*.sol"))
    }
    text = json.dumps(sources, ensure_ascii=False, separators=(",", ":"))
    assert load_artefact()["sourceHash"] == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_the_artefact_is_what_the_compiler_makes():
    """Building again gives the same file, byte for byte."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the contract cannot be compiled here")
    if not (CONTRACTS / "node_modules/solc").is_dir():
        pytest.skip("the compiler is not installed: run npm ci in contracts/")
    result = subprocess.run(
        [node, "build.mjs", "--check"], cwd=CONTRACTS, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_code_fits_without_raising_a_limit():
    """The code is below EIP-170's 24,576 bytes and carries no metadata that differs by machine."""
    artefact = load_artefact()
    code = bytes.fromhex(artefact["deployedBytecode"][2:])
    assert len(code) < 24_576
    assert artefact["settings"]["evmVersion"] == "berlin"
    assert artefact["settings"]["metadata"] == {"bytecodeHash": "none", "appendCBOR": False}


def test_the_code_keeps_to_berlin():
    """No instruction is younger than GoQuorum's EVM; pyrevm runs such whatever it is told."""
    younger = {
        0x48: "BASEFEE",
        0x49: "BLOBHASH",
        0x4A: "BLOBBASEFEE",
        0x5C: "TLOAD",
        0x5D: "TSTORE",
        0x5E: "MCOPY",
        0x5F: "PUSH0",
    }
    for name in ("bytecode", "deployedBytecode"):
        code = bytes.fromhex(load_artefact()[name][2:])
        at, found = 0, set()
        while at < len(code):
            if code[at] in younger:
                found.add(younger[code[at]])
            at += 1 + (code[at] - 0x5F if 0x60 <= code[at] <= 0x7F else 0)
        assert found == set(), name


def test_the_deployed_code_is_the_artefacts():
    """A party can compare eth_getCode with the artefact: nothing in the code is a station's own."""
    station = Station()
    code = bytes(station.evm.get_code(station.address))
    assert code.rstrip(b"\0") == bytes.fromhex(load_artefact()["deployedBytecode"][2:]).rstrip(
        b"\0"
    )


def test_the_abi_is_the_documented_one():
    """Every function, event and error of docs/architecture.md is in the ABI, and no other."""
    block = ARCHITECTURE.read_text("utf-8").split("```solidity")[1].split("```")[0]
    functions = set(re.findall(r"function (\w+)\(", block))
    errors = set(re.findall(r"\b(\w+)\(", block.split("errors:")[1]))
    events = set(re.findall(r"event (\w+)\(", block))
    abi = load_artefact()["abi"]
    named = {
        kind: {i["name"] for i in abi if i["type"] == kind}
        for kind in ("function", "error", "event")
    }
    assert named == {"function": functions, "error": errors, "event": events}


def test_the_structs_are_the_documented_ones():
    """The types that a caller encodes are those of docs/architecture.md, in their order."""
    functions = {i["name"]: i for i in load_artefact()["abi"] if i["type"] == "function"}
    ticket = (
        "(string,bytes32,uint32,uint64,bytes32,bytes32,int64,int64,int64,bytes32,(bytes32,int64)[])"
    )
    assert type_of(functions["register"]["inputs"][0]) == ticket
    assert type_of(functions["registerMany"]["inputs"][0]) == f"{ticket}[]"
    assert type_of(functions["registerPacked"]["inputs"][0]) == "bytes"
    page, following = functions["query"]["outputs"]
    assert (type_of(page), type_of(following)) == (f"({ticket},uint64,uint64)[]", "uint256")
    assert type_of(functions["query"]["inputs"][0]) == (
        "(string,bytes32,uint32,uint32,uint64,uint64,bytes32,bytes32,bytes32,"
        "int64,int64,int64,int64,int64,int64,bytes32,int64,int64,bool)"
    )


def test_everything_is_documented():
    """NatSpec stands on every function, error and event."""
    artefact = load_artefact()
    notices = artefact["userdoc"]
    for item in artefact["abi"]:
        if item["type"] in ("function", "error", "event"):
            kind = {"function": "methods", "error": "errors", "event": "events"}[item["type"]]
            signature = f"{item['name']}({','.join(type_of(each) for each in item['inputs'])})"
            found = notices.get(kind, {}).get(signature)
            assert found, signature
