"""What the collector tells of a host, from real servers on loopback."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client.parser import text_string_to_metric_families

from steelyard.cli import steelyard
from steelyard.collector.service import FILE, collect
from steelyard.collector.settings import CollectorSettings
from steelyard.web.metrics import HttpMetrics

ANSWERS = {
    "eth_blockNumber": "0x2a",
    "net_peerCount": "0x4",
    "eth_syncing": False,
    "istanbul_getValidators": ["0x" + str(n) * 40 for n in range(1, 5)],
}


class Host(BaseHTTPRequestHandler):
    """A node, a privacy manager, a SmartBox and a gateway, by the paths."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(json.dumps({"jsonrpc": "2.0", "id": 1, "result": ANSWERS[asked["method"]]}))

    def do_GET(self) -> None:
        metrics = HttpMetrics()
        metrics.observe("GET", "/x", 200, 0.1)
        pages = {
            "/upcheck": "I'm up!",
            "/status": json.dumps(
                {"tickets": {"queued": 3}, "alarms": [{"name": "clock"}], "alibi_records": 7}
            ),
            "/metrics": metrics.exposition().decode() + "go_threads 7\n",
            "/broken": "\x00 not a page {",
        }
        self._answer(pages[self.path])

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Say nothing."""


@pytest.fixture
def url():
    """Where the host answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def certificate(path, expires):
    """A certificate that expires then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(expires - timedelta(days=10))
        .not_valid_after(expires)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def values(text):
    """The samples, by name and labels; a page that is not in the format raises."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_everything_is_told(url, tmp_path):
    """Nodes, the gateway's page, certificates, the SmartBox."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    certificate(tmp_path / "node.pem", expires)
    (tmp_path / "crl.pem").write_text("-----BEGIN X509 CRL-----\n")
    settings = CollectorSettings(
        directory=tmp_path,
        nodes=[{"name": "north", "rpc_url": url, "tessera": url}],
        pages=[{"name": "gateway", "url": f"{url}/metrics"}],
        certificates=[tmp_path],
        smartbox_url=f"{url}/status",
    )
    found = values(collect(settings, now=lambda: 5.0))
    for name, value in (("up", 1), ("block", 42), ("peers", 4), ("syncing", 0), ("validators", 4)):
        assert found[f"steelyard_node_{name}", "north"] == value
    assert found["steelyard_tessera_up", "north"] == 1
    assert found["steelyard_http_requests_total", "/x", "200", "GET"] == 1
    assert found["steelyard_http_request_duration_seconds_count", "/x", "GET"] == 1
    assert ("go_threads",) not in found
    assert found["steelyard_smartbox_tickets", "queued"] == 3
    assert (found["steelyard_smartbox_alarms",], found["steelyard_smartbox_up",]) == (1, 1)
    expiry = "steelyard_certificate_expiry_timestamp_seconds"
    assert found[expiry, f"{tmp_path}/node.pem"] == expires.timestamp()
    assert (expiry, f"{tmp_path}/crl.pem") not in found
    assert found["steelyard_collector_round_timestamp_seconds",] == 5


def test_what_does_not_answer_is_told(tmp_path):
    """And stops nothing."""
    away = "http://127.0.0.1:9"
    settings = CollectorSettings(
        directory=tmp_path,
        nodes=[{"name": "north", "rpc_url": away, "tessera": f"unix:{tmp_path}/none"}],
        pages=[{"name": "gateway", "url": away}],
        certificates=[tmp_path / "none.pem"],
        smartbox_url=away,
        probes=[{"name": "tickets", "url": "https://127.0.0.1:9", "ca_file": tmp_path / "none"}],
    )
    found = values(collect(settings))
    assert found["steelyard_node_up", "north"] == 0
    assert found["steelyard_tessera_up", "north"] == 0
    assert found["steelyard_page_up", "gateway"] == 0
    assert found["steelyard_smartbox_up",] == 0
    assert found["steelyard_service_ready", "tickets"] == 0


def test_the_command_writes_one_file(url, tmp_path):
    """That others may read; a directory that is missing is one sentence."""
    environment = {"STEELYARD_COLLECTOR_DIRECTORY": str(tmp_path)}
    done = CliRunner().invoke(steelyard, ["collect", "--once"], env=environment)
    assert done.exit_code == 0
    assert [one.name for one in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o644
    environment["STEELYARD_COLLECTOR_DIRECTORY"] = str(tmp_path / "none")
    done = CliRunner().invoke(steelyard, ["collect", "--once"], env=environment)
    assert str(done.exception) == f"collector.directory: {tmp_path}/none must be a directory"


def test_only_this_host_is_asked(tmp_path):
    """An address elsewhere is refused."""
    with pytest.raises(ValueError, match="must be http on this host"):
        CollectorSettings(
            directory=tmp_path, pages=[{"name": "x", "url": "http://192.0.2.1:80/metrics"}]
        )
