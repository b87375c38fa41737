"""The naive client is a fair one: its transactions are valid, its contract finds what it should."""

import pyrevm
import pytest
import rlp
from web3 import Web3

from naive.client import SOLC, Artefact, compiled, signed, word, words
from steelyard.ledger.protocol import SigningKey
from steelyard.ledger.signer import address_of, recover_sender
from steelyard.ticket import TicketFilter
from traffic import Traffic

OWNER = "0x" + "51" * 20


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    if not SOLC.is_dir():
        pytest.skip("the naive contract needs its compiler: run `npm ci` in contracts/")
    return compiled()


def test_transactions_carry_the_mark_of_a_private_one() -> None:
    """V is 37 or 38, and the key that signed is found in it."""
    key = SigningKey(b"\x17" * 32)
    marks = set()
    for nonce in range(16):
        fields = [nonce, 0, 5_000_000, b"\x51" * 20, 0, b"\x99" * 64]
        *sent, v, r, s = rlp.decode(bytes.fromhex(signed(fields, key.secret)[2:]))
        assert sent == [
            rlp.sedes.big_endian_int.serialize(one) if isinstance(one, int) else one
            for one in fields
        ]
        mark = int.from_bytes(v, "big")
        marks.add(mark)
        signer = recover_sender(fields, mark, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        assert signer == address_of(key)
    assert marks == {37, 38}


class Deployed:
    """The naive contract in an EVM of its own."""

    def __init__(self, artefact: Artefact) -> None:
        self.evm = pyrevm.EVM(spec_id="BERLIN", gas_limit=2**50)
        self.address = self.evm.deploy(OWNER, bytes.fromhex(artefact["bytecode"][2:]))
        self.contract = Web3().eth.contract(abi=artefact["abi"])

    def call(self, name: str, *arguments: object) -> bytes:
        data = self.contract.encode_abi(name, args=list(arguments))
        return self.evm.message_call(OWNER, self.address, calldata=bytes.fromhex(data[2:]))

    def query(self, *arguments: object) -> list[tuple]:
        function = self.contract.get_function_by_name("query")
        (kind,) = function.abi["outputs"]
        answer = self.call("query", *arguments)
        return list(Web3().codec.decode([_written_out(kind)], answer)[0])


def _written_out(parameter: dict) -> str:
    if not parameter["type"].startswith("tuple"):
        return parameter["type"]
    members = ",".join(map(_written_out, parameter["components"]))
    return f"({members}){parameter['type'].removeprefix('tuple')}"


def test_the_contract_finds_what_the_reference_filter_finds(artefact: Artefact) -> None:
    """Every field comes back as it was registered, one by one and filled in."""
    deployed, traffic = Deployed(artefact), Traffic()
    singles, many = traffic.tickets(20), traffic.tickets(60)
    for ticket in singles:
        deployed.call("register", words(ticket))
    deployed.call("fill", [words(ticket) for ticket in many])
    tickets = singles + many
    start, end, scale = tickets[10].timestamp, tickets[70].timestamp, tickets[40].scale_serial

    def found(wanted: TicketFilter) -> list[tuple]:
        return [_comparable(words(ticket)) for ticket in tickets if wanted.matches(ticket)]

    times = TicketFilter(timestamp_from=start, timestamp_to=end)
    both = TicketFilter(timestamp_from=start, timestamp_to=end, scale_serial=scale)
    assert len(found(times)) == 61
    assert len(found(both)) not in (0, 61)
    anywhere, here = word(None), word(scale)
    assert deployed.query(start, end, anywhere, 0, 100) == found(times)
    assert deployed.query(start, end, here, 0, 100) == found(both)
    assert deployed.query(start, end, here, 5, 10) == found(both)[5:15]
    assert deployed.query(start, end, here, 1_000, 10) == []


def _comparable(ticket: tuple) -> tuple:
    """As the ABI's decoder gives it: arrays as tuples."""
    return (*ticket[:-1], tuple(ticket[-1]))
