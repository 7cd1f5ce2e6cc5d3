"""Arbitrary records, damaged bytes and limits that hold for every format."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import strategies as st

from ecg.formats.invalid import InvalidRecord
from ecg.record import SHORT_TO_MDC, Lead, Record, Samples

CODES = sorted(SHORT_TO_MDC.values())
EPOCH = datetime(1985, 1, 1, tzinfo=UTC)  # starts are within the 90 years after it
FILTERS = {"high_pass_hz": 0.05, "low_pass_hz": 150.0, "notch_hz": 50.0}
SECONDS = 4.0  # no input of a test may take longer; usual ones take milliseconds
MEMORY = 64 << 20  # nor more than this beside its own bytes


def samples(rng: np.random.Generator, dtype: type, limit: int, length: int) -> Samples:
    """Noise over the whole range with its ends in it, so that every bit counts."""
    row = rng.integers(-limit - 1, limit, length, dtype=np.int64, endpoint=True).astype(dtype)
    row[:2] = (-limit - 1, limit)[: len(row[:2])]
    return row


@st.composite
def records(
    draw: st.DrawFn,
    *,
    scales: st.SearchStrategy[float],
    rates: st.SearchStrategy[float],
    dtype: type = np.int16,
    limit: int = 32767,
    leads: int = 12,
    offsets: st.SearchStrategy[int] = st.just(0),  # noqa: B008
    gaps: bool = True,
    longest: int = 700,
    fraction: bool = True,
) -> Record:
    """Leads of one rate and length, any names, start and gaps."""
    count, length = draw(st.integers(1, leads)), draw(st.integers(2, longest))
    codes = draw(st.lists(st.sampled_from(CODES), min_size=count, max_size=count, unique=True))
    fs_hz, rng = draw(rates), np.random.default_rng(draw(st.integers(0, 2**32)))
    own = tuple(
        Lead(code, fs_hz, draw(scales), draw(offsets), samples(rng, dtype, limit, length)) for code in codes
    )
    start = draw(
        st.none() | st.integers(0, 3_600_000_000 * 24 * 365).map(lambda us: EPOCH + timedelta(0, 0, us * 90))
    )
    if start is not None and not fraction:
        start = start.replace(microsecond=0)
    edges = sorted(set(draw(st.lists(st.integers(0, length), max_size=6)))) if gaps else []
    cuts = tuple(zip(edges[::2], edges[1::2], strict=False))
    filters = draw(st.sampled_from([None, FILTERS]))
    return Record(own, start, cuts, filters, draw(st.sampled_from(["", "Recorder 5"])))


def recorded(record: Record) -> np.ndarray:
    """Mask of the samples outside gaps."""
    mask = np.ones(len(record.leads[0].samples), bool)
    for first, last in record.gaps:
        mask[first:last] = False
    return mask


def assert_same(own: Record, back: Record, rel: float = 0.0) -> None:
    """All that a record tells, integers and gaps to the bit; what lies within a gap is no sample."""
    assert [lead.code for lead in back.leads] == [lead.code for lead in own.leads]
    assert back.start_at == own.start_at and back.gaps == own.gaps and back.filters == own.filters
    assert back.device == own.device
    for lead, again in zip(own.leads, back.leads, strict=True):
        assert again.fs_hz == lead.fs_hz and again.offset == lead.offset and again.label == lead.label
        assert again.uv_per_lsb == pytest.approx(lead.uv_per_lsb, rel=rel, abs=0)
        assert again.samples.dtype == lead.samples.dtype and len(again.samples) == len(lead.samples)
        assert (again.samples == lead.samples)[recorded(own)].all()


def damaged(data: bytes, structure: int, seed: int, count: int) -> Iterator[bytes]:
    """Cuts in every region and changed bytes, most of them in the first `structure` bytes, where lengths lie."""
    rng = np.random.default_rng(seed)
    for end in np.unique(np.concatenate([[0, 1, 2], np.linspace(0, len(data) - 1, count).astype(int)])):
        yield data[:end]
    for number in range(count):
        changed = bytearray(data)
        region = structure if number % 4 else len(data)
        for at in rng.integers(0, region, rng.integers(1, 5)):
            changed[at] = rng.choice([0, 1, 0x2D, 0x39, 0x7F, 0xFF, int(rng.integers(256))])
        yield bytes(changed)
    yield rng.bytes(len(data))


def assert_value_or_error(
    decode: Callable[[bytes], object],
    data: bytes,
    structure: int,
    error: type[ValueError] = InvalidRecord,
    count: int = 100,
) -> None:
    """Damage gives a value or the one error with a cause, in bounded time and memory; both happen."""
    outcomes = set()
    tracemalloc.start()
    try:
        for number, wrong in enumerate(damaged(data, structure, len(data), count)):
            tracemalloc.reset_peak()
            began = time.monotonic()
            try:
                decode(wrong)
                outcomes.add("value")
            except error as fault:
                assert str(fault)
                outcomes.add("error")
            assert time.monotonic() - began < SECONDS, f"damage {number} took too long"
            assert tracemalloc.get_traced_memory()[1] < MEMORY, f"damage {number} took too much memory"
    finally:
        tracemalloc.stop()
    assert outcomes == {"value", "error"}
