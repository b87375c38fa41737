"""Exports: whole, resumable, checked line by line, and no altered byte passes."""

import asyncio
import gzip
import hashlib
import json
from dataclasses import replace

import pytest
from builders import ticket, tickets
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import KEYS, addresses

from stations import deploy, new_key
from steelyard.ledger import contract
from steelyard.ledger.errors import ContractMissing, ExportDamaged, NodeContradictsItself
from steelyard.ledger.examination import Beside, contract_of, examine
from steelyard.ledger.exportcheck import Checker
from steelyard.ledger.exportfile import Sink, encode_line, read_lines
from steelyard.ledger.seals import Validators


async def fill(ledger, writer):
    """Three tickets in one transaction, then two alone."""
    await ledger.register(writer, tickets(3))
    await ledger.register(writer, [ticket(10)])
    await ledger.register(writer, [ticket(11, vehicle=None)])
    return writer


@pytest.fixture
async def writer(once, engine, ledger):
    """A contract with five tickets, for tests that only read."""

    async def make():
        return await fill(ledger, await deploy(engine, ledger, new_key()))

    return await once("exported", make)


@pytest.fixture
def registered(writer):
    """What is in the contract."""
    return [*tickets(3), ticket(10), ticket(11, vehicle=None)]


@pytest.fixture
async def file(once, tmp_path, ledger, customer_view):
    """The export of these five, from the customer's node."""
    path = tmp_path / "station.ndjson"

    async def make():
        await ledger.exporter(customer_view).export(path)
        return path.read_bytes()

    path.write_bytes(await once("export", make))
    return path


def records(path) -> list[dict]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def kinds(path) -> list[str]:
    return [record["type"] for record in records(path)]


async def test_an_export_holds_every_ticket_once(file, customer_view, registered, engine):
    """A line a ticket in the contract's order, blocks and payloads once, and it proves itself."""
    found = records(file)
    assert [one["ticket"] for one in found if one["type"] == "ticket"] == [
        one.as_json() for one in registered
    ]
    assert kinds(file).count("registration") == 3
    assert found[0]["contract"] == customer_view.address
    assert found[-1]["tickets"] == found[-1]["total"] == 5
    numbers = [one["number"] for one in found if one["type"] == "block"]
    assert numbers == sorted(set(numbers))
    examined = await examine(file)
    assert (examined.progress.tickets, examined.progress.registrations) == (5, 3)
    assert examined.digest == found[-1]["digest"]
    assert examined.progress.sealed == (0 if engine.name == "sandbox" else len(numbers))


async def test_an_export_is_held_against_a_node(file, ledger, customer_view, writer):
    """Both parties' nodes have its payloads, blocks and fingerprints."""
    assert contract_of(file) == customer_view.address
    for view in (customer_view, writer.view):
        examined = await examine(file, beside=Beside(ledger.node(view), view))
        assert (examined.compared, examined.total) == (3, 5)


async def test_a_stranger_has_nothing_to_export(tmp_path, ledger, stranger_view, file):
    """At a node that is no party there is no contract, neither to write nor to compare."""
    with pytest.raises(ContractMissing):
        await ledger.exporter(stranger_view).export(tmp_path / "none.ndjson")
    with pytest.raises(ExportDamaged, match="codeHash"):
        await examine(file, beside=Beside(ledger.node(stranger_view), stranger_view))


async def test_an_export_of_nothing_is_whole(tmp_path, ledger, own_writer):
    """A contract without tickets has an export of two lines that holds."""
    path = tmp_path / "empty.ndjson.gz"
    written = await ledger.exporter(own_writer.view).export(path)
    assert (written.tickets, kinds(path)) == (0, ["header", "end"])
    assert (await examine(path)).progress.end["total"] == 0


async def test_a_range_of_blocks_is_a_part(tmp_path, ledger, writer, file):
    """Only registrations of the blocks asked for; the file knows that there are more."""
    blocks = [one["number"] for one in records(file) if one["type"] == "block"]
    path = tmp_path / "part.ndjson"
    written = await ledger.exporter(writer.view).export(path, blocks[-1], blocks[-1])
    assert written.tickets < 5
    examined = await examine(path)
    assert examined.progress.end["total"] == 5
    assert examined.progress.end["toBlock"] == blocks[-1]


@pytest.mark.parametrize("name", ["again.ndjson", "again.ndjson.gz"])
async def test_an_export_goes_on(tmp_path, ledger, own_writer, name):
    """A complete export takes up what came since, and becomes what a fresh one is."""
    path, fresh = tmp_path / name, tmp_path / f"fresh-{name}"
    exporter = ledger.exporter(own_writer.view)
    await fill(ledger, own_writer)
    await exporter.export(path)
    await ledger.register(own_writer, [ticket(20), ticket(21)])
    written = await exporter.export(path, resume=True)
    assert (written.tickets, written.resumed_at) == (7, 6)
    whole = await exporter.export(fresh)
    assert whole.digest == written.digest
    assert records(path)[:-1] == records(fresh)[:-1]
    await examine(path)


@pytest.mark.parametrize("name", ["torn.ndjson", "torn.ndjson.gz"])
async def test_a_torn_export_goes_on_from_any_place(
    tmp_path, ledger, writer, registered, name, monkeypatch
):
    """Cut at any byte, as by a crash, it is completed to the same digest."""
    from steelyard.ledger import exportfile

    monkeypatch.setattr(exportfile, "_MEMBER", 1)  # a gzip member for every block
    path = tmp_path / name
    exporter = ledger.exporter(writer.view)
    whole = await exporter.export(path)
    content = path.read_bytes()
    resumed = set()
    for cut in [*range(0, len(content), max(len(content) // 25, 1)), len(content) - 1]:
        path.write_bytes(content[:cut])
        written = await exporter.export(path, resume=True)
        resumed.add(written.resumed_at)
        assert written.digest == whole.digest, cut
        assert (await examine(path)).progress.tickets == 5
    assert len(resumed) > 2


@pytest.mark.parametrize("name", ["station.ndjson", "station.ndjson.gz"])
async def test_what_was_written_before_a_failure_is_kept(
    tmp_path, ledger, writer, registered, proxied, proxy, monkeypatch, name
):
    """A node that fails half way leaves whole groups, and the export goes on from there."""
    from steelyard.ledger import export

    monkeypatch.setattr(export, "_EVENTS_AT_ONCE", 1)
    served = 0

    def fail_later(answer):
        nonlocal served
        served += 1
        return answer if served < 3 else "0x"

    path = tmp_path / name
    proxy.change("eth_getQuorumPayload", fail_later)
    with pytest.raises(NodeContradictsItself):
        await ledger.exporter(proxied.view).export(path)
    assert kinds(path)[0] == "header"
    assert 0 < kinds(path).count("ticket") < 5
    written = await ledger.exporter(writer.view).export(path, resume=True)
    assert written.tickets == 5
    assert (await examine(path)).progress.tickets == 5


async def test_a_file_of_something_else_is_not_gone_on_with(tmp_path, ledger, writer, file, engine):
    """Another contract's export, other blocks, or any other file: refused, and left as it is."""
    station, customer, _ = engine.nodes
    twin = await ledger.deploy(writer.key, station, [customer.tessera_key])
    other = ledger.exporter(replace(writer.view, address=twin.address))
    before = file.read_bytes()
    for attempt in (
        other.export(file, resume=True),
        ledger.exporter(writer.view).export(file, 1, resume=True),
    ):
        with pytest.raises(ExportDamaged, match="something else"):
            await attempt
    assert file.read_bytes() == before
    text = tmp_path / "letter.txt"
    text.write_text("Dear Sir,\nyours\n")
    with pytest.raises(ExportDamaged, match="line 1"):
        await other.export(text, resume=True)
    assert text.read_text() == "Dear Sir,\nyours\n"


async def test_an_export_without_its_end_is_refused(file):
    """What a crash left is no proof of anything, and says what it is."""
    content = file.read_bytes()
    file.write_bytes(content[: content.rindex(b'{"type":"end"')])
    with pytest.raises(ExportDamaged, match="no closing line"):
        await examine(file)
    file.write_bytes(content[:-1])
    with pytest.raises(ExportDamaged, match="has no end"):
        await examine(file)
    file.write_bytes(content + b"{}\n")
    with pytest.raises(ExportDamaged, match="line"):
        await examine(file)
    file.write_bytes(b"")
    with pytest.raises(ExportDamaged, match="no closing line"):
        await examine(file)


async def test_any_altered_byte_of_the_file_is_found(file):
    """Any byte of any line, to any other value: refused, with the line."""
    content = file.read_bytes()

    @settings(max_examples=250, deadline=None, database=None)
    @given(st.integers(0, len(content) - 1), st.integers(1, 255))
    def alter(at, flip):
        file.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
        with pytest.raises(ExportDamaged):
            run(examine(file))

    await asyncio.to_thread(alter)


async def test_an_altered_compressed_file_says_the_same_or_is_refused(
    tmp_path, ledger, writer, registered
):
    """A changed byte of a gzip file breaks it, or leaves every line as it was."""
    path = tmp_path / "station.ndjson.gz"
    await ledger.exporter(writer.view).export(path)
    content, lines = path.read_bytes(), records(path)

    @settings(max_examples=150, deadline=None, database=None)
    @given(st.integers(0, len(content) - 1), st.integers(1, 255))
    def alter(at, flip):
        path.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
        try:
            run(examine(path))
        except ExportDamaged:
            return
        assert [json.loads(line.text) for line in read_lines(path)] == lines

    await asyncio.to_thread(alter)


def run(coroutine):
    return asyncio.run(coroutine)


def forged(found: list[dict]) -> bytes:
    """The lines with a digest that fits them, as a forger would write it."""
    text = b"".join(encode_line(record) for record in found[:-1])
    return text + encode_line(found[-1] | {"digest": hashlib.sha256(text).hexdigest()})


def first(found: list[dict], kind: str) -> dict:
    return next(record for record in found if record["type"] == kind)


def flip(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def change(kind: str, **members: object):
    """Other members in the first line of a kind."""
    return lambda found: first(found, kind).update(members)


def turn(kind: str, member: str):
    """Another last digit of a member."""
    return lambda found: first(found, kind).update({member: flip(first(found, kind)[member])})


def drop(kind: str):
    return lambda found: found.remove(first(found, kind))


def double(kind: str):
    return lambda found: found.insert(
        found.index(first(found, kind)), json.loads(json.dumps(first(found, kind)))
    )


def other_transaction(found: list[dict]) -> None:
    listed = first(found, "block")["transactions"]
    listed[0] = flip(listed[0])


# What a forger rewrites, and the reason for which it is found all the same.
FORGERIES = {
    "a block's header": (turn("block", "header"), "header"),
    "a block's hash": (turn("block", "hash"), "hash"),
    "a block's number": (change("block", number=0), "not this block's"),
    "a transaction": (other_transaction, "root"),
    "no transactions": (change("block", transactions=[]), "root"),
    "a ticket's weight": (
        lambda found: first(found, "ticket")["ticket"].update(scaleNet=1),
        "another ticket",
    ),
    "a ticket's index": (change("ticket", index=2), "another index"),
    "a truth for a number": (change("ticket", index=True), "another index"),
    "a fingerprint": (turn("ticket", "fingerprint"), "another fingerprint"),
    "a ticket left out": (drop("ticket"), "ticket"),
    "a registration left out": (drop("registration"), "no ticket must come"),
    "a block left out": (drop("block"), "not of the block before"),
    "a block twice": (double("block"), "out of order"),
    "the contract": (change("header", contract="0x" + 40 * "1"), "does not go to the contract"),
    "the station": (change("header", station="0x" + 40 * "1"), "did not sign"),
    "the version": (change("header", version=2), "version 1"),
    "the first block": (change("header", fromBlock=10**9), "out of order"),
    "the end": (change("end", toBlock=0), "toBlock"),
    "the count": (change("end", tickets=4), "tickets"),
    "the total": (change("end", total=4), "total"),
    "another member": (change("end", more=1), "members"),
    "two headers": (double("header"), "header must be the first"),
    "a payload": (change("registration", payload="0x00"), "registers nothing"),
    "the first index": (change("registration", firstIndex=2), "first index"),
    "a transaction's hash": (
        change("registration", transactionHash="0x" + 64 * "1"),
        "no such transaction",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
async def test_a_forged_file_with_a_fitting_digest_is_found(file, what):
    """Who rewrites the digest as well contradicts a signature, a hash or another line."""
    alter, reason = FORGERIES[what]
    found = records(file)
    alter(found)
    file.write_bytes(forged(found))
    with pytest.raises(ExportDamaged, match=reason):
        await examine(file)


async def test_forged_tickets_are_found_at_a_node(file, ledger, customer_view):
    """Payload, ticket and fingerprint forged together hold alone, and not beside a node."""
    found = records(file)
    place = next(at for at, one in enumerate(found) if one["type"] == "registration")
    good = contract.decode_registration(bytes.fromhex(found[place]["payload"][2:]))
    bad = [good[0].model_copy(update={"vehicle": "forged"}), *good[1:]]
    payload = contract.encode_registration(bad)
    found[place]["payload"] = "0x" + payload.hex()
    found[place + 1]["ticket"] = bad[0].as_json()
    found[place + 1]["fingerprint"] = "0x" + contract.fingerprint(bad[0]).hex()
    file.write_bytes(forged(found))
    await examine(file)
    with pytest.raises(ExportDamaged, match="another payload"):
        await examine(file, beside=Beside(ledger.node(customer_view), customer_view))


async def test_seals_are_needed_on_demand(file, engine):
    """The sandbox's blocks are refused when seals are asked for, a real network's are not."""
    strangers = Validators(frozenset(addresses(KEYS[:3])), "a list")
    with pytest.raises(ExportDamaged, match=r"validators|seals"):
        await examine(file, strangers)
    if engine.name == "sandbox":
        with pytest.raises(ExportDamaged, match="carries no seals"):
            await examine(file, require_seals=True)
    else:
        assert (await examine(file, require_seals=True)).progress.sealed > 0


@pytest.mark.parametrize(
    "lie",
    [
        ("eth_getQuorumPayload", lambda answer: answer + "00", "registers nothing"),
        ("eth_getQuorumPayload", lambda _: "0x", "registers nothing"),
        ("eth_getBlockByNumber", lambda answer: answer | {"stateRoot": "0x" + 64 * "1"}, "hash"),
        ("eth_getLogs", lambda answer: answer[:-1], "events of"),
        ("eth_getLogs", lambda answer: answer[1:], "first index"),
        (
            "eth_getLogs",
            lambda answer: [one | {"transactionHash": "0x" + 64 * "1"} for one in answer],
            "does not list",
        ),
        ("eth_call", lambda answer: flip(answer) if len(answer) > 150 else answer, "hold"),
    ],
)
async def test_a_node_that_contradicts_itself_is_not_believed(
    tmp_path, ledger, registered, proxied, proxy, lie
):
    """Nothing is exported that does not fit together; the reason is named."""
    method, alter, reason = lie
    proxy.change(method, alter)
    with pytest.raises(NodeContradictsItself, match=reason):
        await ledger.exporter(proxied.view).export(tmp_path / "lie.ndjson")


async def test_a_block_with_two_stations_is_written_whole(
    tmp_path, ledger, own_writer, sister_writer
):
    """Another station's transactions in the block count for its root, and hide their tickets."""
    for attempt in range(20):
        ours, theirs = await asyncio.gather(
            ledger.register(own_writer, [ticket(attempt)]),
            ledger.register(sister_writer, [ticket(1000 + attempt, vehicle="secret")]),
        )
        if ours[0].receipt.block_number == theirs[0].receipt.block_number:
            break
    path = tmp_path / "shared.ndjson"
    await ledger.exporter(own_writer.view).export(path)
    assert (await examine(path)).progress.tickets == attempt + 1
    assert max(len(one["transactions"]) for one in records(path) if one["type"] == "block") == 2
    assert b"secret" not in path.read_bytes()


@given(st.binary(max_size=200))
def test_any_line_is_taken_or_refused(text):
    """A checker raises its one error for any bytes."""
    checker = Checker()
    with pytest.raises(ExportDamaged):
        checker.take(text)


@pytest.mark.parametrize("name", ["big.ndjson", "big.ndjson.gz"])
def test_a_line_without_end_is_refused_early(tmp_path, name, monkeypatch):
    """A file made to fill the memory ends with an error."""
    from steelyard.ledger import exportfile

    monkeypatch.setattr(exportfile, "MAX_LINE", 2**20)
    path = tmp_path / name
    with Sink(path) as sink:
        sink.write(b"x" * 2**22)
    with pytest.raises(ExportDamaged, match="too long"):
        list(read_lines(path))


def test_lines_are_read_over_any_borders(tmp_path):
    """Members, chunks and lines need not begin together."""
    path = tmp_path / "lines.gz"
    texts = [b"a" * 70_000, b"", b"b", b"c" * 200_000]
    body = b"".join(text + b"\n" for text in texts)
    for cut in (0, 1, 70_000, 70_001, 70_002, len(body)):
        path.write_bytes(gzip.compress(body[:cut]) + gzip.compress(body[cut:]))
        assert [line.text for line in read_lines(path)] == texts
