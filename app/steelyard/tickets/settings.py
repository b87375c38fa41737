"""Settings of the tickets API."""

from typing import ClassVar

from pydantic import Field

from steelyard.tickets.search import SearchLimits
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

    @property
    def search_limits(self) -> SearchLimits:
        """The part that the search needs."""
        return SearchLimits(
            rounds=self.search_rounds,
            concurrency=self.search_concurrency,
            contract_page=self.search_contract_page,
        )
