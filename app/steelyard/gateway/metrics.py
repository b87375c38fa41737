"""What the gateway counts: calls by client, node, what was asked and what became of it."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import Counter, Gauge

from steelyard.web.metrics import HttpMetrics


class GatewayMetrics:
    """Every label's values come from the settings or from the list of methods."""

    def __init__(self, expires: Callable[[], datetime]) -> None:
        self.http = HttpMetrics()
        self._calls = Counter(
            "steelyard_gateway_calls",
            "Requests by client, node, what was asked and what became of it: answered by the node, "
            "refused here, unreached (the node has not seen it), unknown (it may have acted).",
            ("client", "node", "asked", "outcome"),
            registry=self.http.registry,
        )
        Gauge(
            "steelyard_gateway_certificate_expiry_timestamp_seconds",
            "When the gateway's own certificate expires.",
            registry=self.http.registry,
        ).set_function(lambda: expires().timestamp())

    def count(self, client: str, node: str, asked: str, outcome: str) -> None:
        """Count one request."""
        self._calls.labels(client, node, asked, outcome).inc()
