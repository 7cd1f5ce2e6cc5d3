"""Paper is measured as a ruler would measure it: from the drawn page."""

import numpy as np
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.core import pdf, pdf_text
from hub.core.pdf import Column, Frame, Paper, Strip, Trace, Trend

DPI = 300
PX_PER_MM = DPI / 25.4
FRAME = Frame("动态心电图报告", "张三", ("仅供临床参考",), "第 {page} / {pages} 页")


def page(paper: Paper, number: int = 0) -> NDArray[np.uint8]:
    document = pypdfium2.PdfDocument(paper.finish())
    try:
        image = document[number].render(scale=DPI / 72).to_numpy()[:, :, :3]
        return np.ascontiguousarray(image)
    finally:
        document.close()


def text_of(paper: Paper) -> list[str]:
    document = pypdfium2.PdfDocument(paper.finish())
    try:
        return [sheet.get_textpage().get_text_range() for sheet in document]
    finally:
        document.close()


def dark(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return image.max(axis=2) < 90


@pytest.fixture
def square_wave() -> Trace:
    """1 mV for the second half of each second, at 500 Hz: the calibration pulse of a recorder."""
    second = np.r_[np.zeros(250), np.full(250, 400)].astype(np.int16)
    return Trace("II", np.tile(second, 7), 2.5)


def centres(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The middle of each run of hits."""
    edges = np.flatnonzero(np.diff(np.r_[0, hits.astype(np.int8), 0]))
    return (edges[::2] + edges[1::2] - 1) / 2


def test_grid_pitch_is_a_millimetre() -> None:
    paper = Paper(FRAME)
    flat = Trace("", np.zeros(500 * 7, np.int16), 1.0, np.zeros(500 * 7, bool))
    paper.strip(Strip([flat], 500))
    image = page(paper).astype(int)
    pink = np.abs(image[:, :, 0] - image[:, :, 2])
    row = int((pdf.TOP_MM + 5 + 10.5) * PX_PER_MM)
    lines = centres(pink[row] > 8)
    assert len(lines) == 176
    assert np.diff(lines).mean() == pytest.approx(PX_PER_MM, rel=0.005)
    assert (lines[-1] - lines[0]) / PX_PER_MM == pytest.approx(175, rel=0.005)


def test_a_millivolt_is_ten_millimetres_and_a_second_twenty_five(square_wave: Trace) -> None:
    paper = Paper(FRAME)
    paper.strip(Strip([square_wave], 500, lead_height_mm=30))
    ink = dark(page(paper))
    body = ink[int((pdf.TOP_MM + 6) * PX_PER_MM) : int((pdf.TOP_MM + 34) * PX_PER_MM)]
    body = body[:, int((pdf.MARGIN_MM + 8) * PX_PER_MM) :]
    levels = centres(body.sum(axis=1) > 5 * PX_PER_MM)
    rises = centres(body.sum(axis=0) > 8 * PX_PER_MM)
    assert len(levels) == 2
    assert (levels[1] - levels[0]) / PX_PER_MM == pytest.approx(10, rel=0.005)
    assert np.diff(rises)[::2].mean() + np.diff(rises)[1::2].mean() == pytest.approx(
        25 * PX_PER_MM, rel=0.005
    )


def test_missing_samples_leave_no_ink(square_wave: Trace) -> None:
    valid = np.ones(len(square_wave.samples), bool)
    valid[1000:2000] = False
    paper = Paper(FRAME)
    paper.strip(Strip([Trace("", square_wave.samples, 2.5, valid)], 500))
    ink = dark(page(paper))
    band = ink[int((pdf.TOP_MM + 6) * PX_PER_MM) : int((pdf.TOP_MM + 24) * PX_PER_MM)]
    gap = slice(*(int((pdf.MARGIN_MM + s * 25) * PX_PER_MM) for s in (2.02, 3.98)))
    assert not band[:, gap].any()


def test_long_strip_goes_on_in_the_next_line() -> None:
    paper = Paper(FRAME)
    paper.strip(Strip([Trace("II", np.zeros(250 * 60, np.int16), 1.0)], 250))
    assert "".join(text_of(paper)).count("mm/mV") == 9  # 60 s in lines of 7.2 s


def test_chinese_is_embedded_and_can_be_read_back() -> None:
    paper = Paper(FRAME)
    paper.text("结论：窦性心律，偶发室性早搏。")
    [text] = text_of(paper)
    assert "窦性心律，偶发室性早搏" in text
    assert "第 1 / 1 页" in text


def test_long_table_repeats_its_head_and_loses_no_row() -> None:
    paper = Paper(FRAME)
    rows = [[f"row-{i}", "房性早搏，成对，" * 4] for i in range(80)]
    paper.table([Column("编号头", 30), Column("发现", 60)], rows)
    pages = text_of(paper)
    assert len(pages) > 2
    assert all("编号头" in text for text in pages)
    assert all(
        sum(f"row-{i}\r" in text + "\r" or f"row-{i} " in text for text in pages) == 1 for i in range(80)
    )


def test_trend_without_data_is_drawn_empty() -> None:
    paper = Paper(FRAME)
    paper.trend(Trend(np.array([0.0, 24.0]), np.array([np.nan, np.nan]), "bpm", [(0, "08:00")]))
    assert "08:00" in text_of(paper)[0]


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=200), st.floats(15, 120))
def test_wrapping_keeps_every_character_within_the_width(text: str, width_mm: float) -> None:
    lines = pdf_text.wrapped(text, 9, width_mm)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) == 1 or pdf_text.text_width_mm(line, 9) <= width_mm + 1e-6 for line in lines)


def test_a_trend_does_not_make_change_of_noise() -> None:
    """Points within a hundredth of the least span stay within a hundredth of the height or so."""
    paper = Paper(Frame("t"))
    x_h = np.arange(60) / 60
    drawn: list[np.ndarray] = []
    paper.curve = lambda x_mm, y_mm, *_: drawn.append(y_mm)  # type: ignore[method-assign]
    for span in (0.0, 200.0):
        paper.trend(Trend(x_h, np.arange(60) % 2 * 2.0, "uV", [], 40.0, span))
    jumpy, calm = (float(np.ptp(y_mm)) for y_mm in drawn)
    assert calm < 1.0 < jumpy
