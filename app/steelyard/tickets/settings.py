"""Settings of the tickets API."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from steelyard.tickets.search import SearchLimits
from steelyard.tickets.webhook import WebhookLimits
from steelyard.web.settings import ServerSection


class TicketsSettings(ServerSection):
    """Where the tickets API listens, and how much one query may ask of the nodes."""

    section: ClassVar[str] = "tickets"

    handler_seconds: float = Field(
        120.0,
        gt=0,
        le=600,
        description="Time after which a request is given up, in seconds; a registration waits for "
        "its block.",
    )
    search_rounds: int = Field(
        8,
        ge=1,
        le=1000,
        description="How often a station's contract is asked for more for one page of a query.",
    )
    search_concurrency: int = Field(
        8, ge=1, le=256, description="Calls that queries make to the nodes at the same time."
    )
    search_contract_page: int = Field(
        200, ge=1, le=500, description="Tickets that one call to a contract may return."
    )

    node_watch_seconds: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Pause between two looks at the ledger's nodes, for the metrics and for "
        "readiness, in seconds.",
    )

    route_scan_tickets: int = Field(
        20_000,
        ge=200,
        le=1_000_000,
        description="Tickets that one page of a vehicle's route may look at, and as many again "
        "before it, to judge its first weighings.",
    )
    webhook_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description="Networks that are not public and that webhooks may be sent to all the same.",
    )
    webhook_ca_file: Path | None = Field(
        None,
        description="PEM file of authorities that webhooks' servers may have beside the public "
        "ones.",
    )
    webhook_seconds: float = Field(
        10.0, gt=0, le=60, description="Time in which a webhook's server must answer, in seconds."
    )
    webhook_pause_seconds: float = Field(
        2.0,
        gt=0,
        le=600,
        description="Pause between two looks at what is to be checked and told, in seconds.",
    )
    webhook_give_up_hours: float = Field(
        72.0,
        gt=0,
        le=8760,
        description="Time after which an event that nobody took is given up, in hours.",
    )

    @property
    def webhook_limits(self) -> WebhookLimits:
        """The part that the webhooks need."""
        return WebhookLimits(
            networks=self.webhook_networks,
            ca_file=self.webhook_ca_file,
            seconds=self.webhook_seconds,
            pause=self.webhook_pause_seconds,
            give_up_ms=int(self.webhook_give_up_hours * 3_600_000),
        )

    @property
    def route_rounds(self) -> int:
        """How often the stations are asked for more for one page of a route, at most."""
        return max(self.search_rounds, self.route_scan_tickets // self.search_contract_page)

    @property
    def search_limits(self) -> SearchLimits:
        """The part that the search needs."""
        return SearchLimits(
            rounds=self.search_rounds,
            concurrency=self.search_concurrency,
            contract_page=self.search_contract_page,
        )
