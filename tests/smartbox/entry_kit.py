"""A registered ticket, and a camera for the code on it."""

import pytest
from PIL import Image

from steelyard.smartbox.display.book import Entry
from steelyard.smartbox.display.code import Code
from steelyard.ticket import Receipt, Ticket


def make_entry(cells: int = 4, vehicle: str = "AA-00-BB", serial: str = "C") -> Entry:
    ticket = Ticket(
        id=f"station-1_wb-1_{1_605_160_889_392}",
        terminal_serial="T1",
        terminal_restart=3,
        timestamp=1_605_160_889_392,
        scale_serial="WB01",
        status="ok",
        gross=31_240_000,
        tare=12_000_000,
        net=19_240_000,
        vehicle=vehicle,
        cells=[{"serial": f"{serial}{n}", "weight": 7_810_123 + n} for n in range(cells)],
    )
    receipt = Receipt(ticket_id=ticket.id, transaction_hash="0x" + "5a" * 32, block_number=99)
    return Entry(ticket, 12, "registered", receipt, None)


def read_code(code: Code) -> str:
    """What a camera's library reads in it."""
    zxingcpp = pytest.importorskip("zxingcpp")
    rows = code.rows()
    image = Image.new("L", (len(rows), len(rows)))
    image.putdata([0 if dark else 255 for row in rows for dark in row])
    image = image.resize((4 * len(rows), 4 * len(rows)), Image.Resampling.NEAREST)
    (found,) = zxingcpp.read_barcodes(image)
    return str(found.text)
