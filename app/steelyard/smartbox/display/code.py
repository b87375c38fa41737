"""The code on a ticket: a QR code (ISO/IEC 18004) whose text is what `steelyard verify` reads."""

import io
import json
from dataclasses import dataclass
from typing import Any

import segno

from steelyard.smartbox.display.book import Entry
from steelyard.smartbox.display.errors import NoCode

MOST_VERSION = 30  # 137 modules: beyond, a plain printer and a telephone's camera lose them
QUIET = 4  # modules around the code


@dataclass(frozen=True, slots=True)
class Code:
    """A code; `has_ticket` says whether the ticket itself is in it beside its receipt."""

    text: str
    has_ticket: bool
    symbol: Any

    def svg(self) -> bytes:
        """As an image."""
        out = io.BytesIO()
        self.symbol.save(out, kind="svg", border=QUIET, light="#fff", omitsize=True)
        return out.getvalue()

    def rows(self) -> list[bytearray]:
        """Its modules, 1 for dark, with the quiet zone."""
        return [bytearray(row) for row in self.symbol.matrix_iter(border=QUIET)]


def make_claim(entry: Entry) -> dict[str, Any]:
    """The receipt with the ticket: the file that `steelyard verify` takes. Raises NoCode."""
    if entry.receipt is None:
        raise NoCode(f"{entry.ticket.id} is not registered: its state is {entry.state}")
    receipt: dict[str, Any] = entry.receipt.model_dump(mode="json", by_alias=True)
    return {**receipt, "ticket": entry.ticket.as_json()}


def make_code(entry: Entry) -> Code:
    """The code of a registered ticket. Raises NoCode.

    A ticket of very many cells does not fit: then the code has the receipt only.
    """
    claim = make_claim(entry)
    # ASCII, so that a reader need not guess an encoding.
    text = json.dumps(claim, separators=(",", ":"))
    symbol = _symbol(text)
    if symbol is not None:
        return Code(text, True, symbol)
    del claim["ticket"]
    text = json.dumps(claim, separators=(",", ":"))
    symbol = _symbol(text)
    assert symbol is not None, "a receipt has at most 250 bytes"  # noqa: S101 - see above
    return Code(text, False, symbol)


def _symbol(text: str) -> Any:
    try:
        symbol = segno.make_qr(text, error="m", boost_error=False)
    except segno.DataOverflowError:
        return None
    return symbol if int(symbol.version) <= MOST_VERSION else None
