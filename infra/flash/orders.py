"""What one card is to say: the inventory's words, with secrets from their files."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.flash.errors import FlashRefused
from infra.flash.files import read_file
from steelyard.errors import ConfigurationError
from steelyard.secret_files import read_secret_line
from steelyard.station.card import Card, explain
from steelyard.station.cycles import read_cycles
from steelyard.station.errors import CardUnusable

_MAX_CA_BYTES = 65_536


class ClaimFromPlatform(BaseModel):
    """A claim code that the management API is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_file: Path = Field(description="An administrator's access token, mode 0600.")
    device: str | None = Field(default=None, description="The SmartBox's id; else found by name.")


class Order(BaseModel):
    """A card: which image, which device, and what it says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Path
    public_key: Path
    device: Path
    identity: str = Field(default="", description="What the device was when its user said yes.")
    station: str
    settings: dict[str, Any] = Field(description="The card, with files in place of secrets.")
    ca_file: Path = Field(description="The platform's authority.")
    claim_file: Path | None = None
    claim_from_platform: ClaimFromPlatform | None = None


def read_order(text: str) -> Order:
    """The order, as the playbook gives it. Raises FlashRefused."""
    try:
        return Order.model_validate_json(text)
    except ValidationError as error:
        raise FlashRefused(explain(error)) from None


def make_card(order: Order, claim: str | None = None) -> Card:
    """The card, checked; `claim` is a code that the platform gave. Raises FlashRefused."""
    document = copy.deepcopy(order.settings) | {"version": 1, "station": order.station}
    if "claim" in document:
        raise FlashRefused(
            f"{order.station}: claim must not stand in the inventory: name its file, claim_file"
        )
    _take_secrets(order.station, document)
    if claim is None and order.claim_file is not None:
        claim = read_secret(order.claim_file, f"{order.station}: claim_file")
    if claim is not None:
        document["claim"] = claim
    try:
        card = Card.model_validate(document)
        read_cycles(card)
    except ValidationError as error:
        raise FlashRefused(f"{order.station}: {explain(error)}") from None
    except CardUnusable as problem:
        raise FlashRefused(f"{order.station}: {problem.detail}") from None
    return card


def read_authority(order: Order) -> bytes:
    """The platform's authority, for the card. Raises FlashRefused."""
    content = read_file(order.ca_file)
    try:
        x509.load_pem_x509_certificates(content[: _MAX_CA_BYTES + 1])
    except ValueError:
        raise FlashRefused(f"{order.ca_file} must be the platform's authority in PEM") from None
    if len(content) > _MAX_CA_BYTES or b"PRIVATE KEY" in content:
        raise FlashRefused(f"{order.ca_file} must hold certificates only, and no key")
    return content


def _take_secrets(station: str, document: dict[str, Any]) -> None:
    network = document.get("network")
    wifi = network.get("wifi") if isinstance(network, Mapping) else None
    if not isinstance(wifi, dict):
        return
    for name in ("passphrase", "psk"):
        if name in wifi:
            raise FlashRefused(
                f"{station}: network.wifi.{name} must not stand in the inventory: name its file, "
                f"{name}_file"
            )
        if (path := wifi.pop(f"{name}_file", None)) is not None:
            wifi[name] = read_secret(Path(str(path)), f"{station}: network.wifi.{name}_file")


def read_secret(path: Path, name: str) -> str:
    """A secret from its file. Raises FlashRefused."""
    try:
        return read_secret_line(path.expanduser(), name)
    except ConfigurationError as problem:
        raise FlashRefused(problem.detail) from None
