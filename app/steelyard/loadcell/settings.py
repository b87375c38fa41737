"""The settings of a load cell communicator."""

from pathlib import Path
from typing import ClassVar, Literal, Self

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
    replay_file: Path | None = Field(default=None, description="CSV `timestamp,kg` to replay.")
    source: Literal["replay", "steady", "truck", "hx711"] | None = Field(
        default=None,
        description="Where weights come from: `replay`; `steady`, a simulated settled load, a new "
        "one each interval; `truck`, simulated trucks on a platform; `hx711`, a converter. Else a "
        "replay if there is a `replay_file`, or `steady`.",
    )
    simulated_seed: int = Field(
        default=0, description="Seed of the simulation; the same for all cells of a weighbridge."
    )
    simulated_cell: int = Field(
        default=0,
        ge=0,
        le=31,
        description="Which cell of the simulated platform it is: pairs, left and right, from 0.",
    )
    simulated_cells: int = Field(
        default=4, ge=4, le=32, multiple_of=2, description="Cells of the simulated platform."
    )
    simulated_fault: (
        Literal["silent", "stuck", "drifting", "repeating", "absurd", "future", "past"] | None
    ) = Field(default=None, description="What is wrong with a cell of the source `truck`.")
    simulated_fault_after_seconds: float = Field(
        default=0.0, ge=0, description="After how long the simulated fault begins."
    )
    adc_chip: str = Field(
        default="/dev/gpiochip0", description="GPIO character device of the HX711."
    )
    adc_data_line: int = Field(default=5, ge=0, description="Its line to DOUT.")
    adc_clock_line: int = Field(default=6, ge=0, description="Its line to PD_SCK.")
    adc_gain: Literal[32, 64, 128] = Field(
        default=128, description="Gain: 128 or 64 for channel A, 32 for channel B."
    )
    adc_counts_per_kg: float = Field(
        default=1000.0,
        gt=0,
        description="Steps of the converter for a kilogram, about: the calibration does the rest.",
    )
    pack_samples: int = Field(
        default=5,
        ge=1,
        le=64,
        description="Samples of a stream (`truck`, `hx711`) that travel in one message.",
    )
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
    renewal_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Time between two looks at the certificate, which the SmartBox renews, and at "
        "the revocation list, which it gives; 0: never.",
    )
    once: bool = Field(default=False, description="End when the replayed file is at its end.")

    @model_validator(mode="after")
    def _simulation_has_a_pace(self) -> Self:
        if self.replay_file is None and self.interval_seconds == 0:
            raise ValueError("interval_seconds: must be above 0 for a simulated load")
        if self.source == "replay" and self.replay_file is None:
            raise ValueError("source: replay needs a replay_file")
        if self.simulated_cell >= self.simulated_cells:
            raise ValueError("simulated_cell: must be below simulated_cells")
        return self

    def config(self) -> LoadCellConfig:
        """The plain form."""
        return LoadCellConfig(**self.model_dump())
