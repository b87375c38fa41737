"""A ticket in PDF says the whole ticket, in every language, and its code can be read."""

from pathlib import Path

import pytest
from entry_kit import make_entry

from steelyard.errors import ConfigurationError
from steelyard.ledger.cli import read_claim
from steelyard.smartbox.display.book import Entry
from steelyard.smartbox.display.paper import Fonts, draw_pdf
from steelyard.smartbox.display.sheet import Sheet, make_sheet
from steelyard.smartbox.display.words import LANGUAGES, Words

pypdfium2 = pytest.importorskip("pypdfium2")
zxingcpp = pytest.importorskip("zxingcpp")


@pytest.fixture(scope="module")
def fonts() -> Fonts:
    return Fonts()


def sheet_of(entry: Entry, language: str = "en") -> Sheet:
    return make_sheet(entry, "station-1", Words(language, "UTC"))


def text_of(document: bytes) -> str:
    """All text of a PDF, without its line breaks and blanks."""
    pages = pypdfium2.PdfDocument(document)
    return "".join("".join(page.get_textpage().get_text_bounded().split()) for page in pages)


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_on_the_sheet_is_on_the_paper(fonts: Fonts, language: str) -> None:
    """Each label and value, on however many pages."""
    sheet = sheet_of(make_entry(cells=8), language)
    text = text_of(draw_pdf(sheet, fonts))
    for line in (*sheet.lines, *sheet.cells, *sheet.way):
        assert squeezed(line.label) in text
        assert squeezed(line.value) in text
    assert squeezed(sheet.about_code) in text


def test_the_printed_code_is_read_again(fonts: Fonts, tmp_path: Path) -> None:
    """At the resolution of a plain printer."""
    entry = make_entry()
    document = pypdfium2.PdfDocument(draw_pdf(sheet_of(entry), fonts))
    found = [
        code.text
        for page in document
        for code in zxingcpp.read_barcodes(page.render(scale=200 / 72).to_pil())
    ]
    path = tmp_path / "scanned.json"
    path.write_text(found[0])
    assert read_claim(path).ticket == entry.ticket


def test_a_ticket_of_32_cells_goes_on_over_pages(fonts: Fonts) -> None:
    """None of them is lost at a page's end."""
    sheet = sheet_of(make_entry(cells=32))
    document = draw_pdf(sheet, fonts)
    assert len(pypdfium2.PdfDocument(document)) > 1
    text = text_of(document)
    assert all(squeezed(line.value) in text for line in sheet.cells)


def test_letters_that_the_font_lacks_are_written_as_numbers(fonts: Fonts) -> None:
    """So the paper never shows an empty box for a vehicle."""
    text = text_of(draw_pdf(sheet_of(make_entry(vehicle="\u4e2d-7")), fonts))
    assert "[U+4E2D]-7" in text


def test_a_refused_ticket_says_why(fonts: Fonts) -> None:
    """And has no code: it is not on the ledger."""
    entry = make_entry()
    refused = Entry(entry.ticket, 12, "refused", None, {"detail": "the weighbridge is unknown"})
    sheet = sheet_of(refused)
    settled = Entry(entry.ticket, 12, "dismissed", None, refused.problem, "weighed again by hand")
    assert "print again" not in sheet_of(settled).about_code
    told = [(line.label, line.value) for line in sheet_of(settled).way]
    assert told[0][1] == "Refused, and settled otherwise"
    assert told[1:] == [
        ("Reason", "the weighbridge is unknown"),
        ("Settled", "weighed again by hand"),
    ]
    assert sheet.code is None
    text = text_of(draw_pdf(sheet, fonts))
    assert squeezed("the weighbridge is unknown") in text
    assert squeezed("Not on the ledger") in text


def test_a_file_that_is_no_font_is_named(tmp_path: Path) -> None:
    """At the start, by the setting."""
    path = tmp_path / "font.ttf"
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match=r"smartbox\.display_font_file: .*font\.ttf"):
        Fonts(path)
