"""What a scenario measured, against its bounds: printed as a table, and whether all bounds were kept."""

import math
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["kept", "MISSED", "undecided", ""]


@dataclass(frozen=True)
class Figure:
    """One measured number. Without a bound it is told only."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    undecided: bool = False  # the measurement is too coarse to say, and the value itself keeps the bound

    @property
    def verdict(self) -> Verdict:
        if self.at_most is None and self.at_least is None:
            return ""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        if not low <= self.value <= high:  # nan too: what could not be measured was not shown
            return "MISSED"
        return "undecided" if self.undecided else "kept"

    @property
    def bound(self) -> str:
        if self.at_most is not None and self.at_most == self.at_least:
            return f"= {_number(self.at_most)}"
        parts = [f"<= {_number(self.at_most)}"] if self.at_most is not None else []
        parts += [f">= {_number(self.at_least)}"] if self.at_least is not None else []
        return " ".join(parts)


def exactly(name: str, value: float, expected: float = 0, unit: str = "") -> Figure:
    return Figure(name, value, unit, at_most=expected, at_least=expected)


def all_kept(figures: Iterable[Figure], judges_measures: bool = True) -> bool:
    """Whether no bound was missed; without measures only counts are judged, no times, sizes and rates."""
    return not any(figure.verdict == "MISSED" for figure in figures if judges_measures or not figure.unit)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed; nan of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def show(title: str, figures: Sequence[Figure]) -> None:
    """To the terminal."""
    rows = [("", "value", "unit", "bound", "")] + [
        (figure.name, _number(figure.value), figure.unit, figure.bound, figure.verdict) for figure in figures
    ]
    widths = [max(_width(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    sys.stdout.write("\n".join([title, *lines]) + "\n")
    sys.stdout.flush()


def say(words: str) -> None:
    """Where a long scenario is."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def _number(value: float) -> str:
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "never"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
