"""The settings of a load cell communicator."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from steelyard.loadcell.config import LoadCellConfig
from steelyard.settings import Section
from steelyard.ticket import Serial


class LoadCellSettings(Section):
    """The section `loadcell`."""

    section: ClassVar[str] = "loadcell"

    serial: Serial = Field(description="Serial number of the cell, as in its certificate.")
    server_host: str = Field(min_length=1, description="Host name or address of the SmartBox.")
    server_port: int = Field(default=5684, ge=1, le=65535, description="Its UDP port.")
    server_name: str | None = Field(
        default=None,
        description="Name that the SmartBox's certificate must carry; else `server_host`.",
    )
    certificate_file: Path = Field(description="Certificate of the cell.")
    key_file: Path = Field(description="Private key of that certificate.")
    ca_file: Path = Field(description="Authority of the SmartBox's certificate.")
    crl_file: Path | None = Field(default=None, description="Revocation list of that authority.")
    position_file: Path = Field(description="File that remembers how far the cell came.")
    replay_file: Path | None = Field(
        default=None, description="CSV `timestamp,kg` to replay; without it the load is simulated."
    )
    simulated_seed: int = Field(default=0, description="Seed of the simulated load.")
    interval_seconds: float = Field(
        default=1.0,
        ge=0,
        le=86_400,
        description="Time between two samples; 0 sends as fast as they are acknowledged.",
    )
    answer_seconds: float = Field(
        default=15.0,
        gt=0,
        le=600,
        description="How long to wait for an answer: longer than the SmartBox's join deadline.",
    )
    silence_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="After so long without any answer the DTLS session is made anew.",
    )
    backoff_seconds: float = Field(
        default=0.5, gt=0, le=60, description="First pause when the SmartBox is away; it doubles."
    )
    backoff_limit_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="Longest pause between two attempts."
    )
    once: bool = Field(default=False, description="End when the replayed file is at its end.")

    @model_validator(mode="after")
    def _simulation_has_a_pace(self) -> Self:
        if self.replay_file is None and self.interval_seconds == 0:
            raise ValueError("interval_seconds: must be above 0 for a simulated load")
        return self

    def config(self) -> LoadCellConfig:
        """The plain form."""
        return LoadCellConfig(**self.model_dump())
