"""Where a station's machine has what."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from steelyard.settings import Section


class StationSettings(Section):
    """A station's machine that was made from an image.

    All have defaults, which the image keeps but for `data_device`.
    """

    section: ClassVar[str] = "station"

    boot_directory: Path = Field(
        default=Path("/boot/firmware"), description="Where the boot partition is mounted."
    )
    data_directory: Path = Field(
        default=Path("/data/steelyard"), description="Directory on the data partition."
    )
    run_directory: Path = Field(
        default=Path("/run/steelyard"), description="What is made anew at each boot."
    )
    network_directory: Path = Field(
        default=Path("/run/systemd/network"), description="Where systemd-networkd's files go."
    )
    told_file: Path = Field(
        default=Path("/run/steelyard/station/told.json"),
        description="What `station prepare` tells `station first-boot`; there a credential.",
    )
    page_host: str | None = Field(
        default=None,
        description="Address to bind for the page of the first boot; else all of the machine's.",
    )
    page_port: int = Field(
        default=8190, ge=0, le=65535, description="Its TCP port: the operator's display's."
    )
    console: Path = Field(
        default=Path("/dev/tty1"), description="Terminal that shows the first boot's state."
    )
    data_device: Path = Field(
        default=Path("/dev/disk/by-label/data"),
        description="The data partition, which `station grow` lets fill the card; the image says "
        "/dev/steelyard/data.",
    )
