"""The table of quantities holds together."""

import pytest

from devices import vocabulary
from devices.vocabulary import QUANTITIES, Quantity


@pytest.mark.parametrize("attribute", ["code", "mdc", "name_zh", "name_en"])
def test_no_two_quantities_share(attribute: str) -> None:
    found = [getattr(quantity, attribute) for quantity in QUANTITIES]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.code)
def test_each_quantity_has_a_range_and_is_found_by_both_names(quantity: Quantity) -> None:
    assert quantity.low < quantity.high
    assert vocabulary.find(quantity.code) is quantity
    assert vocabulary.find(str(quantity.mdc)) is quantity
    assert any("\u4e00" <= character <= "\u9fff" for character in quantity.name_zh)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.code)
def test_no_other_unit_hides_the_own(quantity: Quantity) -> None:
    assert quantity.unit not in [unit for unit, _, _ in quantity.also]
    assert vocabulary.to_unit(quantity, 1.0, "furlong") is None
