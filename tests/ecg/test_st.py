"""ST over a long record: episodes where ST was moved, none elsewhere, none behind a filter that bends ST."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ecg import st
from ecg.holter import analyse
from ecg.record import SHORT_TO_MDC, Record
from ecg.twelve_lead.measurements import measure, qrs_limits_s
from ecg.twelve_lead.signals import STANDARD
from tests.ecg import twelve_leads as twelve

FS_HZ, LENGTH_S = 250, 420


@cache
def base() -> Record:
    return twelve.heart(fs_hz=FS_HZ, length_s=LENGTH_S, rate_bpm=72.0)


def moved(uv: float, lead: str, from_s: int, to_s: int) -> Record:
    """The record with ST of one lead moved between two instants."""
    raised = twelve.rows_of(twelve.added_after_qrs(base(), {lead: uv}))
    rows, part = twelve.rows_of(base()), slice(from_s * FS_HZ, to_s * FS_HZ)
    rows[:, part] = raised[:, part]
    return twelve.of_rows(rows, FS_HZ)


def found(record: Record) -> st.Levels:
    analysis = analyse(record)
    return st.levels(record, analysis, *qrs_limits_s(measure(record, analysis), analysis))


@pytest.mark.parametrize("uv", [250.0, -250.0])
def test_an_episode_is_found_where_st_was_moved(uv: float) -> None:
    levels = found(moved(uv, "V3", 200, 320))
    (episode,) = levels.episodes
    assert episode.lead == SHORT_TO_MDC["V3"]
    assert abs(episode.onset_sample / FS_HZ - 200) <= 10 and abs(episode.offset_sample / FS_HZ - 320) <= 10
    assert 0.6 < episode.change_uv / uv < 1.1
    assert episode.onset_sample <= episode.extreme_sample < episode.offset_sample


@pytest.mark.parametrize(("uv", "to_s"), [(60.0, 320), (300.0, 220)])
def test_small_or_short_changes_are_no_episode(uv: float, to_s: int) -> None:
    assert found(moved(uv, "V3", 200, to_s)).episodes == ()


def test_a_quiet_record_has_levels_and_no_episode() -> None:
    levels = found(base())
    assert levels.episodes == () and levels.withheld is None
    assert np.isfinite(levels.level_uv).mean() > 0.95
    assert np.nanmax(np.nanstd(levels.level_uv, axis=0)) < 15


def test_offset_of_a_lead_does_not_matter_and_scale_does() -> None:
    record = moved(200.0, "V3", 200, 320)
    lead = record.leads[STANDARD.index("V3")]
    shifted = replace(lead, samples=(lead.samples + 900).astype(np.int16), offset=900)
    half = replace(lead, uv_per_lsb=lead.uv_per_lsb / 4)
    for changed, episodes in ((shifted, 1), (half, 0)):
        leads = tuple(changed if own is lead else own for own in record.leads)
        analysis = analyse(record)
        limits = qrs_limits_s(measure(record, analysis), analysis)
        assert len(st.levels(replace(record, leads=leads), analysis, *limits).episodes) == episodes


def test_a_bending_filter_or_unknown_qrs_withholds_all_levels() -> None:
    record = moved(250.0, "V3", 200, 320)
    behind = found(replace(record, filters={"high_pass_hz": 0.5}))
    assert "0.5 Hz" in str(behind.withheld) and behind.episodes == () and np.isnan(behind.level_uv).all()
    analysis = analyse(record)
    unknown = st.levels(record, analysis, float("nan"), float("nan"))
    assert unknown.withheld and unknown.episodes == ()


def test_a_noisy_stretch_has_no_level() -> None:
    rows, rng = twelve.rows_of(base()), np.random.default_rng(1)
    part = slice(100 * FS_HZ, 160 * FS_HZ)
    rows[8, part] += rng.normal(0, 400, 60 * FS_HZ).astype(np.int16)
    levels = found(twelve.of_rows(rows, FS_HZ))
    assert np.isnan(levels.level_uv[11:15, 8]).all() and np.isfinite(levels.level_uv[20:, 8]).all()
    assert levels.episodes == ()
