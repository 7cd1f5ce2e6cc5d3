"""The memory of intervals: what is kept up to date, and what is made good late, against a plain reckoning of all."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.rules import intervals
from ecg.rules.intervals import KEPT, LAGS, NEAR, WINDOW, Intervals


def alike(rr: list[int], k: int) -> list[bool]:
    """Whether interval k resembles each of the 24 before it, the nearest first."""
    own = rr[max(0, k - 7) : k + 1]
    near = NEAR * sum(own) / len(own)
    return [abs(rr[k] - one) < near for one in rr[max(0, k - LAGS) : k][::-1]]


def reckoned(rr: list[int], fs_hz: int) -> tuple[float, ...]:
    """Features and share alone of the last 48 of a whole series, as docs/models/rhythms.md has them."""
    window = range(max(0, len(rr) - WINDOW), len(rr))
    rows = {k: alike(rr, k) for k in range(len(rr))}
    pairs = [(rows[k], rows[k - 1] if k else []) for k in window]
    both = sum(sum(a and b for a, b in zip(now, before, strict=False)) for now, before in pairs)
    # While the window goes back to the first interval, those that lack neighbours are not counted.
    count, young = len(window), len(rr) <= WINDOW
    lag_shares = [
        sum(not rows[k][lag] for k in window if k > lag) / (count - young * (lag + 1)) for lag in range(4)
    ]
    turns = sum((rr[k - 1] - rr[k - 2]) * (rr[k] - rr[k - 1]) < 0 for k in window if k > 1) / len(window)
    alone = sum(not any(rows[k][:4]) for k in window if k > 3) / (count - 4 * young)
    return (
        math.log((both + 1) / (sum(sum(now) for now, _ in pairs) + 1)),
        min(lag_shares),
        2 / 3 - abs(turns - 2 / 3),
        min(3.0, len(window) * fs_hz / sum(rr[k] for k in window)),
        alone,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.integers(195, 210), st.integers(100, 320)), min_size=12, max_size=150),
    st.sets(st.integers(11, 149), max_size=8),
)
def test_features_do_not_depend_on_when_they_were_asked_for(rr: list[int], when: set[int]) -> None:
    v, at = Intervals(), 0
    for k, one in enumerate(rr):
        intervals.take(v, one, at)
        at += one
        assert len(v.rr) <= KEPT and len(v.since) <= WINDOW
        assert v.since[0] == sum(rr[: max(0, k + 1 - WINDOW)])
        if k in when or k == len(rr) - 1:
            found = (*intervals.features(v, 250), intervals.alone_share(v))
            assert found == pytest.approx(reckoned(rr[: k + 1], 250), abs=1e-12)
            v = intervals.copied(v)
