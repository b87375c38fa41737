"""Every machine scanned from every other: what answers is what docs/reference/ports.md allows."""

import json

import pytest

from infra.consortium.checks import parse
from infra.consortium.views import firewall_rules

MACHINES = ["network", "customer-1", "customer-2", "platform", "box-1", "box-2", "monitor"]
SCAN = """
import json, socket, sys, concurrent.futures as futures
def answers(port):
    with socket.socket() as probe:
        probe.settimeout(1.5)
        return port if probe.connect_ex((sys.argv[1], port)) == 0 else None
with futures.ThreadPoolExecutor(200) as pool:
    print(json.dumps([one for one in pool.map(answers, json.loads(sys.argv[2])) if one]))
"""
# What the engines, the platform and their helpers have, and their neighbourhood.
PORTS = [
    *(22, 80, 443, 5432, 5684, 8190, 8443, 8444, 8545, 8600, 8601, 9187),
    *range(9000, 9020),
    *range(9080, 9101),
    *range(22000, 22020),
    *range(30303, 30323),
]


@pytest.mark.parametrize("target", MACHINES)
def test_only_what_the_table_allows_answers(machines, consortium, target):
    """From each other machine; what nobody may reach is silent."""
    addresses = {name: machines.address(name) for name in MACHINES}
    rules = firewall_rules(parse(consortium), addresses, target, monitoring=["monitor"])
    for source in MACHINES:
        if source == target:
            continue
        allowed = {
            rule["port"]
            for rule in rules
            if rule["protocol"] == "tcp"
            and ("any" in rule["sources"] or addresses[source] in rule["sources"])
        }
        told = machines[source].check_output(
            "python3 -c %s %s %s", SCAN, addresses[target], json.dumps(PORTS)
        )
        # The scenario's operators are everybody on the wire, so that it can be set up.
        assert set(json.loads(told)) == allowed | {22}, (source, target)
