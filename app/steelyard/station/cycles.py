"""The weighbridges' cycles on a card, as the SmartBox's settings have them."""

from pydantic import ValidationError

from steelyard.smartbox.settings import WeighingSettings
from steelyard.station.card import FILE, Card, explain
from steelyard.station.errors import CardUnusable


def read_cycles(card: Card) -> dict[str, WeighingSettings]:
    """By the weighbridge's name. Raises CardUnusable with one sentence."""
    found = {}
    for bridge, values in (card.weighing or {}).items():
        try:
            found[bridge] = WeighingSettings.model_validate(values)
        except ValidationError as error:
            raise CardUnusable(f"{FILE}: weighing.{bridge}.{explain(error)}") from None
        if not str(found[bridge].calibration_file).isprintable():
            raise CardUnusable(f"{FILE}: weighing.{bridge}.calibration_file: must be printable")
    return found
