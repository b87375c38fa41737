"""One card, from the first look at its device to the last comparison."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from infra.flash import boot_files, claims
from infra.flash.capacity import check_capacity
from infra.flash.devices import Device, check, inspect, run_lsblk
from infra.flash.errors import FlashRefused
from infra.flash.image import open_image
from infra.flash.orders import Order, make_card, read_authority, read_secret
from infra.flash.partitions import boot_partition
from infra.flash.target import Target
from infra.flash.writing import Progress, verify, write_image
from steelyard.station.card import FILE

CA_FILE = "ca.pem"


@dataclass(frozen=True, slots=True)
class Flashed:
    """What was done."""

    station: str
    device: str
    image_bytes: int
    image_sha256: str
    has_claim: bool

    def as_json(self) -> dict[str, Any]:
        """For the playbook."""
        return asdict(self)


def look(order: Order, lsblk: Callable[[], str] = run_lsblk) -> Device:
    """Everything that can be known to be wrong before a device is touched. Raises FlashRefused."""
    boot_files.check_programs()
    make_card(order)
    read_authority(order)
    _read_token(order)
    image = open_image(order.image, order.public_key)
    device = inspect(order.device, lsblk)
    check(device, image.size)
    return device


def flash(order: Order, progress: Progress, lsblk: Callable[[], str] = run_lsblk) -> Flashed:
    """Write the image, prove it, and write the station's settings. Raises FlashRefused."""
    boot_files.check_programs()
    card, authority = make_card(order), read_authority(order)
    token = _read_token(order)
    image = open_image(
        order.image, order.public_key, lambda done, total: progress("check", done, total)
    )
    device = inspect(order.device, lsblk)
    check(device, image.size)
    if order.identity and order.identity != device.identity:
        raise FlashRefused(
            f"{device.path} is another device than the one that was shown: it is {device.identity}"
        )
    with Target(device) as target:
        check_capacity(target, image.size, progress)
        written = write_image(image, target, progress)
        partition = boot_partition(written.head, image.size)
        verify(image, written, target, progress)
        if token is not None and order.claim_from_platform is not None:
            platform = claims.Platform(card.platform_url, order.ca_file, token)
            code = claims.fetch_claim(card, platform, order.claim_from_platform.device)
            card = make_card(order, code)
        files = {FILE: card.as_json(), CA_FILE: authority}
        boot_files.write_files(target, partition, files, progress)
        target.reread_table()
    return Flashed(order.station, device.path, image.size, written.sha256, card.claim is not None)


def _read_token(order: Order) -> str | None:
    """The administrator's token, where a claim code is asked for. Raises FlashRefused."""
    wanted = order.claim_from_platform
    if wanted is None:
        return None
    token = read_secret(wanted.token_file, "token_file")
    # It goes into a header.
    if not (token.isascii() and token.isprintable()):
        raise FlashRefused(
            f"token_file: {wanted.token_file} must hold an access token, on one line"
        )
    return token
