"""Settings of the management API."""

from typing import ClassVar

from pydantic import Field

from steelyard.web.settings import ServerSection


class ManagementSettings(ServerSection):
    """The authentication & management API."""

    section: ClassVar[str] = "management"

    port: int = Field(
        8443, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one."
    )
    deploy_seconds: float = Field(
        90.0,
        gt=0,
        le=540,
        description="Time in which a new station's contract must be on the ledger, in seconds.",
    )
