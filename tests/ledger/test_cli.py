"""`steelyard verify`, as its user runs it."""

import asyncio
import json
import sys

import pytest
from builders import ticket

from steelyard.errors import ConfigurationError
from steelyard.ledger.cli import read_claim
from steelyard.smartbox.display.book import Entry
from steelyard.smartbox.display.code import Code, make_code

RECEIPT = {"ticketID": "a-1", "transactionHash": "0x" + 64 * "a", "blockNumber": 3}


async def run(*arguments: str, command: str = "verify") -> tuple[int, str, str]:
    """Exit status, output and errors of the command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from steelyard.cli import main; main()",
        command,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_a_good_receipt_is_proved_in_words(tmp_path, ledger, writer, customer_view):
    """Status 0, the verdict, and what is not proved."""
    (outcome,) = await ledger.register(writer, [ticket()])
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(outcome.receipt.model_dump(mode="json")))
    node = customer_view.node
    status, output, errors = await run(
        str(file), "--node", node.rpc_url, "--tessera", node.tessera_url, "--contract",
        customer_view.address,
    )  # fmt: skip

    assert (status, errors) == (0, "")
    assert f"Proved: the ticket {ticket().id} was registered" in output
    assert "FAILS" not in output
    assert "Not proved by this:" in output
    assert "has none to compare" in output
    assert "came from the file" not in output
    assert f"The privacy manager holds {node.tessera_key};" in output
    status, output, errors = await run(
        str(file), "--node", node.rpc_url, "--tessera", "http://127.0.0.1:9", "--contract",
        customer_view.address,
    )  # fmt: skip
    assert status == 0
    assert "does not tell its keys" in errors


async def test_the_code_on_a_printed_ticket_is_proved(tmp_path, ledger, writer):
    """What a camera's library reads in the display's code is a file for the command."""
    pytest.importorskip("zxingcpp")
    (outcome,) = await ledger.register(writer, [ticket()])
    file = tmp_path / "scanned.json"
    file.write_text(scan(make_code(Entry(ticket(), 1, "registered", outcome.receipt, None))))
    status, output, errors = await run(
        str(file), "--node", writer.view.node.rpc_url, "--contract", writer.view.address
    )
    assert (status, errors) == (0, "")
    assert f"Proved: the ticket {ticket().id} was registered" in output
    assert "has none to compare" not in output


def scan(code: Code) -> str:
    """What is read in a code."""
    import zxingcpp
    from PIL import Image

    rows = code.rows()
    image = Image.new("L", (len(rows), len(rows)))
    image.putdata([0 if dark else 255 for row in rows for dark in row])
    size = (4 * len(rows), 4 * len(rows))
    (found,) = zxingcpp.read_barcodes(image.resize(size, Image.Resampling.NEAREST))
    return found.text


async def test_options_say_how_far_the_proof_goes(tmp_path, engine, ledger, writer):
    """Blocks walked, seals required, validators of one's own; what is left out is named."""
    (outcome,) = await ledger.register(writer, [ticket()])
    await ledger.register(writer, [ticket(2)])
    file, listed = tmp_path / "receipt.json", tmp_path / "validators"
    file.write_text(json.dumps(outcome.receipt.model_dump(mode="json")))
    listed.write_text("0x" + 40 * "1")
    common = (str(file), "--node", writer.view.node.rpc_url, "--contract", writer.view.address)

    status, output, _ = await run(*common)
    assert status == 0
    assert "holds  The blocks after it follow one another" in output
    status, output, _ = await run(*common, "--blocks", "0")
    assert status == 0
    assert "that later blocks build on block" in output
    status, output, _ = await run(*common, "--require-seals")
    assert status == (1 if engine.name == "sandbox" else 0)
    assert "A quorum of validators sealed the block" in output
    status, output, _ = await run(*common, "--validators", str(listed))
    assert status == 1
    assert "FAILS  The block's validators are those that you trust" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--blocks", "some"], "must be a number of blocks, or all"),
        (["--blocks", "-1"], "must be a number of blocks, or all"),
        (["--validators", "a", "--genesis", "b"], "give one of them"),
        (["--validators", "none"], "No such file"),
    ],
)
async def test_bad_options_are_named(tmp_path, options, message):
    """One sentence, before any node is asked."""
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(RECEIPT))
    status, _, errors = await run(
        str(file), "--node", "http://127.0.0.1:9", "--contract", "0x" + 40 * "1", *options
    )
    assert status != 0
    assert message in errors


async def test_an_export_is_written_checked_and_gone_on_with(tmp_path, ledger, writer):
    """The two commands, as their user runs them, and what they say."""
    await ledger.register(writer, [ticket(1), ticket(2)])
    file = str(tmp_path / "station.ndjson.gz")
    node = writer.view.node.rpc_url
    common = ("--node", node, "--contract", writer.view.address, "-o", file)
    status, output, errors = await run(*common, command="export")
    assert (status, errors) == (0, "")
    assert "2 tickets in 1 transactions and 1 blocks" in output
    status, _, errors = await run(*common, command="export")
    assert status == 1
    assert "--resume goes on with it" in errors
    await ledger.register(writer, [ticket(3)])
    status, output, _ = await run(*common, "--resume", command="export")
    assert status == 0
    assert "Went on with ticket 3." in output
    digest = output.split()[-1]

    status, output, errors = await run(file, "--digest", digest, command="export-check")
    assert (status, errors) == (0, "")
    assert "3 tickets are those of the payloads" in output
    assert "only a party's node can say so" in output
    status, output, _ = await run(file, "--node", node, command="export-check")
    assert status == 0
    assert "2 payloads are the node's" in output
    assert "Complete: the contract held 3 tickets" in output
    status, _, errors = await run(file, "--digest", "00", command="export-check")
    assert status == 1
    assert digest in errors


async def test_a_damaged_export_is_one_line(tmp_path, ledger, writer):
    """The file, the line and the reason; no traceback. So is a file that is not there."""
    file = tmp_path / "station.ndjson"
    await ledger.exporter(writer.view).export(file)
    file.write_bytes(
        file.read_bytes().replace(b'"total":0', b'"total":1').replace(b"1337", b"1338")
    )
    for path, message in ((file, "line 2"), (tmp_path / "none", "No such file")):
        status, output, errors = await run(str(path), command="export-check")
        assert (status, output) == (1, "")
        assert errors.count("\n") == 1
        assert message in errors


async def test_an_export_needs_a_place_and_a_range(tmp_path):
    """A directory that is not there, and an end before the beginning, are one line each."""
    common = ("--node", "http://127.0.0.1:9", "--contract", "0x" + 40 * "1")
    file = str(tmp_path / "x.ndjson")
    status, _, errors = await run(*common, "-o", file, "--from", "2", "--to", "1", command="export")
    assert status == 2
    assert "--to must not be below --from" in errors
    status, _, errors = await run(*common, "-o", file, command="export")
    assert status == 1
    assert "cannot be reached" in errors
    assert not (tmp_path / "x.ndjson").exists()


async def test_a_proof_document_is_compared_with_its_ticket(tmp_path, ledger, writer):
    """The tickets API's document compares its ticket; an altered one has status 1."""
    (outcome,) = await ledger.register(writer, [ticket()])
    receipt = outcome.receipt.model_dump(mode="json")
    altered = ticket().as_json() | {"vehicle": "other"}
    claim = receipt | {"contractAddress": writer.view.address, "holds": True, "checks": []}
    for document, expected in ((ticket().as_json(), 0), (altered, 1)):
        file = tmp_path / "proof.json"
        file.write_text(json.dumps(claim | {"ticket": document}))
        status, output, _ = await run(str(file), "--node", writer.view.node.rpc_url)
        assert status == expected
        assert ("NOT proved: 1 of" in output) == bool(expected)
        assert "has none to compare" not in output
        assert "its address came from the file" in output


async def test_a_dead_node_is_one_line(tmp_path):
    """No node: one sentence on stderr, status 1, no traceback."""
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(RECEIPT))
    address = "0x" + 40 * "1"
    status, output, errors = await run(
        str(file), "--node", "http://127.0.0.1:9", "--contract", address
    )
    assert (status, output) == (1, "")
    assert errors.count("\n") == 1
    assert "cannot be reached" in errors


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "must hold a JSON object"),
        (b"{}", "ticketID"),
        (json.dumps(RECEIPT | {"blockNumber": -1}).encode(), "blockNumber"),
        (json.dumps(RECEIPT | {"blockNumber": 1.5}).encode(), "blockNumber"),
        (json.dumps(RECEIPT | {"transactionHash": "0x12"}).encode(), "transactionHash"),
        (json.dumps(RECEIPT | {"ticket": {}}).encode(), "ticketID"),
        (json.dumps(RECEIPT | {"ticket": 7}).encode(), "the ticket"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    """What is wrong with the file is said with its name and the member's."""
    file = tmp_path / "receipt.json"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_claim(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    """A file that is not there is said to be so."""
    with pytest.raises(ConfigurationError, match="No such file"):
        read_claim(tmp_path / "none.json")


async def test_a_contract_must_be_named(tmp_path):
    """Without an address, given or in the file, the usage is explained."""
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(RECEIPT))
    status, _, errors = await run(str(file), "--node", "http://127.0.0.1:9")
    assert status == 2
    assert "--contract is missing" in errors


async def test_deeply_nested_json_is_one_line(tmp_path):
    """A file made to exhaust the reader is refused like any other that is no JSON."""
    file = tmp_path / "receipt.json"
    file.write_bytes(b"[" * 200_000)
    status, _, errors = await run(str(file), "--node", "http://127.0.0.1:9")
    assert status == 1
    assert errors.count("\n") == 1
    assert "is not JSON" in errors
