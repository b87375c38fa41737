"""600 weighings, from the stations' machines to the customers' queries; who sees what where."""

import pytest
from consortia import receipts, rpc


@pytest.mark.parametrize("name", ["customer-1", "customer-2"])
def test_each_customer_finds_its_300_tickets(customers, name):
    """Neither more nor less, each once."""
    tickets = customers[name].every_ticket()
    ids = {one["ticketID"] for one in tickets}
    assert len(tickets) == len(ids) == 300


def test_nobody_finds_another_customers_tickets(customers, consortium):
    """The other's weighbridge gives nothing."""
    for own, other in (("customer-1", 1), ("customer-2", 0)):
        for bridge in consortium["customers"][other]["stations"][0]["weighbridges"]:
            query = f"&scaleSerialNumber={bridge['scale_serial']}"
            assert customers[own].every_ticket(query) == []


def test_every_ticket_has_its_receipt_at_the_station(customers, machines):
    """300 receipts are on each SmartBox's disk, of the tickets that its customer finds."""
    for name, box in (("customer-1", "box-1"), ("customer-2", "box-2")):
        found = {one["ticketID"] for one in customers[name].every_ticket()}
        assert receipts(machines, box) == found


def test_a_contract_is_at_its_parties_nodes_only(customers, nodes, machines):
    """The station's and its customer's admin node have the code; every other node has nothing."""
    for name, api in customers.items():
        station = api.management("/v1/stations")["items"][0]
        contract = api.management(f"/v1/stations/{station['id']}/contract")["contract_address"]
        having = {
            one["name"]
            for one in nodes
            if rpc(machines, one, "eth_getCode", contract, "latest") != "0x"
        }
        assert having == {f"{name}-admin", f"{station['name']}-node"}


def test_a_transactions_payload_is_at_its_parties_nodes_only(customers, nodes, machines):
    """Others see that there was one, and a hash."""
    for name, api in customers.items():
        ticket = api.every_ticket()[0]
        proof = api.tickets(f"/v1/tickets/{ticket['ticketID']}/proof")
        block = rpc(machines, nodes[0], "eth_getBlockByNumber", hex(proof["blockNumber"]), True)
        found = [one for one in block["transactions"] if one["hash"] == proof["transactionHash"]]
        assert found
        having = {
            one["name"]
            for one in nodes
            if rpc(machines, one, "eth_getQuorumPayload", found[0]["input"]) not in {"0x", None}
        }
        assert having == {
            f"{name}-admin",
            next(
                one["name"] for one in nodes if one["customer"] == name and one["role"] == "station"
            ),
        }
