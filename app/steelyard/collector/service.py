"""One round after another: ask what is on this host, and write one file in one step."""

import http.client
import json
import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509

from steelyard.collector.settings import CollectorSettings, NodeSettings
from steelyard.errors import Problem
from steelyard.exposition import Exposition

FILE = "steelyard.prom"
_SECONDS = 5.0
_MAX_BYTES = 16 << 20


def collect(settings: CollectorSettings, now: Callable[[], float] = time.time) -> str:
    """The page of one round. What does not answer is told as such and stops nothing."""
    page = Exposition()
    for node in settings.nodes:
        _node(page, node)
    for other in settings.pages:
        text = _get(other.url)
        page.set(
            "steelyard_page_up",
            "1 when a page of metrics on the host answered, else 0.",
            int(text is not None),
            page=other.name,
        )
        page.take_over(text or "", other.prefixes)
    for probe in settings.probes:
        page.set(
            "steelyard_service_ready",
            "1 when the service says that it can work, else 0.",
            int(_get(probe.url, probe.ca_file) is not None),
            service=probe.name,
        )
    for path in _certificates(settings.certificates):
        _certificate(page, path)
    if settings.smartbox_url:
        _smartbox(page, settings.smartbox_url)
    page.set(
        "steelyard_collector_round_timestamp_seconds", "When the figures were collected.", now()
    )
    return page.text()


def write(settings: CollectorSettings, text: str) -> None:
    """Replace the file: a reader finds the old or the new one."""
    temporary = settings.directory / f".{FILE}.new"
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
    temporary.replace(settings.directory / FILE)


def _node(page: Exposition, node: NodeSettings) -> None:
    # A SmartBox has not the packages that a ledger node's commands need.
    from steelyard.node.asking import NodeClient

    client = NodeClient(node.rpc_url, node.tessera)
    asked: list[tuple[str, str, Callable[[], float]]] = [
        ("block", "The number of the node's newest block.", client.head),
        ("peers", "Nodes that the node is connected to.", client.peers),
        ("syncing", "1 when the node fetches blocks that others have.", client.is_syncing),
        ("validators", "Nodes that vote.", lambda: len(client.validators())),
    ]
    answers = 0
    for name, meaning, ask in asked:
        try:
            page.set(f"steelyard_node_{name}", meaning, int(ask()), node=node.name)
        except (Problem, ValueError):
            if not answers:
                break  # nobody is there: each further question would wait as long again
        else:
            answers += 1
    page.set("steelyard_node_up", "1 when the node answered.", int(answers > 0), node=node.name)
    try:
        manager = client.privacy_manager_is_up()
    except Problem:
        manager = False
    page.set(
        "steelyard_tessera_up", "1 when Tessera answered, else 0.", int(manager), node=node.name
    )


def _certificates(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.pem")) if path.is_dir() else [path]


def _certificate(page: Exposition, path: Path) -> None:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return  # a revocation list, or a file that is just being written
    page.set(
        "steelyard_certificate_expiry_timestamp_seconds",
        "When the certificate expires; of a chain, the one that expires first.",
        min(one.not_valid_after_utc for one in found).timestamp(),
        file=str(path),
    )


def _smartbox(page: Exposition, url: str) -> None:
    told = _status(url)
    page.set("steelyard_smartbox_up", "1 when the SmartBox answered.", int(told is not None))
    if told is None:
        return
    for state, number in dict(told.get("tickets", {})).items():
        page.set(
            "steelyard_smartbox_tickets", "Tickets in the outbox, by state.", number, state=state
        )
    alarms = list(told.get("alarms", []))
    page.set("steelyard_smartbox_alarms", "Alarms that want a person.", len(alarms))
    page.set(
        "steelyard_smartbox_alibi_records",
        "Records of the alibi memory.",
        int(told.get("alibi_records", 0)),
    )


def _status(url: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(_get(url) or ""))
    except (ValueError, TypeError):
        return None


def _get(url: str, ca_file: Path | None = None) -> str | None:
    """The page, if it is there and well; without a proxy, which is nothing for this host's own."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    try:
        if ca_file is not None:
            context = ssl.create_default_context(cafile=str(ca_file))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(url, timeout=_SECONDS) as answer:
            return bytes(answer.read(_MAX_BYTES)).decode()
    except (OSError, ValueError, http.client.HTTPException):
        return None
