"""Full disclosure: every minute of one lead as one line, half an hour on a page, for whoever wants to see all of it.

2.8 mm/s and 2.5 mm/mV, wander removed: rhythm and single odd beats can be seen, shapes cannot be measured. A line is
drawn through the lowest and highest value of each quarter of a millimetre, so nothing narrow is lost.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ecg.analysis import CLASSES, Analysis
from ecg.stream import shape_leads
from hub.core.pdf import BOTTOM_MM, GREY, INK, MARGIN_MM, TOP_MM, WARNING, WIDTH_MM
from hub.reading.sheet import MISSING, Sheet, short

MINUTE_MM = 168.0
COLUMNS = 672  # of a minute: a quarter of a millimetre each
GAIN_MM_MV = 2.5
LINES = 30
LINE_MM = (BOTTOM_MM - TOP_MM - 9) / LINES
REACH_MM = 0.75 * LINE_MM  # a tall beat may reach into the neighbours, no further
WANDER = 23  # columns of the median that is taken off: two seconds
LABEL_MM = 10.0
FLAT_MM = 0.15  # a column that spans less is one point


def envelope(samples: NDArray[np.int16], fs_hz: int) -> NDArray[np.int16]:
    """[minute, column, (lowest, highest)] of one lead; MISSING where nothing is stored. A last part is filled up."""
    per_minute = 60 * fs_hz
    minutes = -(-len(samples) // per_minute)
    edges = np.arange(COLUMNS + 1) * per_minute // COLUMNS
    out = np.full((minutes, COLUMNS, 2), MISSING, np.int16)
    for k in range(minutes):
        piece = samples[k * per_minute : (k + 1) * per_minute]
        starts = edges[:-1][edges[:-1] < len(piece)]
        known = np.logical_and.reduceat(piece != MISSING, starts)
        low, high = (np.asarray(ufunc.reduceat(piece, starts)) for ufunc in (np.minimum, np.maximum))
        out[k, : len(starts), 0] = np.where(known, low, MISSING)
        out[k, : len(starts), 1] = np.where(known, high, MISSING)
    return out


def of_analysis(samples: Sequence[NDArray[Any]], uv_per_lsb: float, analysis: Analysis) -> dict[str, Any]:
    """What `pages` draws from: the lead that shows shapes best, and the V beats.

    samples: int16 of each lead of the analysis, MISSING where nothing is stored.
    """
    lead = int(shape_leads(analysis.leads)[0])
    ventricular = analysis.sample[analysis.kind == CLASSES.index("V")]
    return {
        "lead": analysis.leads[lead], "fs_hz": analysis.fs_hz, "uv_per_lsb": uv_per_lsb,
        "ventricular": ventricular.tolist(),
        "envelope": envelope(samples[lead], analysis.fs_hz).astype("<i2").tobytes(),
    }  # fmt: skip


def pages(s: Sheet, given: dict[str, Any]) -> None:
    """All minutes."""
    drawn = np.frombuffer(given["envelope"], "<i2").reshape(-1, COLUMNS, 2)
    start = datetime.fromisoformat(s.document["recording"]["worn_from"])
    beats_s = np.array(given["ventricular"], float) / given["fs_hz"]
    for first in range(0, len(drawn), LINES):
        s.paper.new_page()
        hour = start + timedelta(minutes=first)
        caption = s.word(
            "disclosure", lead=short(given["lead"]), at=s.time(hour.isoformat(), "%Y-%m-%d %H:%M")
        )
        s.paper.write(MARGIN_MM, s.paper.y_mm + 3, caption, 9)
        s.paper.write(WIDTH_MM - MARGIN_MM, s.paper.y_mm + 3, s.word("disclosure_scale"), 8, GREY, "right")
        top_mm = s.paper.y_mm + 7
        for k, minute in enumerate(drawn[first : first + LINES]):
            middle_mm = top_mm + (k + 0.5) * LINE_MM
            at = start + timedelta(minutes=first + k)
            if k % 5 == 0:
                s.paper.write(MARGIN_MM, middle_mm + 1, s.time(at.isoformat(), "%H:%M"), 6, GREY)
            _line(s, minute, given["uv_per_lsb"], middle_mm)
        _marks(s, beats_s - 60 * first, top_mm, min(LINES, len(drawn) - first))
        s.paper.y_mm = BOTTOM_MM


def _line(s: Sheet, minute: NDArray[np.int16], uv_per_lsb: float, middle_mm: float) -> None:
    """Through the columns' lowest and highest values, about the median of two seconds."""
    known = minute[:, 0] != MISSING
    if not known.any():
        return
    mm = minute.astype(float) * uv_per_lsb / 1000 * GAIN_MM_MV
    mm[~known] = np.nan
    middle = mm.mean(axis=1)
    middle[~known] = np.nanmedian(middle)
    mm = np.clip(mm - median_filter(middle, WANDER, mode="nearest")[:, None], -REACH_MM, REACH_MM)
    flat = mm[:, 1] - mm[:, 0] < FLAT_MM
    x_mm = MARGIN_MM + LABEL_MM + (np.arange(COLUMNS) + 0.5) * MINUTE_MM / COLUMNS
    keep = np.stack([np.ones(COLUMNS, bool), ~flat], axis=1).ravel()
    rising = np.arange(COLUMNS) % 2 == 0  # every second column from above, so that the pen goes the short way
    ordered = np.where(rising[:, None], mm, mm[:, ::-1]).ravel()[keep]
    s.paper.curve(np.repeat(x_mm, 2)[keep], middle_mm - ordered, 0.09, INK)


def _marks(s: Sheet, at_s: NDArray[np.float64], top_mm: float, lines: int) -> None:
    """A short stroke over each ventricular beat."""
    own = at_s[(at_s >= 0) & (at_s < 60 * lines)]
    if not len(own):
        return
    x_mm = MARGIN_MM + LABEL_MM + (own % 60) * MINUTE_MM / 60
    y_mm = top_mm + (own // 60) * LINE_MM
    gap = np.full(len(own), np.nan)
    s.paper.curve(
        np.stack([x_mm, x_mm, x_mm], axis=1).ravel(),
        np.stack([y_mm, y_mm + 1.4, gap], axis=1).ravel(),
        0.35,
        WARNING,
    )
