"""Programs that behave like geth and Tessera as far as a start goes.

`fakeengines.py geth ...` and `fakeengines.py tessera ...` take the engines' own options. The
variable FAKE_TROUBLE, as in "geth:node-2:dies", makes one of them misbehave.
"""

import itertools
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = "Geth\nVersion: 1.10.3-stable\nQuorum Version: 24.4.1\n"


def trouble(part: str, node: str) -> str:
    for entry in os.environ.get("FAKE_TROUBLE", "").split():
        which, name, what = entry.split(":")
        if which == part and name in (node, "*"):
            return what
    return ""


def misbehave(what: str) -> None:
    if what == "dies":
        print("a first line", flush=True)
        print("Fatal: this is why it ended", file=sys.stderr, flush=True)
        sys.exit(7)
    if what == "silent":
        time.sleep(600)
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def serve(port: int, answer, host: str = "127.0.0.1") -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = answer(self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def geth(arguments: list[str]) -> None:
    if arguments == ["version"]:
        print(VERSION)
        return
    options = dict(itertools.pairwise(arguments))
    data = Path(options["--datadir"])
    node = data.parent.name
    if "init" in arguments:
        if trouble("init", node):
            misbehave("dies")
        json.loads(Path(arguments[-1]).read_text())
        (data / "geth" / "chaindata").mkdir()
        return
    assert len((data / "geth" / "nodekey").read_text()) == 64
    assert Path(os.environ["PRIVATE_CONFIG"]).is_socket()
    what = trouble("geth", node)
    misbehave(what)
    address = Path(options["--config"]).read_text().split('"')[1]
    peers = json.loads((data / "static-nodes.json").read_text())
    assert any(address in one for one in peers)
    listener = socket.create_server(("127.0.0.1", int(address.rpartition(":")[2])))
    started = time.monotonic()
    results = {
        "eth_blockNumber": lambda: hex(int((time.monotonic() - started) * 20)),
        "net_peerCount": lambda: hex(len(peers) - 1),
        "raft_leader": lambda: "enode",
    }

    def answer(path: str, body: bytes):
        if what == "stuck":
            return 200, '{"jsonrpc": "2.0", "id": 1, "result": "0x0"}'
        method = json.loads(body)["method"]
        return 200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": results[method]()})

    serve(int(options["--http.port"]), answer)
    wait(listener)


def tessera(arguments: list[str]) -> None:
    print(f"heap and opens: {os.environ.get('JAVA_OPTS', '')} {' '.join(arguments)}", flush=True)
    path = Path(arguments[arguments.index("-configfile") + 1])
    config = json.loads(path.read_text())
    directory = path.parent
    what = trouble("tessera", directory.parent.name)
    misbehave(what)
    servers = {one["app"]: one["serverAddress"] for one in config["serverConfigs"]}
    key = json.loads(Path(config["keys"]["keyData"][0]["privateKeyPath"]).read_text())
    assert key["type"] == "unlocked"
    network = directory.parent.parent
    everyone = sorted(one.read_text() for one in network.glob("node-*/tessera/tm.pub"))

    def answer(path: str, body: bytes):
        if path == "/upcheck":
            return 200, "Database unavailable" if what == "tableless" else "I'm up!"
        if path == "/version":
            return (204, "") if what == "versionless" else (200, "24.4.2")
        if path == "/partyinfo/keys" and what != "old":
            return 200, json.dumps({"keys": [{"key": one} for one in everyone]})
        return 404, ""

    host = "0.0.0.0" if what == "exposed" else "127.0.0.1"  # noqa: S104 - as the real one does
    for app in ("ThirdParty", "P2P"):
        serve(int(servers[app].rpartition(":")[2]), answer, host)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(servers["Q2T"].removeprefix("unix:"))
    listener.listen()
    wait(listener)


def wait(listener: socket.socket) -> None:
    """Until SIGTERM, whose default is to end; the listener stays open as long."""
    while True:
        signal.pause()


if __name__ == "__main__":
    {"geth": geth, "tessera": tessera}[sys.argv[1]](sys.argv[2:])
