"""Range arithmetic and the ledger against naive sets; clock estimates against a known clock."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from devices import sequencing
from devices.sequencing import Ledger, Ranges

SMALL = st.integers(0, 40)
spans = st.lists(st.tuples(SMALL, SMALL), max_size=8)
ranges = spans.map(sequencing.union)


def samples(of: Ranges) -> set[int]:
    return {index for first, end in of for index in range(first, end)}


def is_normal(of: Ranges) -> bool:
    return all(a < b for a, b in of) and all(x[1] < y[0] for x, y in pairwise(of))


@given(ranges, SMALL, SMALL)
def test_add_is_the_union_of_sets(of: Ranges, first: int, end: int) -> None:
    result = sequencing.add(of, first, end)
    assert samples(result) == samples(of) | set(range(first, end))
    assert is_normal(result)


@given(ranges, ranges)
def test_subtract_is_the_difference_of_sets(of: Ranges, taken: Ranges) -> None:
    result = sequencing.subtract(of, taken)
    assert samples(result) == samples(of) - samples(taken)
    assert is_normal(result)


@given(ranges, SMALL, SMALL)
def test_trim_leaves_what_is_new(stored: Ranges, first: int, end: int) -> None:
    assert samples(sequencing.trim(stored, first, end)) == set(range(first, end)) - samples(stored)


@given(ranges)
def test_total_counts_samples(of: Ranges) -> None:
    assert sequencing.total(of) == len(samples(of))


packets = st.lists(
    st.tuples(SMALL, st.integers(1, 8), SMALL).map(lambda p: (p[0], p[0] + p[1], min(p[2], p[0]))),
    max_size=12,
)


def account(arrivals: list[tuple[int, int, int]]) -> Ledger:
    ledger = Ledger()
    for first, end, oldest in arrivals:
        ledger, _ = sequencing.receive(ledger, first, end, oldest)
    return ledger


@given(packets, st.randoms(use_true_random=False))
def test_order_and_repeats_of_packets_change_nothing(
    arrivals: list[tuple[int, int, int]], rng: Random
) -> None:
    again = arrivals + [p for p in arrivals if rng.random() < 0.5]
    rng.shuffle(again)
    assert account(again) == account(arrivals)


@given(packets)
def test_what_is_new_adds_up_to_what_is_stored(arrivals: list[tuple[int, int, int]]) -> None:
    ledger, count = Ledger(), 0
    for first, end, oldest in arrivals:
        ledger, new = sequencing.receive(ledger, first, end, oldest)
        count += sequencing.total(new)
    assert count == sequencing.total(ledger.stored)


@given(packets, SMALL)
def test_produced_is_stored_and_gaps_and_missing(arrivals: list[tuple[int, int, int]], final: int) -> None:
    ledger = sequencing.finish(account(arrivals), final)
    parts = [ledger.stored, sequencing.gaps(ledger), sequencing.missing(ledger)]
    assert sum(map(sequencing.total, parts)) == sequencing.produced(ledger)
    assert set().union(*map(samples, parts)) == set(range(sequencing.produced(ledger)))


@given(packets)
def test_next_sample_is_the_first_that_is_missing(arrivals: list[tuple[int, int, int]]) -> None:
    ledger = account(arrivals)
    missing = sequencing.missing(ledger)
    assert sequencing.next_sample(ledger) == (missing[0][0] if missing else sequencing.produced(ledger))


@given(packets, st.integers(1, 3))
def test_wanted_is_bounded_and_missing(arrivals: list[tuple[int, int, int]], limit: int) -> None:
    ledger = account(arrivals)
    assert sequencing.wanted(ledger, limit) == sequencing.missing(ledger)[:limit]


def test_settled_needs_the_device_to_say_the_count() -> None:
    ledger, _ = sequencing.receive(Ledger(), 0, 250, 0)
    assert not sequencing.settled(ledger)
    assert sequencing.settled(sequencing.finish(ledger, 250))
    assert not sequencing.settled(sequencing.finish(ledger, 251))
    assert sequencing.settled(sequencing.declare(sequencing.finish(ledger, 251), 251))


@given(st.floats(-5000, 5000), st.floats(-100, 100), st.integers(0, 2**32))
def test_a_clock_is_found_through_late_messages(error_s: float, drift_ppm: float, seed: int) -> None:
    rng = Random(seed)
    hub_s = [1.8e9 + 30 * i for i in range(240)]
    sent_s = [t - error_s - (t - 1.8e9) * drift_ppm * 1e-6 for t in hub_s]
    received_s = [t + 0.05 + rng.expovariate(2) for t in hub_s]
    clock = sequencing.estimate_clock(list(zip(sent_s, received_s, strict=True)))
    assert clock is not None
    assert abs(sequencing.to_hub_time_s(clock, sent_s[-1]) - hub_s[-1]) < 0.6
    assert abs(clock.drift_ppm - drift_ppm) < 60


def test_no_pairs_no_clock() -> None:
    assert sequencing.estimate_clock([]) is None
