"""Type on paper: the embedded Chinese font, how wide text is, and where its lines break."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

MM_PER_PT = 25.4 / 72
FONT = "hub-cjk"
FONT_FILES = (  # TrueType outlines; reportlab can't embed the CFF outlines of Noto CJK
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/wqy-microhei/wqy-microhei.ttc",
    "/usr/share/fonts/wenquanyi/wqy-microhei/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
)
_NO_LINE_START = "，。；：！？、）》」』】”’％,.;:!?)]}%"


class FontMissing(RuntimeError):
    """No font with Chinese glyphs that can be embedded."""


def font_file() -> Path:
    """The first usable font of the list."""
    for name in FONT_FILES:
        if Path(name).exists():
            return Path(name)
    raise FontMissing("no Chinese font to embed: apt-get install fonts-wqy-microhei")


@cache
def register_font() -> None:
    """Make the font known to reportlab, once."""
    path = font_file()
    try:
        pdfmetrics.registerFont(TTFont(FONT, str(path), subfontIndex=0))
    except TTFError as failure:
        raise FontMissing(f"{path} can't be embedded: {failure}") from failure


def text_width_mm(text: str, size_pt: float) -> float:
    """How wide a line of text becomes."""
    register_font()
    return float(pdfmetrics.stringWidth(text, FONT, size_pt)) * MM_PER_PT


def wrapped(text: str, size_pt: float, width_mm: float) -> list[str]:
    """The text in lines no wider than this; breaks at spaces and between Chinese characters."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in _pieces(paragraph):
            if line and text_width_mm(line + piece.rstrip(), size_pt) > width_mm:
                lines.append(line.rstrip())
                line = ""
            line += piece
            while text_width_mm(line.rstrip(), size_pt) > width_mm and len(line) > 1:
                fits = _longest_fit(line, size_pt, width_mm)
                lines.append(line[:fits])
                line = line[fits:]
        lines.append(line.rstrip())
    return lines


def _pieces(paragraph: str) -> Iterator[str]:
    """Smallest parts that stay together: words with their space, Chinese characters with their punctuation."""
    piece = ""
    for char in paragraph:
        wide = ord(char) > 0x2E7F
        if piece and char not in _NO_LINE_START and (wide or piece[-1] == " " or ord(piece[-1]) > 0x2E7F):
            yield piece
            piece = ""
        piece += char
    yield piece


def _longest_fit(line: str, size_pt: float, width_mm: float) -> int:
    fits = 1
    while fits < len(line) and text_width_mm(line[: fits + 1], size_pt) <= width_mm:
        fits += 1
    return fits
