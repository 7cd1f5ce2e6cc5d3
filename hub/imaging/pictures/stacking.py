"""In what order a series is scrolled through, and what its images have in common."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hub.core.db import Row

PARALLEL: Final = 1e-3  # cosines that differ by less are the same direction


def in_order(instances: Sequence[Row]) -> list[Row]:
    """Along the normal of the slices, if all are parallel and have a place (PS3.3 C.7.6.2.1.1); else as numbered.

    Which end comes first is what the numbers say: a chest is scrolled from the neck down because it is numbered so.
    Slices of one place (phases, echoes) stay as numbered. What has no pixels comes last.
    """
    slices = [row for row in instances if row["state"] in (None, "ready")]
    others = [row for row in instances if row["state"] not in (None, "ready")]
    placed = [_place(row) for row in slices]
    if len(slices) > 1 and all(place is not None for place in placed):
        directions = [place[1] for place in placed if place is not None]
        if all(_parallel(directions[0], one) for one in directions):
            heights = [_height(place[0], directions[0]) for place in placed if place is not None]
            slices = _by_height(slices, [round(height, 3) for height in heights])
    return [*slices, *others]


def _by_height(slices: Sequence[Row], heights_mm: Sequence[float]) -> list[Row]:
    places = range(len(slices))
    lowest, highest = min(places, key=heights_mm.__getitem__), max(places, key=heights_mm.__getitem__)
    falls = (slices[lowest]["number"] or 0) > (slices[highest]["number"] or 0)
    return [slices[k] for k in sorted(places, key=lambda k: -heights_mm[k] if falls else heights_mm[k])]


def _place(row: Row) -> tuple[Sequence[float], Sequence[float]] | None:
    """Position and orientation of an image of one frame."""
    layout = row["layout"] or {}
    if len(layout.get("frames", ())) > 1:
        return None
    position = layout.get("position_mm") or row["position"]
    orientation = layout.get("orientation") or row["orientation"]
    if not (_are_numbers(position, 3) and _are_numbers(orientation, 6)):
        return None
    return position, orientation


def _are_numbers(values: Any, count: int) -> bool:
    is_list = isinstance(values, list) and len(values) == count
    return is_list and all(isinstance(one, int | float) for one in values)


def _parallel(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) < PARALLEL for a, b in zip(one, other, strict=True))


def _height(position: Sequence[float], orientation: Sequence[float]) -> float:
    """Distance from the origin along the normal of the slice, mm."""
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return sum(x * y for x, y in zip(position, normal, strict=True))


def common(layouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is equal in all layouts; nothing for a single one, which needs no other place."""
    if len(layouts) < 2:
        return {}
    first = layouts[0]
    return {
        key: first[key]
        for key in first
        if all(key in other and other[key] == first[key] for other in layouts[1:])
    }
