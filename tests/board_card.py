"""A card for an emulated board, flashed as a real one is."""

from pathlib import Path

from infra.flash.orders import Order
from infra.flash.service import Flashed, flash
from infra.images.emulator import Emulator

# Where an emulated board finds the computer that it runs on.
HOST = "10.0.2.2"
# The station's directory on its data partition.
PLACE = "/data/steelyard"
# MiB: not the image's size, so that the data partition has somewhere to grow.
CARD = 3072


def flash_card(
    built: Path,
    board: Emulator,
    key: Path,
    *,
    platform: str,
    authority: Path,
    claim: str,
    station: str = "yard",
) -> Flashed:
    """Write a build's image and a station's settings. `key` may log in, by its public half."""
    with board.card.open("wb") as file:
        file.truncate(CARD << 20)
    claim_file = board.directory / "claim"
    claim_file.touch(mode=0o600)
    claim_file.write_text(f"{claim}\n", "ascii")
    order = Order(
        image=next(built.glob("*.img.xz")),
        public_key=built / "update-key.pem",
        device=board.card,
        station=station,
        settings={
            "host_name": f"{station}-box",
            "platform_url": platform,
            "ssh_keys": [key.with_suffix(".pub").read_text("ascii").strip()],
        },
        ca_file=authority,
        claim_file=claim_file,
    )
    try:
        return flash(order, lambda *_: None)
    finally:
        claim_file.unlink()


LISTENERS = "ss -Hltun"
# DHCP's clients.
LEASES = {("udp", "68"), ("udp", "546")}


def open_ports(listeners: str) -> set[tuple[str, str]]:
    """Protocols and ports that LISTENERS shows, but for those on loopback."""
    found = [line.split() for line in listeners.splitlines()]
    return {
        (words[0], words[4].rsplit(":", 1)[1])
        for words in found
        if not words[4].startswith(("127.", "[::1]"))
    }
