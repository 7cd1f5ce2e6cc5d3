"""A reader's marks over a picture on paper: light lines with a dark edge, to be seen on lung and on bone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from hub.core.pdf import Align, Paper

MARK, EDGE = "#ffd54a", "#000000"
LINE_MM, EDGE_MM, TEXT_PT = 0.35, 0.9, 8
ELLIPSE_POINTS: Final = 65
ARROW_HEAD: Final = 0.06  # of the picture's width
ARROW_ANGLE: Final = 0.45  # rad, between the arrow's line and each side of its head

Point = tuple[float, float]
Line = Sequence[Point]


def draw(
    paper: Paper,
    marks: Sequence[Mapping[str, Any]],
    left_mm: float,
    top_mm: float,
    size_mm: tuple[float, float],
) -> None:
    """Marks of `image_cases.document_parts`, whose points are shares of the picture."""
    for mark in marks:
        points = [(left_mm + x * size_mm[0], top_mm + y * size_mm[1]) for x, y in mark["points"]]
        for colour, width_mm in ((EDGE, EDGE_MM), (MARK, LINE_MM)):
            for line in _lines(mark["kind"], points, ARROW_HEAD * size_mm[0]):
                x, y = np.array(line, np.float64).T
                paper.curve(x, y, width_mm, colour)
        words = "  ".join(part for part in (mark["text"], mark["value"]) if part)
        _words(paper, words, points, left_mm, size_mm[0])


def _words(paper: Paper, words: str, points: Line, left_mm: float, width_mm: float) -> None:
    """Beside the last point, on the side where there is more room; a shade of the edge's colour behind."""
    if not words:
        return
    x, y = points[-1]
    is_right = x - left_mm > width_mm / 2
    align: Align = "right" if is_right else "left"
    place = x - 1.5 if is_right else x + 1.5
    for away in ((-0.15, 0), (0.15, 0), (0, -0.15), (0, 0.15)):
        paper.write(place + away[0], y + away[1], words, TEXT_PT, EDGE, align)
    paper.write(place, y, words, TEXT_PT, MARK, align)


def _lines(kind: str, points: Line, head_mm: float) -> list[Line]:
    """What is drawn of a mark; of an angle of two lines (4 points) each line for itself."""
    if kind == "text":
        return []
    if kind in ("ellipse", "rectangle"):
        return [_around(kind, points[0], points[1])]
    if kind == "arrow":
        return [points, *_head(points[0], points[1], head_mm)]
    return [points[:2], points[2:]] if len(points) == 4 else [points]


def _around(kind: str, one: Point, other: Point) -> Line:
    (x1, y1), (x2, y2) = one, other
    if kind == "rectangle":
        return [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS)
    x = (x1 + x2) / 2 + (x2 - x1) / 2 * np.cos(angle)
    y = (y1 + y2) / 2 + (y2 - y1) / 2 * np.sin(angle)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _head(tip: Point, tail: Point, length_mm: float) -> list[Line]:
    """The two sides of the head of an arrow that shows its first point."""
    direction = np.arctan2(tail[1] - tip[1], tail[0] - tip[0])
    sides = direction + np.array([-ARROW_ANGLE, ARROW_ANGLE])
    return [
        [tip, (tip[0] + length_mm * float(np.cos(side)), tip[1] + length_mm * float(np.sin(side)))]
        for side in sides
    ]
