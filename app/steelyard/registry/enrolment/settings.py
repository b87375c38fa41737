"""Settings of enrolment by the management API."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from steelyard.settings import Section


class EnrolmentSettings(Section):
    """Enrolment of SmartBoxes and load cells by the management API; without an authority: none."""

    section: ClassVar[str] = "enrolment"

    authority_file: Path | None = Field(
        None,
        description="Certificate of the devices' issuing authority "
        "(`steelyard pki init --devices-only`).",
    )
    authority_key_file: Path | None = Field(
        None, description="Private key of that authority, readable by the service's user only."
    )
    tickets_url: str | None = Field(
        None,
        pattern=r"^https://[!-~]+$",
        description="Base URL of the weighing tickets API, as stations reach it.",
    )
    code_seconds: int = Field(
        3600, ge=60, le=604_800, description="Life of a claim code, in seconds."
    )
    code_failures: int = Field(
        5, ge=1, le=100, description="Wrong proofs after which a claim code is void."
    )
    certificate_days: int = Field(
        90,
        ge=1,
        le=825,
        description="Life of a device's certificate, in days. It is renewed once a third has "
        "passed, so a station may be offline for two thirds.",
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        given = (self.authority_file, self.authority_key_file, self.tickets_url)
        if any(given) and not all(given):
            raise ValueError("authority_file, authority_key_file and tickets_url go together")
        return self
