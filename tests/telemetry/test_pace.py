"""One page's feed: in order, nothing twice, what is left out is said, and never far behind."""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.telemetry.pace import AHEAD_S, SILENT_S, NewBoot, Pace, Skipped
from tests.monitoring import FS_HZ, LEADS, Worn, noise, waveform

AT = datetime(2026, 3, 2, tzinfo=UTC)
WORN = Worn("holter-1", "00", "", UUID(int=1), UUID(int=2))
SIGNAL = noise(60 * FS_HZ)


@dataclass
class Page:
    """What a page has been sent, as ranges of samples, with words of what was left out."""

    shown: list[tuple[int, int]]
    skipped: list[tuple[int, int]]

    def take(self, out: list[bytes | NewBoot | Skipped]) -> None:
        for one in out:
            if isinstance(one, bytes):
                kind, leads, count, scale, first = struct.unpack_from("<BBHfQ", one)
                samples = np.frombuffer(one, "<i2", offset=16).reshape(leads, count)
                assert (kind, scale) == (1, 2.5)
                assert np.array_equal(samples, SIGNAL[:, first : first + count])
                assert count <= 0.2 * FS_HZ
                self.shown.append((first, first + count))
            elif isinstance(one, Skipped):
                self.skipped.append((one.from_sample, one.to_sample))


STEPS = st.lists(st.one_of(st.sampled_from([50, 125, 250]), st.just("ack"), st.just("old")), max_size=60)


@given(STEPS)
def test_what_a_page_gets_is_the_signal_in_order_with_its_omissions_told(steps: list[int | str]) -> None:
    pace, page, made = Pace(), Page([], []), 0
    for step in steps:
        if step == "ack" and page.shown:
            pace.acknowledge(page.shown[-1][1], 1.0)
        elif step == "old" and made >= 250:
            pace.offer(waveform(WORN, AT, SIGNAL[:, :50]))
        elif isinstance(step, int):
            pace.offer(waveform(WORN, AT, SIGNAL[:, made : made + step], made))
            made += step
        page.take(pace.take(1.0))
    parts = sorted(page.shown + page.skipped)
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert page.shown == sorted(page.shown)


def test_a_page_that_acknowledges_late_is_taken_to_the_newest() -> None:
    pace, page = Pace(), Page([], [])
    for second in range(8):
        pace.offer(waveform(WORN, AT, SIGNAL[:, second * 250 : (second + 1) * 250], second * 250))
        page.take(pace.take(float(second)))
    assert page.shown[-1][1] <= (AHEAD_S + 1) * FS_HZ
    pace.acknowledge(page.shown[-1][1], 8.0)
    page.take(pace.take(8.0))
    assert page.skipped == [(750, 1750)]
    assert page.shown[-1][1] == 2000


def test_a_page_that_says_nothing_is_given_up() -> None:
    pace = Pace()
    pace.offer(waveform(WORN, AT, SIGNAL[:, :250]))
    pace.take(0.0)
    assert not pace.is_silent(SILENT_S)
    assert pace.is_silent(SILENT_S + 0.1)
    pace.acknowledge(250, SILENT_S)
    assert not pace.is_silent(10 * SILENT_S)


def test_another_boot_is_announced() -> None:
    pace = Pace()
    pace.offer(waveform(WORN, AT, SIGNAL[:, :50], boot=3))
    first = pace.take(0.0)[0]
    assert first == NewBoot(3, AT.timestamp(), FS_HZ, LEADS)
    pace.offer(waveform(WORN, AT, SIGNAL[:, :50], boot=2))
    assert pace.take(0.0) == []


def test_the_format_told_is_that_of_the_packets() -> None:
    """A device that records as it can, not as it was asked, never has its leads shown under other names."""
    pace = Pace()
    own = ("MDC_ECG_LEAD_V5", "MDC_ECG_LEAD_V1")
    pace.offer(waveform(WORN, AT, SIGNAL[:2, :50], leads=own, fs_hz=360))
    assert pace.take(0.0)[0] == NewBoot(1, AT.timestamp(), 360, own)
