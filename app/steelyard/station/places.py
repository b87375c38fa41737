"""The files of a station's machine, by their meaning."""

from dataclasses import dataclass
from pathlib import Path

from steelyard.smartbox.enrolment.files import CONFIG_FILE
from steelyard.station.settings import StationSettings


@dataclass(frozen=True, slots=True)
class Places:
    """Paths that follow from the settings."""

    settings: StationSettings

    @property
    def card(self) -> Path:
        """The card's directory on the boot partition."""
        return self.settings.boot_directory / "steelyard"

    @property
    def kept(self) -> Path:
        """What is kept of the card, for root."""
        return self.settings.data_directory / "station"

    @property
    def ssh(self) -> Path:
        """The machine's ssh keys, and who may log in."""
        return self.settings.data_directory / "ssh"

    @property
    def enrolment(self) -> Path:
        """The SmartBox's identity and configuration."""
        return self.settings.data_directory / "smartbox" / "enrolment"

    @property
    def smartbox_data(self) -> Path:
        """The alibi memory and the outbox."""
        return self.settings.data_directory / "smartbox" / "data"

    @property
    def wifi(self) -> Path:
        """wpa_supplicant's configuration."""
        return self.settings.run_directory / "wifi" / "wpa_supplicant.conf"

    @property
    def following(self) -> Path:
        """What the card says of an enrolled SmartBox, where its configuration says otherwise."""
        return self.settings.run_directory / "following.json"

    @property
    def smartbox_config(self) -> Path:
        """The SmartBox's configuration."""
        return self.enrolment / CONFIG_FILE

    @property
    def first_boot_state(self) -> Path:
        """How far the first boot is, as JSON."""
        return self.settings.run_directory / "first-boot" / "state.json"

    def is_enrolled(self) -> bool:
        """Whether the first boot has done its work: this file comes last, with all others."""
        return self.smartbox_config.exists()
