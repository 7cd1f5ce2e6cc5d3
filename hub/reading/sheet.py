"""What every section of a paper draws from, and how it writes figures and times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ecg.record import MDC_TO_SHORT
from hub.core.pdf import Paper, Trend
from hub.reading.words import label, word

MISSING = -32768  # where a strip has no sample
CLOCK_STEPS_H = (1 / 60, 1 / 12, 0.25, 1, 2, 4, 12, 24)  # between the times under a trend
TREND_MIN = 3  # points; fewer draw no curve


@dataclass(frozen=True)
class Sheet:
    """What every section draws from."""

    paper: Paper
    document: Mapping[str, Any]
    locale: str
    zone: ZoneInfo
    strips: Sequence[Mapping[str, Any]]
    code: str
    events_left_out: int
    dated: bool = True  # else nobody told when the record began, and times count from its begin

    def word(self, key: str, **values: object) -> str:
        return word(key, self.locale, **values)

    def label(self, key: str) -> str:
        return label(key, self.locale)

    def time(self, iso: str, form: str = "%Y-%m-%d %H:%M:%S") -> str:
        at = datetime.fromisoformat(iso)
        if self.dated:
            return at.astimezone(self.zone).strftime(form)
        whole_s = int((at - datetime.fromisoformat(self.document["recording"]["worn_from"])).total_seconds())
        shown = f"{whole_s // 3600:02}:{whole_s // 60 % 60:02}"
        return f"{shown}:{whole_s % 60:02}" if "%S" in form else shown

    @property
    def figures(self) -> Mapping[str, Any]:
        """The summary of the analysis (ecg.summary)."""
        figures: Mapping[str, Any] = self.document["analysis"]["summary"]
        return figures

    def words_of(self, texts: Mapping[str, str]) -> str:
        """A text that comes in both languages."""
        return texts[self.locale]

    def trend(
        self, values: NDArray[np.float64], step_h: float, unit: str, height_mm: float, least_span: float
    ) -> None:
        """A curve over the recording, one value per step, with the clock under it."""
        x_h = np.arange(0.5, len(values), dtype=np.float64) * step_h
        start = datetime.fromisoformat(self.document["recording"]["worn_from"]).astimezone(self.zone)
        clock = _clock_labels(start, float(x_h[0]), float(x_h[-1]))
        self.paper.trend(Trend(x_h, values, unit, clock, height_mm, least_span))


def _clock_labels(start: datetime, first_h: float, last_h: float) -> list[tuple[float, str]]:
    """Round times of the clock under a trend, at most a dozen."""
    fits = [step for step in CLOCK_STEPS_H if (last_h - first_h) / step <= 12]
    step_h = fits[0] if fits else CLOCK_STEPS_H[-1]
    since_midnight_h = start.hour + start.minute / 60 + start.second / 3600
    offset_h = np.ceil((since_midnight_h + first_h) / step_h) * step_h - since_midnight_h
    places = np.arange(offset_h, last_h + 1e-9, step_h)
    return [(float(h), (start + timedelta(hours=float(h), seconds=0.5)).strftime("%H:%M")) for h in places]


def short(code: str) -> str:
    return MDC_TO_SHORT.get(code, code.removeprefix("MDC_ECG_LEAD_"))


def plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def rate(s: Sheet, bpm: float | None) -> str:
    return "-" if bpm is None else f"{bpm:g} {s.word('bpm')}"


def rate_at(s: Sheet, figure: Mapping[str, Any] | None) -> str:
    return s.word("times_at", value=rate(s, figure["bpm"]), at=s.time(figure["at"])) if figure else "-"


def longest(s: Sheet, figure: Mapping[str, Any] | None) -> str:
    return s.word("times_at", value=f"{figure['rr_s']:g} s", at=s.time(figure["at"])) if figure else "-"


def share(s: Sheet, count: int, total: int) -> str:
    return s.word("percent_of_beats", count=f"{count:,}", percent=f"{100 * count / max(total, 1):.2f} %")
