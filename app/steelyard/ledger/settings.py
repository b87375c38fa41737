"""Settings of the ledger room: how long to wait, how often to ask, how much gas to offer."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from steelyard.settings import Section

Seconds = Annotated[float, Field(gt=0, le=3600)]


class LedgerSettings(Section):
    """How nodes are reached, and what may be spent on a transaction, in seconds and in gas."""

    section: ClassVar[str] = "ledger"

    ca_file: Path | None = Field(
        None,
        description="Certificate authorities (PEM) that nodes' gateways must chain to, where a "
        "node's URL is https.",
    )
    certificate_file: Path | None = Field(
        None, description="PEM file with the certificate chain that those gateways know us by."
    )
    private_key_file: Path | None = Field(
        None, description="PEM file with that certificate's private key."
    )
    request_timeout: Seconds = Field(
        10.0, description="Seconds that a node may take to answer one JSON-RPC call."
    )
    privacy_manager_timeout: Seconds = Field(
        10.0, description="Seconds that a privacy manager may take to store a payload."
    )
    send_timeout: Seconds = Field(
        20.0,
        description="Seconds that a node may take to accept a private transaction; in this time "
        "its privacy manager distributes the payload to the parties.",
    )
    recovery_timeout: Seconds = Field(
        15.0,
        description="Seconds to find out what became of a transaction whose answer was lost, "
        "before the caller is told to come again.",
    )
    confirm_timeout: Seconds = Field(
        60.0, description="Seconds to wait for a transaction's block before the caller is told."
    )
    poll_seconds: Seconds = Field(
        0.05,
        description="Seconds between two looks at a node's head while transactions wait for their "
        "blocks there.",
    )
    stall_after: Seconds = Field(
        6.0,
        description="Seconds without a receipt after which a transaction is looked for in the "
        "node's pool, sent again when it is gone, and a gap before it is filled.",
    )
    gas_deploy: int = Field(
        60_000_000, gt=0, le=500_000_000, description="Gas offered for deploying a contract."
    )
    gas_base: int = Field(
        3_000_000, gt=0, le=500_000_000, description="Gas offered for a registration, once."
    )
    gas_per_ticket: int = Field(
        2_500_000, gt=0, le=500_000_000, description="Gas offered for each ticket of it, besides."
    )
    max_batch: int = Field(
        200, gt=0, le=200, description="Tickets in one private transaction at most."
    )
    max_in_flight: int = Field(
        32, gt=0, le=256, description="Transactions of one key that wait for a block at most."
    )
    gather_seconds: float = Field(
        0.05,
        ge=0,
        le=10,
        description="Seconds that a ticket waits for company in its transaction while others of "
        "its station are under way; a ticket that finds none goes at once.",
    )
    gather_tickets: int = Field(
        5_000,
        gt=0,
        le=1_000_000,
        description="Tickets of one station that may wait for a transaction; above it requests "
        "are refused until some have gone.",
    )

    @model_validator(mode="after")
    def _files_belong_together(self) -> Self:
        files = (self.ca_file, self.certificate_file, self.private_key_file)
        if any(files) and not all(files):
            raise ValueError("set ca_file, certificate_file and private_key_file, or none of them")
        return self
