"""Stands in for a node, its privacy manager, a gateway, a SmartBox and an API of one host."""

import json
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESULTS = {
    "eth_blockNumber": "0x2a",
    "net_peerCount": "0x4",
    "eth_syncing": False,
    "istanbul_getValidators": ["0x" + str(n) * 40 for n in range(1, 5)],
}
PAGES = {
    "/upcheck": "I'm up!",
    "/": json.dumps({"tickets": {"queued": 3}, "alarms": [], "alibi_records": 7}),
    "/metrics": "# HELP steelyard_gateway_calls_total Calls.\n"
    "# TYPE steelyard_gateway_calls_total counter\n"
    'steelyard_gateway_calls_total{outcome="answered"} 5.0\n',
}


class Handler(BaseHTTPRequestHandler):
    """Answers whatever is asked; /readyz is not ready."""

    def do_POST(self):
        """JSON-RPC."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(200, json.dumps({"result": RESULTS[asked["method"]]}))

    def do_GET(self):
        """A page."""
        page = PAGES.get(self.path)
        self._answer(200 if page else 503, page or "")

    def address_string(self):
        """A UNIX socket's peer has no address."""
        return "peer"

    def _answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP over a UNIX socket."""


def main():
    """Serve until the end."""
    servers = [ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in (22000, 8601, 8190)]
    api = ThreadingHTTPServer(("0.0.0.0", 8443), Handler)  # noqa: S104 - as the API does
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain("/etc/steelyard/pki/api.pem", "/etc/steelyard/pki/api.key")
    api.socket = context.wrap_socket(api.socket, server_side=True)
    manager = UnixServer("/run/steelyard-tessera-north/api.sock", Handler)
    for server in (*servers, api):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    manager.serve_forever()


if __name__ == "__main__":
    main()
