"""Slices are scrolled along the patient, from the end that is numbered first."""

import random
from typing import Any

import pytest

from hub.imaging.pictures.stacking import in_order

AXIAL = [1, 0, 0, 0, 1, 0]


def slices(heights_mm: list[float], **values: Any) -> list[dict[str, Any]]:
    """Numbered as they come."""
    return [
        {"number": number, "state": "ready", "layout": {"position_mm": [0, 0, z], "orientation": AXIAL}}
        | values
        for number, z in enumerate(heights_mm, 1)
    ]


def heights(rows: list[dict[str, Any]]) -> list[float]:
    return [row["layout"]["position_mm"][2] for row in rows]


@pytest.mark.parametrize("step_mm", [5.0, -5.0])
def test_the_first_number_comes_first_whatever_way_the_table_went(step_mm: float) -> None:
    stack = slices([step_mm * place for place in range(20)])
    shuffled = random.Random(1).sample(stack, len(stack))
    assert in_order(shuffled) == stack


def test_places_lead_where_numbers_are_mixed() -> None:
    """Two runs of a scanner, one between the other, numbered one after the other."""
    mixed = slices([0.0, 10.0, 20.0, 5.0, 15.0, 25.0])
    assert heights(in_order(mixed)) == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]


def test_phases_of_one_place_stay_as_numbered() -> None:
    assert [row["number"] for row in in_order(slices([0.0, 5.0, 0.0, 5.0]))] == [1, 3, 2, 4]


def test_what_is_no_picture_comes_last_and_what_has_no_place_as_numbered() -> None:
    report, stack = (
        slices([0.0], state="none")[0],
        slices([9.0, 3.0, 6.0], layout=None, position=None, orientation=None),
    )
    assert in_order([report, *stack]) == [*stack, report]
