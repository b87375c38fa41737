"""A station's units, and how exposed each may be, by systemd-analyze security: 0 to 10, most."""

MOST_EXPOSED = 2.5
CONFINED = [
    "steelyard-smartbox.service",
    "steelyard-loadcell@x.service",
    "steelyard-first-boot.service",
    "steelyard-station-prepare.service",
    "steelyard-station-follow.service",
    "steelyard-station-finish.service",
    "steelyard-station-grow.service",
    "steelyard-wifi@wlan0.service",
    "steelyard-keep-log.service",
    "steelyard-keep-log-end.service",
    "steelyard-clock.service",
]
# Root's own, which hear no network.
NOT_CONFINED = {
    "steelyard-slot.service": "mounts the boot partition, and starts the board again",
    "steelyard-slot-end.service": "the same, for a root on trial that cannot say how it is",
    "steelyard-data-writable.service": "starts the board again",
    "steelyard-data.service": "gives directories to their owners before anything else runs",
}
# Debian's, as they come, by what was measured in a started board: one that is more exposed than
# that, or one that is not here, is to be looked at.
DEBIAN_S = {
    "dbus.service": 9.3,
    "emergency.service": 9.5,
    "rescue.service": 9.5,
    "ssh.service": 9.6,
    "systemd-ask-password-console.service": 9.4,
    "systemd-ask-password-wall.service": 9.4,
    "systemd-bsod.service": 9.5,
    "systemd-hostnamed.service": 1.7,
    "systemd-initctl.service": 9.4,
    "systemd-journald.service": 4.9,
    "systemd-logind.service": 2.8,
    "systemd-networkd.service": 2.9,
    "systemd-resolved.service": 2.2,
    "systemd-rfkill.service": 9.4,
    "systemd-timesyncd.service": 2.1,
    "systemd-udevd.service": 7.0,
}
