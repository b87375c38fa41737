"""What role monitoring leaves on a host and on the one that watches."""

import json
import os
import time
import urllib.parse
from pathlib import Path

import pytest
from scenario import assert_confined

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
WATCHED, WATCHING = "watched-bookworm", "watching-bookworm"


def only(host, name):
    """Skip the test on the other host."""
    if host.backend.get_hostname() != name:
        pytest.skip(f"about {name}")


def ask(host, path):
    """What Prometheus answers."""
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    url = f"http://127.0.0.1:9090/api/v1/{path}"
    return json.loads(host.check_output("python3 -c %s %s", fetch, url))["data"]


def value(host, expression):
    """An expression's value; waits for the first rounds."""
    for _ in range(60):
        found = ask(host, "query?" + urllib.parse.urlencode({"query": expression}))["result"]
        if found:
            return float(found[0]["value"][1])
        time.sleep(1)
    pytest.fail(f"{expression} has no value")


def test_the_collector_is_confined(host):
    """systemd-analyze's exposure is at most 2.5."""
    only(host, WATCHED)
    assert_confined(host, "steelyard-collector")


def test_units_run_and_are_enabled(host):
    """Debian's, and ours."""
    names = {
        WATCHED: (
            *("steelyard-collector", "prometheus-node-exporter", "prometheus-postgres-exporter"),
        ),
        WATCHING: ("prometheus", "prometheus-alertmanager"),
    }
    for name in names[host.backend.get_hostname()]:
        assert host.service(name).is_running, name
        assert host.service(name).is_enabled, name


def test_only_the_node_exporter_is_open(host):
    """PostgreSQL's exporter, Prometheus and Alertmanager listen on loopback."""
    if host.backend.get_hostname() == WATCHED:
        assert host.socket("tcp://:::9100").is_listening
        assert host.socket("tcp://127.0.0.1:9187").is_listening
    else:
        assert host.socket("tcp://127.0.0.1:9090").is_listening
        assert host.socket("tcp://127.0.0.1:9093").is_listening
        assert not host.socket("tcp://0.0.0.0:9094").is_listening


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('up{job="node",instance="watched"}', 1),
        ('up{job="steelyard-api",instance="api.example:8443"}', 1),
        ('steelyard_node_block{node="north",instance="watched"}', 42),
        ('steelyard_node_peers{node="north"}', 4),
        ('steelyard_node_validators{node="north"}', 4),
        ('steelyard_tessera_up{node="north"}', 1),
        ('steelyard_gateway_calls_total{outcome="answered",job="node"}', 5),
        ('steelyard_smartbox_tickets{state="queued"}', 3),
        ('steelyard_service_ready{service="management-api"}', 0),
        ("pg_up", 1),
        ('node_systemd_unit_state{name="steelyard-collector.service",state="active"}', 1),
        ("count(node_textfile_scrape_error == 0)", 1),
        ("count(node_filesystem_avail_bytes) > bool 0", 1),
    ],
)
def test_what_is_told_arrives(host, expression, expected):
    """By way of the text files, and from the API by TLS 1.3."""
    only(host, WATCHING)
    assert value(host, expression) == expected


def test_an_alert_fires(host):
    """The certificate expires in ten days: pending at once, as the rule waits."""
    only(host, WATCHING)
    assert 9 < value(host, "(steelyard_certificate_expiry_timestamp_seconds - time()) / 86400") < 10
    for _ in range(60):
        states = {one["labels"]["alertname"]: one["state"] for one in ask(host, "alerts")["alerts"]}
        if "CertificateExpires" in states and "PlatformNotReady" in states:
            return
        time.sleep(1)
    pytest.fail(str(states))


def test_the_rules_pass_their_tests_where_they_run(host):
    """By promtool of the same version as the server."""
    only(host, WATCHING)
    text = (PROJECT / "tests/monitoring/rules.yml").read_text("utf-8")
    text = text.replace("RULES", "/etc/prometheus/rules/steelyard.yml")
    done = host.run("f=$(mktemp) && printf %%s %s > $f && promtool test rules $f", text)
    assert done.rc == 0, done.stdout + done.stderr
    assert host.run("promtool check config /etc/prometheus/prometheus.yml").rc == 0


def test_alertmanager_is_known(host):
    """To Prometheus, and its configuration is read by its own user only."""
    only(host, WATCHING)
    assert len(ask(host, "alertmanagers")["activeAlertmanagers"]) == 1
    assert host.file("/etc/prometheus/alertmanager.yml").mode == 0o640


def test_the_dashboard_is_there_without_grafana(host):
    """For a Grafana that comes another way."""
    only(host, WATCHING)
    file = host.file("/usr/local/share/steelyard/dashboards/steelyard.json")
    assert json.loads(file.content_string)["uid"] == "steelyard"
    for name in ("datasources", "dashboards"):
        assert host.file(f"/etc/grafana/provisioning/{name}/steelyard.yaml").exists
