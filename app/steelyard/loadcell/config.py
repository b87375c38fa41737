"""A load cell's configuration as a plain object, for processes that must stay small."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoadCellConfig:
    """What `run_loadcell` needs; `steelyard.loadcell.settings` describes each field."""

    serial: str
    server_host: str
    server_port: int
    certificate_file: Path
    key_file: Path
    ca_file: Path
    position_file: Path
    server_name: str | None = None
    crl_file: Path | None = None
    replay_file: Path | None = None
    source: str | None = None
    simulated_seed: int = 0
    simulated_cell: int = 0
    simulated_cells: int = 4
    simulated_fault: str | None = None
    simulated_fault_after_seconds: float = 0.0
    adc_chip: str = "/dev/gpiochip0"
    adc_data_line: int = 5
    adc_clock_line: int = 6
    adc_gain: int = 128
    adc_counts_per_kg: float = 1000.0
    pack_samples: int = 5
    interval_seconds: float = 1.0
    answer_seconds: float = 15.0
    silence_seconds: float = 10.0
    backoff_seconds: float = 0.5
    backoff_limit_seconds: float = 30.0
    renewal_seconds: float = 0.0
    once: bool = False
