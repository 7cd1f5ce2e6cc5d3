"""Paper: A4 pages with an embedded Chinese font, tables, and ECG at true scale (25 mm/s, 10 mm/mV).

Data in, bytes out. Measures are millimetres from the top left corner; a page fills from top to bottom and a block
that has no room begins the next page. What is missing in a signal is a break in its line, never a line across.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from hub.core.pdf_text import FONT, MM_PER_PT, register_font, wrapped

WIDTH_MM, HEIGHT_MM = 210.0, 297.0
MARGIN_MM = 15.0
TOP_MM, BOTTOM_MM = 26.0, 279.0  # between header and footer
CONTENT_MM = WIDTH_MM - 2 * MARGIN_MM
SPEED_MM_S, GAIN_MM_MV = 25.0, 10.0  # IEC 60601-2-25: the usual paper speed and gain
GRID_MM, BOLD_EVERY = 1.0, 5
MAX_BAND_MM = 60.0  # 6 mV; what goes beyond is drawn at the edge of its band
TREND_LINES = 5  # about so many lines across a trend
LINE_SPACING = 1.45  # of the font size; Chinese needs more than Latin

INK, GREY, RULE, WARNING = "#111111", "#555555", "#bbbbbb", "#b00020"
GRID_FINE, GRID_BOLD = "#f6d5d5", "#e79a9a"

Align = Literal["left", "right", "centre"]
Stroke = Callable[[Canvas], None]


@dataclass(frozen=True)
class Frame:
    """What stands on every page."""

    title: str
    right: str = ""
    footer: tuple[str, ...] = ()
    page_words: str = "{page} / {pages}"
    banner: str = ""  # a warning that must be on every page


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    width_mm: float
    align: Align = "left"


@dataclass(frozen=True)
class Trace:
    """One lead of a strip; `valid` is False where samples are missing."""

    label: str
    samples: NDArray[np.int16]
    uv_per_lsb: float
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Strip:
    """A stretch of ECG: leads under one another on one grid, with words above and marks in time."""

    traces: Sequence[Trace]
    fs_hz: float
    caption: str = ""
    marks: Sequence[tuple[float, str]] = ()  # seconds from the start, label
    lead_height_mm: float = 20.0


@dataclass(frozen=True)
class Trend:
    """A quantity over hours: points, and NaN where nothing is known.

    least_span: the scale covers at least this much of the unit, so that noise does not look like change.
    """

    x_h: NDArray[np.float64]
    values: NDArray[np.float64]
    unit: str
    x_labels: Sequence[tuple[float, str]]
    height_mm: float = 40.0
    least_span: float = 0.0


@dataclass
class Paper:
    """A document being written, page by page."""

    frame: Frame
    y_mm: float = TOP_MM
    _pages: list[list[Stroke]] = field(default_factory=lambda: [[]])

    def __post_init__(self) -> None:
        register_font()

    def new_page(self) -> None:
        self._pages.append([])
        self.y_mm = TOP_MM

    def room(self, height_mm: float) -> None:
        """Begin a new page unless this much is left."""
        if self.y_mm + height_mm > BOTTOM_MM and self.y_mm > TOP_MM:
            self.new_page()

    def space(self, height_mm: float) -> None:
        self.y_mm += height_mm

    def heading(self, text: str, size_pt: float = 12) -> None:
        """A heading, kept together with what follows it."""
        self.room(24)
        self.space(2)
        self.text(text, size_pt)
        y_mm = self.y_mm
        self.line(MARGIN_MM, y_mm, WIDTH_MM - MARGIN_MM, y_mm)
        self.space(2)

    def text(self, text: str, size_pt: float = 10, colour: str = INK, width_mm: float = CONTENT_MM) -> None:
        """A paragraph over the given width."""
        step_mm = size_pt * LINE_SPACING * MM_PER_PT
        for line in wrapped(text, size_pt, width_mm):
            self.room(step_mm)
            self.write(MARGIN_MM, self.y_mm + 0.75 * step_mm, line, size_pt, colour)
            self.y_mm += step_mm

    def fields(self, pairs: Sequence[tuple[str, str]], columns: int = 2, label_mm: float = 24) -> None:
        """Label and value, several beside one another."""
        width_mm = CONTENT_MM / columns
        for start in range(0, len(pairs), columns):
            row = pairs[start : start + columns]
            cells = [wrapped(value, 10, width_mm - label_mm - 2) for _, value in row]
            height_mm = max(len(cell) for cell in cells) * 5.2
            self.room(height_mm)
            for i, (label, _) in enumerate(row):
                x_mm = MARGIN_MM + i * width_mm
                self.write(x_mm, self.y_mm + 3.8, label, 9, GREY)
                for k, line in enumerate(cells[i]):
                    self.write(x_mm + label_mm, self.y_mm + 3.8 + 5.2 * k, line, 10)
            self.y_mm += height_mm

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], size_pt: float = 9) -> None:
        """A table; its head is repeated on each page."""
        self._table_head(columns, size_pt)
        step_mm = size_pt * LINE_SPACING * MM_PER_PT
        for row in rows:
            cells = [wrapped(text, size_pt, c.width_mm - 2) for text, c in zip(row, columns, strict=True)]
            height_mm = max(len(cell) for cell in cells) * step_mm + 1
            if self.y_mm + height_mm > BOTTOM_MM:
                self.new_page()
                self._table_head(columns, size_pt)
            for k in range(max(len(cell) for cell in cells)):
                line = [cell[k] if k < len(cell) else "" for cell in cells]
                self._row(columns, line, self.y_mm + (k + 0.8) * step_mm, size_pt, INK)
            self.y_mm += height_mm
            self.line(MARGIN_MM, self.y_mm, MARGIN_MM + sum(c.width_mm for c in columns), self.y_mm)
        self.space(2)

    def strip(self, strip: Strip) -> None:
        """ECG at true scale; longer than a line is wide goes on in the next line."""
        per_line = int(CONTENT_MM / SPEED_MM_S * strip.fs_hz)
        total = max(len(trace.samples) for trace in strip.traces)
        for start in range(0, total, per_line):
            self._strip_line(strip, start, min(start + per_line, total))

    def trend(self, trend: Trend) -> None:
        """A curve over time with its own scale, labelled."""
        self.room(trend.height_mm + 8)
        known = trend.values[np.isfinite(trend.values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        spare = max(0.0, trend.least_span - (high - low)) / 2
        low, high = low - spare, high + spare
        step = _round_step((high - low) / TREND_LINES)
        low = np.floor(low / step) * step
        high = max(np.ceil(high / step) * step, low + step)
        left, width, top = MARGIN_MM + 12, CONTENT_MM - 12, self.y_mm + 2
        span_h = max(float(trend.x_h[-1] - trend.x_h[0]), 1e-9) if trend.x_h.size else 1.0
        first_h = float(trend.x_h[0]) if trend.x_h.size else 0.0

        def at_x(hours: float) -> float:
            return left + width * (hours - first_h) / span_h

        for level in np.arange(low, high + step / 2, step):
            y_mm = top + trend.height_mm * (high - level) / (high - low)
            self.line(left, y_mm, left + width, y_mm)
            self.write(left - 1.5, y_mm + 1, f"{level:g}", 7, GREY, "right")
        self.write(left, top - 1, trend.unit, 7, GREY)
        for hours, label in trend.x_labels:
            self.write(at_x(hours), top + trend.height_mm + 4, label, 7, GREY, "centre")
        x_mm = left + width * (trend.x_h - first_h) / span_h
        self.curve(x_mm, top + trend.height_mm * (high - trend.values) / (high - low), 0.2)
        self.y_mm = top + trend.height_mm + 6

    def write(
        self,
        x_mm: float,
        y_mm: float,
        text: str,
        size_pt: float = 10,
        colour: str = INK,
        align: Align = "left",
    ) -> None:
        """One line of text with its baseline here."""
        self._pages[-1].append(_writer(x_mm, y_mm, text, size_pt, colour, align))

    def picture(
        self, image: bytes, left_mm: float, top_mm: float, width_mm: float, height_mm: float
    ) -> tuple[float, float]:
        """A JPEG or PNG as large as fits this box, from its upper left corner; how wide and how high it is."""
        reader = ImageReader(io.BytesIO(image))
        columns, rows = reader.getSize()
        scale = min(width_mm / columns, height_mm / rows)
        wide, high = columns * scale, rows * scale

        def stroke(canvas: Canvas) -> None:
            canvas.drawImage(reader, left_mm * mm, (HEIGHT_MM - top_mm - high) * mm, wide * mm, high * mm)

        self._pages[-1].append(stroke)
        return float(wide), float(high)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = RULE, width_mm: float = 0.1
    ) -> None:
        """A straight line."""

        def stroke(canvas: Canvas) -> None:
            canvas.setStrokeColor(colour)
            canvas.setLineWidth(width_mm * mm)
            canvas.line(x1 * mm, (HEIGHT_MM - y1) * mm, x2 * mm, (HEIGHT_MM - y2) * mm)

        self._pages[-1].append(stroke)

    def curve(self, x_mm: NDArray[Any], y_mm: NDArray[Any], width_mm: float, colour: str = INK) -> None:
        """A line through points, broken where y is NaN."""
        xs, ys = np.round(x_mm * mm, 2).tolist(), np.round((HEIGHT_MM - y_mm) * mm, 2).tolist()

        def stroke(canvas: Canvas) -> None:
            canvas.setStrokeColor(colour)
            canvas.setLineWidth(width_mm * mm)
            canvas.setLineJoin(1)
            path, pen_down = canvas.beginPath(), False
            for x, y in zip(xs, ys, strict=True):
                if y != y:
                    pen_down = False
                    continue
                (path.lineTo if pen_down else path.moveTo)(x, y)
                pen_down = True
            canvas.drawPath(path)

        self._pages[-1].append(stroke)

    def finish(self) -> bytes:
        """The document."""
        out = io.BytesIO()
        canvas = Canvas(out, pagesize=(WIDTH_MM * mm, HEIGHT_MM * mm), invariant=1)
        canvas.setTitle(self.frame.title)
        canvas.setCreator("Telehub")
        for number, strokes in enumerate(self._pages, 1):
            for stroke in [*_frame_strokes(self.frame, number, len(self._pages)), *strokes]:
                stroke(canvas)
            canvas.showPage()
        canvas.save()
        return out.getvalue()

    def _table_head(self, columns: Sequence[Column], size_pt: float) -> None:
        self.room(16)
        step_mm = size_pt * LINE_SPACING * MM_PER_PT
        self._row(columns, [c.title for c in columns], self.y_mm + 0.8 * step_mm, size_pt, GREY)
        self.y_mm += step_mm + 1
        width_mm = sum(c.width_mm for c in columns)
        self.line(MARGIN_MM, self.y_mm, MARGIN_MM + width_mm, self.y_mm, GREY, 0.25)

    def _row(
        self, columns: Sequence[Column], texts: Sequence[str], y_mm: float, size_pt: float, ink: str
    ) -> None:
        x_mm = MARGIN_MM
        for column, text in zip(columns, texts, strict=True):
            inset = {"left": 0.0, "right": column.width_mm - 2, "centre": column.width_mm / 2}[column.align]
            self.write(x_mm + inset, y_mm, text, size_pt, ink, column.align)
            x_mm += column.width_mm

    def _strip_line(self, strip: Strip, start: int, end: int) -> None:
        curves = [_deflection_mm(trace, start, end) for trace in strip.traces]
        heights = [_band_mm(curve, strip.lead_height_mm) for curve in curves]
        height_mm = sum(heights)
        self.room(height_mm + 12)
        self.write(MARGIN_MM, self.y_mm + 3.5, strip.caption if start == 0 else "", 8)
        scale = f"{SPEED_MM_S:g} mm/s  {GAIN_MM_MV:g} mm/mV"
        self.write(WIDTH_MM - MARGIN_MM, self.y_mm + 3.5, scale, 8, GREY, "right")
        self.y_mm += 5
        width_mm = np.ceil((end - start) / strip.fs_hz * SPEED_MM_S / BOLD_EVERY) * BOLD_EVERY
        self._grid(MARGIN_MM, self.y_mm, min(float(width_mm), CONTENT_MM), height_mm)
        x_mm = MARGIN_MM + np.arange(end - start) / strip.fs_hz * SPEED_MM_S
        top_mm = self.y_mm
        for trace, curve, band_mm in zip(strip.traces, curves, heights, strict=True):
            middle_mm = top_mm + band_mm / 2
            curve = np.where(np.abs(curve) > band_mm / 2, np.copysign(band_mm / 2, curve), curve)
            self.curve(x_mm[: len(curve)], middle_mm - curve, 0.18)
            self.write(MARGIN_MM + 1, top_mm + 3.5, trace.label, 8)
            top_mm += band_mm
        for second, label in strip.marks:
            if start <= second * strip.fs_hz < end:
                at_mm = MARGIN_MM + (second - start / strip.fs_hz) * SPEED_MM_S
                self.line(at_mm, top_mm, at_mm, top_mm + 1.5, INK, 0.25)
                self.write(at_mm, top_mm + 4, label, 7, INK, "centre")
        self.y_mm = top_mm + 6

    def _grid(self, left: float, top: float, width: float, height: float) -> None:
        """Squares of 1 mm, every fifth line bold: bold lines last, so that they are not cut."""
        for bold in (False, True):
            colour, width_mm = (GRID_BOLD, 0.15) if bold else (GRID_FINE, 0.08)
            for i in range(round(width / GRID_MM) + 1):
                if (i % BOLD_EVERY == 0) == bold:
                    self.line(left + i, top, left + i, top + height, colour, width_mm)
            for i in range(round(height / GRID_MM) + 1):
                if (i % BOLD_EVERY == 0) == bold:
                    self.line(left, top + i, left + width, top + i, colour, width_mm)


def _round_step(least: float) -> float:
    """1, 2, 5 or 10 times a power of ten, at least this much, and 5 of the unit at least."""
    least = max(least, 5.0)
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(k * power for k in (1, 2, 5, 10) if k * power >= least))


def _deflection_mm(trace: Trace, start: int, end: int) -> NDArray[np.float64]:
    """Millimetres around the middle of the lead's own range, since recorders add an offset."""
    uv = trace.samples[start:end].astype(np.float64) * trace.uv_per_lsb
    if trace.valid is not None:
        uv[~trace.valid[start:end]] = np.nan
    known = uv[np.isfinite(uv)]
    middle_uv = (known.min() + known.max()) / 2 if known.size else 0.0
    return np.asarray((uv - middle_uv) / 1000 * GAIN_MM_MV)


def _band_mm(deflection_mm: NDArray[np.float64], least_mm: float) -> float:
    """Height of a lead on paper, in bold squares: enough for its range, to a limit."""
    known = deflection_mm[np.isfinite(deflection_mm)]
    needed_mm = 2 * float(known.max()) + 2 if known.size else 0.0
    return min(max(least_mm, float(np.ceil(needed_mm / BOLD_EVERY)) * BOLD_EVERY), MAX_BAND_MM)


def _writer(x_mm: float, y_mm: float, text: str, size_pt: float, colour: str, align: Align) -> Stroke:
    def stroke(canvas: Canvas) -> None:
        canvas.setFillColor(colour)
        canvas.setFont(FONT, size_pt)
        draw = {
            "left": canvas.drawString,
            "right": canvas.drawRightString,
            "centre": canvas.drawCentredString,
        }
        draw[align](x_mm * mm, (HEIGHT_MM - y_mm) * mm, text)

    return stroke


def _frame_strokes(frame: Frame, page: int, pages: int) -> Iterator[Stroke]:
    right = WIDTH_MM - MARGIN_MM
    yield _writer(MARGIN_MM, 18, frame.title, 14, INK, "left")
    yield _writer(right, 18, frame.right, 9, GREY, "right")
    yield _writer(WIDTH_MM / 2, 24, frame.banner, 11, WARNING, "centre")
    yield _writer(right, 290, frame.page_words.format(page=page, pages=pages), 8, GREY, "right")
    for i, line in enumerate(frame.footer):
        yield _writer(MARGIN_MM, 284 + 3.2 * i, line, 7, GREY, "left")
