"""What the monitoring host knows of a consortium that works: everything is up, nothing alarms."""

import json
import urllib.parse

import pytest
from consortia import wait_for

WATCHED = ["network", "customer-1", "customer-2", "platform", "box-1", "box-2", "monitor"]
READ = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"


@pytest.fixture(scope="module")
def ask(machines):
    """What Prometheus answers to an expression: labels and values."""

    def found(expression):
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:9090/api/v1/query?{query}"
        told = json.loads(machines["monitor"].check_output("python3 -c %s %s", READ, url))
        return [(one["metric"], float(one["value"][1])) for one in told["data"]["result"]]

    return found


def up(ask, expression, label):
    """Whose value is 1, by a label; the first rounds take their time."""
    return {metric[label] for metric, value in ask(expression) if value == 1}


def test_every_host_tells_its_figures(ask):
    """The node exporter answers the monitoring host, and its collector's last look is fresh."""
    wait_for("figures", lambda: up(ask, 'up{job="node"}', "instance") == set(WATCHED))
    fresh = "time() - steelyard_collector_round_timestamp_seconds < bool 120"
    wait_for("collectors", lambda: up(ask, fresh, "instance") == set(WATCHED))


def test_every_node_is_up_and_sees_the_others(ask, nodes):
    """Each node with its privacy manager; its blocks go on."""
    names = {one["name"] for one in nodes}
    wait_for("nodes", lambda: up(ask, "steelyard_node_up", "node") == names)
    assert up(ask, "steelyard_tessera_up", "node") == names
    peers = {metric["node"]: value for metric, value in ask("steelyard_node_peers")}
    assert peers == dict.fromkeys(names, len(names) - 1)
    first = max(value for _, value in ask("steelyard_node_block"))
    wait_for("blocks", lambda: min(v for _, v in ask("steelyard_node_block")) > first)


def test_the_platform_is_up(ask):
    """Both APIs let the monitoring host read their figures, by TLS, and say that they are ready."""
    wait_for("APIs", lambda: [v for _, v in ask('up{job="steelyard-api"}')] == [1, 1])
    ready = up(ask, "steelyard_service_ready", "service")
    assert ready == {"management-api", "tickets-api"}
    assert up(ask, "pg_up", "instance") == {"platform"}


def test_every_gateway_tells_what_it_let_through(ask):
    """The platform's calls come by them."""
    calls = ask('sum by (instance) (steelyard_gateway_calls_total{outcome="answered"}) > 0')
    assert {metric["instance"] for metric, _ in calls} >= {"customer-1", "customer-2"}


def test_the_smartboxes_have_sent_everything(ask, customers):
    """300 tickets each, registered, and none waits. `customers` have found them all."""
    assert customers
    registered = 'steelyard_smartbox_tickets{state="registered"}'

    def told():
        return {metric["instance"]: value for metric, value in ask(registered)}

    wait_for("SmartBoxes", lambda: told() == {"box-1": 300, "box-2": 300})
    assert up(ask, "steelyard_smartbox_up", "instance") == {"box-1", "box-2"}
    assert all(value == 0 for _, value in ask("steelyard_smartbox_alarms"))


def test_no_alarm_is_raised(ask):
    """Of what the ledger, the platform or a station could have; a clock is the machines' own."""
    alerts = ask('ALERTS{alertstate="firing"}')
    assert {metric["alertname"] for metric, _ in alerts} <= {"ClockNotSynchronised"}


def test_only_its_operators_reach_the_figures(machines):
    """Prometheus has no log-in, and listens on loopback."""
    assert machines["monitor"].socket("tcp://127.0.0.1:9090").is_listening
    assert not machines["monitor"].socket("tcp://0.0.0.0:9090").is_listening
