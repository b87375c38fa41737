"""600 weighings, from the stations' machines to the customers' queries; who sees what where."""

import json

import pytest


def rpc(machines, node, method, *params):
    """A call to a node, on its own host."""
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = machines[node["host"]].check_output(
        "curl --silent --fail -H 'Content-Type: application/json' --data %s http://127.0.0.1:%s",
        request,
        str(node["rpc_port"]),
    )
    return json.loads(answer)["result"]


def every_ticket(api, query=""):
    """All pages of a customer's query."""
    found, cursor = [], ""
    while True:
        page = api.tickets(f"/v1/tickets?limit=100{query}{cursor}")
        found += page["tickets"]
        if not page.get("next"):
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("name", ["customer-1", "customer-2"])
def test_each_customer_finds_its_300_tickets(customers, name):
    """Neither more nor less, each once."""
    tickets = every_ticket(customers[name])
    ids = {one["ticketID"] for one in tickets}
    assert len(tickets) == len(ids) == 300


def test_nobody_finds_another_customers_tickets(customers, consortium):
    """The other's weighbridge gives nothing."""
    for own, other in (("customer-1", 1), ("customer-2", 0)):
        for bridge in consortium["customers"][other]["stations"][0]["weighbridges"]:
            query = f"&scaleSerialNumber={bridge['scale_serial']}"
            assert every_ticket(customers[own], query) == []


def test_every_ticket_has_its_receipt_at_the_station(machines):
    """300 receipts are on each SmartBox's disk, and nothing waits."""
    for name in ("box-1", "box-2"):
        told = machines[name].check_output(
            "STEELYARD_SMARTBOX_CLIENT_SECRET_FILE=/dev/null "
            "/opt/steelyard/station/current/venv/bin/steelyard smartbox receipts "
            "--config /etc/steelyard/smartbox.toml"
        )
        receipts = [json.loads(line) for line in told.splitlines()]
        assert len({one["ticketID"] for one in receipts}) == 300


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
        ticket = every_ticket(api)[0]
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
