"""Blocks: what goes in comes out, holes and electrodes too, and bytes that were changed are refused."""

import random
from itertools import pairwise

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from devices import DecodeError, block
from devices.block import Run
from ecg.synthetic import Segment, Synthesiser

EXTREME = np.array([-32768, 32767, 0, -1, 1], np.int16)


@st.composite
def blocks(draw: st.DrawFn) -> list[Run]:
    """Runs with and without holes between them, of noise, of extremes and of what looks like ECG."""
    leads, rng = draw(st.integers(1, 12)), np.random.default_rng(draw(st.integers(0, 2**32)))
    made, first = list[Run](), 0
    for hole, count, mask in draw(
        st.lists(
            st.tuples(st.integers(0, 9), st.integers(1, 60), st.integers(0, 2**leads - 1)),
            min_size=1, max_size=9,
        )
    ):  # fmt: skip
        shape = (leads, count)
        kinds = (
            lambda shape=shape: rng.integers(-32768, 32768, shape),
            lambda shape=shape: rng.choice(EXTREME, shape),
            lambda shape=shape: rng.integers(-9, 9, shape).cumsum(axis=1),
        )
        first += hole
        made.append(Run(first, mask, draw(st.sampled_from(kinds))().astype(np.int16)))
        first += count
    return made


def as_cells(runs: list[Run]) -> dict[int, tuple[int, tuple[int, ...]]]:
    """Sample -> (electrodes off, value of each lead)."""
    return {
        run.first + k: (run.electrodes_off, tuple(run.samples[:, k].tolist()))
        for run in runs
        for k in range(run.samples.shape[1])
    }


@given(blocks(), st.randoms())
def test_a_block_gives_back_every_sample_with_its_electrodes(runs: list[Run], chance: random.Random) -> None:
    shuffled = [*runs]
    chance.shuffle(shuffled)
    read = block.decode(block.encode(block.joined(shuffled)))
    assert as_cells(read) == as_cells(runs)
    assert all(a.end < b.first or a.electrodes_off != b.electrodes_off for a, b in pairwise(read))


@given(blocks(), st.integers(1, 30))
def test_extremes_are_those_of_the_samples_of_each_bin(runs: list[Run], width: int) -> None:
    cells, leads = as_cells(runs), runs[0].samples.shape[0]
    bins = -(-runs[-1].end // width)
    found = block.extremes(runs, leads, bins, width)
    for number in range(bins):
        values = [cells[k][1] for k in range(number * width, (number + 1) * width) if k in cells]
        if values:
            assert found[:, number].tolist() == [[min(own), max(own)] for own in zip(*values, strict=True)]
        else:
            assert (found[:, number, 0] > found[:, number, 1]).all()


@given(blocks(), st.data())
def test_a_changed_byte_is_noticed(runs: list[Run], data: st.DataObject) -> None:
    payload = bytearray(block.encode(block.joined(runs)))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    try:
        read = block.decode(bytes(payload))
    except DecodeError:
        return
    assert as_cells(read) == as_cells(runs)  # Zstandard has a bit or two of its head that mean nothing


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    for foreign in (payload, b"\x01" + payload, b"\x01" + zstandard.compress(payload)):
        try:
            assert block.decode(foreign)
        except DecodeError as refused:
            assert refused.reason in ("wrong-version", "bad-field", "oversize")


def packed(leads: int, rows: list[tuple[int, int, int]], sample_bytes: int) -> bytes:
    head = np.array([leads, len(rows), *(value for row in rows for value in row)], "<u4").tobytes()
    return b"\x01" + zstandard.ZstdCompressor(write_checksum=True).compress(head + bytes(sample_bytes))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "version"),
        (b"\x02" + packed(1, [(0, 5, 0)], 10)[1:], "version"),
        (packed(0, [(0, 5, 0)], 10), "limits"),
        (packed(17, [(0, 5, 0)], 170), "limits"),
        (packed(1, [], 0), "limits"),
        (packed(1, [(0, 5, 2)], 10), "fit together"),
        (packed(1, [(0, 5, 0), (4, 5, 0)], 20), "fit together"),
        (packed(1, [(0, 0, 0)], 0), "fit together"),
        (packed(1, [(0, 5, 0)], 8), "fit together"),
        (packed(1, [(319_999, 2, 0)], 4), "fit together"),
        (packed(1, [(0, 4_294_967_295, 0)], 10), "fit together"),
        (b"\x01" + zstandard.compress(bytes(20_000_000)), "above the limit"),
        (packed(1, [(0, 5, 0)], 10) + b"x", "sound"),
        (packed(1, [(0, 5, 0)], 10)[:-1], "sound"),
    ],
)
def test_lies_are_refused(payload: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        block.decode(payload)


def test_overlapping_runs_are_a_wrong_call() -> None:
    one = Run(0, 0, np.zeros((1, 5), np.int16))
    with pytest.raises(ValueError, match="overlap at sample 4"):
        block.joined([Run(4, 0, one.samples), one])


def test_ten_seconds_of_ecg_take_less_than_half_of_its_samples() -> None:
    heart = Synthesiser(7, 250, ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_II"), (Segment("sinus", 60.0),), 5.0)
    samples = heart.samples(0, 2500)
    assert len(block.encode([Run(0, 0, samples)])) < samples.nbytes / 2
