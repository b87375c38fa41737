"""A printed ticket as PDF, A5."""

import io
from pathlib import Path

from reportlab.lib.pagesizes import A5
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas

from steelyard.errors import ConfigurationError
from steelyard.smartbox.display.code import Code
from steelyard.smartbox.display.sheet import Line, Sheet

MARGIN = 12 * mm
LABEL_WIDTH = 42 * mm
CODE_SIZE = 62 * mm
LEADING = 1.3
_OWN, _OWN_STRONG = "Vera.ttf", "VeraBd.ttf"  # reportlab brings them: Bitstream Vera


class Fonts:
    """The plain and the strong font, and what they can write. Raises ConfigurationError.

    With a file of one's own both are that one.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.plain = self._load("ticket", str(file) if file else _OWN)
        self.strong = self.plain if file else self._load("ticket-strong", _OWN_STRONG)

    def _load(self, name: str, file: str) -> TTFont:
        try:
            font = TTFont(name, file)
        except (TTFError, OSError) as error:
            raise ConfigurationError(
                f"smartbox.display_font_file: {file} must be a TrueType font: {error}"
            ) from None
        pdfmetrics.registerFont(font)
        return font

    def writable(self, text: str) -> str:
        """The text; a character that the font lacks becomes its number, so that none is lost."""
        known = self.plain.face.charToGlyph
        return "".join(c if ord(c) in known else f"[U+{ord(c):04X}]" for c in text)


class Paper:
    """Draws one sheet, from top to bottom, on as many pages as it needs."""

    def __init__(self, sheet: Sheet, fonts: Fonts) -> None:
        self._sheet, self._fonts = sheet, fonts
        self._out = io.BytesIO()
        self._width, self._height = A5
        self._canvas = Canvas(self._out, pagesize=A5, invariant=1, lang=sheet.language)
        self._canvas.setTitle(f"{sheet.title} {sheet.lines[0].value}")
        self._canvas.setCreator("Steelyard")
        self._y = self._height - MARGIN

    def draw(self) -> bytes:
        """The PDF."""
        sheet = self._sheet
        self._text(sheet.title, 16, strong=True)
        self._text(sheet.station, 10)
        self._gap(3 * mm)
        for line in sheet.lines:
            self._line(line)
        self._heading(sheet.cells_title)
        for line in sheet.cells:
            self._line(line)
        self._heading(sheet.way_title)
        for line in sheet.way:
            self._line(line)
        self._gap(3 * mm)
        if sheet.code is not None:
            self._draw_code(sheet.code)
        self._text(sheet.about_code, 7)
        self._canvas.showPage()
        self._canvas.save()
        return self._out.getvalue()

    def _heading(self, text: str) -> None:
        self._gap(2 * mm)
        self._need(20 * mm)  # never alone at a page's end
        self._text(text, 10, strong=True)

    def _line(self, line: Line) -> None:
        """A label and its value side by side, on one page."""
        size = 11 if line.strong else 8.5
        font = self._fonts.strong if line.strong else self._fonts.plain
        value_width = self._width - 2 * MARGIN - LABEL_WIDTH
        label = self._pieces(line.label, self._fonts.plain, 8.5, LABEL_WIDTH - 2 * mm)
        value = self._pieces(line.value, font, size, value_width)
        height = max(len(label), len(value)) * size * LEADING
        self._need(height)
        self._write(label, self._fonts.plain, 8.5, size * LEADING)
        self._write(value, font, size, size * LEADING, left=LABEL_WIDTH)
        self._y -= height

    def _text(self, text: str, size: float, *, strong: bool = False) -> None:
        font = self._fonts.strong if strong else self._fonts.plain
        pieces = self._pieces(text, font, size, self._width - 2 * MARGIN)
        height = len(pieces) * size * LEADING
        self._need(height)
        self._write(pieces, font, size, size * LEADING)
        self._y -= height

    def _write(
        self, pieces: list[str], font: TTFont, size: float, leading: float, *, left: float = 0.0
    ) -> None:
        self._canvas.setFont(font.fontName, size)
        for number, piece in enumerate(pieces, 1):
            self._canvas.drawString(MARGIN + left, self._y - number * leading, piece)

    def _pieces(self, text: str, font: TTFont, size: float, room: float) -> list[str]:
        """Lines that fit: parted at blanks, or within a word that is too long for a line."""
        lines, line = [], ""
        for word in self._fonts.writable(text).split(" "):
            joined = f"{line} {word}" if line else word
            if font.stringWidth(joined, size) <= room:
                line = joined
                continue
            if line:
                lines.append(line)
            line = ""
            for character in word:
                if line and font.stringWidth(line + character, size) > room:
                    lines.append(line)
                    line = ""
                line += character
        return [*lines, line]

    def _draw_code(self, code: Code) -> None:
        self._need(CODE_SIZE)
        rows = code.rows()
        module = CODE_SIZE / len(rows)
        top = self._y
        for number, row in enumerate(rows):
            y = top - (number + 1) * module
            start = None
            for column, dark in enumerate([*row, 0]):
                if dark and start is None:
                    start = column
                elif not dark and start is not None:
                    x = MARGIN + start * module
                    self._canvas.rect(x, y, (column - start) * module, module, stroke=0, fill=1)
                    start = None
        self._y = top - CODE_SIZE

    def _gap(self, height: float) -> None:
        self._y -= height

    def _need(self, height: float) -> None:
        """Begin a new page when so much does not fit any more."""
        if self._y - height < MARGIN:
            self._canvas.showPage()
            self._y = self._height - MARGIN


def draw_pdf(sheet: Sheet, fonts: Fonts) -> bytes:
    """A sheet as PDF."""
    return Paper(sheet, fonts).draw()
