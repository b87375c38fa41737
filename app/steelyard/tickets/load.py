"""How much is on its way to the ledger, for the metrics."""

from prometheus_client import CollectorRegistry, Gauge

from steelyard.ledger.gathering import Gatherer


def show_load(gatherer: Gatherer, registry: CollectorRegistry) -> None:
    """Two gauges, read from the gatherer whenever somebody asks."""
    waiting = Gauge(
        "steelyard_ledger_tickets_waiting",
        "Tickets that wait for a transaction, of all stations.",
        registry=registry,
    )
    waiting.set_function(gatherer.waiting)
    under_way = Gauge(
        "steelyard_ledger_transactions_under_way",
        "Transactions of tickets that are in no block yet.",
        registry=registry,
    )
    under_way.set_function(gatherer.under_way)
